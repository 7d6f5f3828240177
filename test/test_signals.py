# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys

import pytest

from perception_nodes import signals

SHOWN = 'import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)'


@pytest.mark.parametrize('number', sorted(signals.TOLD))
def test_a_deferred_signal_is_only_remembered(number: int) -> None:
    before = signal.getsignal(number)
    with signals.deferred() as asked:
        assert not asked()
        os.kill(os.getpid(), number)
        assert asked()
    assert signals.received() == number
    assert signal.getsignal(number) == before
    with signals.deferred() as asked:
        assert not asked(), 'another loop is not asked by what came before'


def test_what_is_started_while_it_is_ignored_ignores_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals.ignored():
        child = subprocess.run([sys.executable, '-c', SHOWN], capture_output=True, check=True)
    assert child.stdout == b'True\n'
    assert signal.getsignal(signal.SIGINT) == before


def test_a_signal_lost_in_a_destructor_comes_again() -> None:
    code = (
        'import os, signal, time\n'
        'from perception_nodes import signals\n'
        'class Swallows:\n'
        '    def __del__(self):\n'
        '        os.kill(os.getpid(), signal.SIGTERM)\n'
        '        time.sleep(0.05)\n'
        'signals.raise_interrupted()\n'
        'try:\n'
        '    a = Swallows()\n'
        '    del a\n'
        '    time.sleep(20)\n'
        'except signals.Interrupted:\n'
        '    print("ended", signals.received())\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == f'ended {int(signal.SIGTERM)}\n'
    assert done.stderr == ''
