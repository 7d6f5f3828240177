# SPDX-License-Identifier: Apache-2.0
"""The command's manners: one line and status 2 for a mistake, help for everybody."""

import errno
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from perception_nodes.cli.commands import COMMANDS, one_line, perception, run
from perception_nodes.errors import PerceptionError

HEAVY = ('numpy', 'cv2', 'onnxruntime', 'matplotlib', 'scipy', 'rosbags', 'torch', 'yaml')
PERCEPTION = (sys.executable, '-m', 'perception_nodes.cli.main')


def test_every_command_of_the_architecture_is_there_and_helps():
    wanted = {
        'demo', 'replay', 'evaluate', 'bench', 'train', 'export', 'build-engine', 'models',
        'doctor',
    }
    assert wanted <= set(COMMANDS)
    context = click.Context(perception)
    for name, shown in COMMANDS.items():
        command = perception.get_command(context, name)
        assert command is not None
        assert command.help, name
        assert command.get_short_help_str(99) == shown, name


def test_help_loads_what_it_shows_and_nothing_else() -> None:
    code = (
        "import sys\nfrom perception_nodes.cli import commands\ncommands.run(['--help'])\n"
        "print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    )
    done = subprocess.run(
        [sys.executable, '-c', code, *HEAVY], capture_output=True, text=True, check=True
    )
    assert 'build-engine' in done.stdout
    assert done.stdout.splitlines()[-1] == '[]'


@pytest.mark.parametrize('arguments', [
    ('replay', 'no_such_bag', '--out', 'never'),
    ('evaluate', 'segmentation', '--dataset', 'camvid', '--root', 'nowhere', '--json', 'x.json'),
    ('evaluate', 'juggling', '--dataset', 'camvid', '--root', 'nowhere', '--json', 'x.json'),
    ('train', 'no_such_recipe'),
    ('export', 'no_such_model'),
    ('build-engine', 'no_such_model'),
    ('models', 'no_such_model'),
    ('demo', '--frames', '1'),
    ('no-such-command',),
])
def test_a_mistake_is_one_line_and_status_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('PERCEPTION_DATA', raising=False)
    assert run(arguments) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1, told
    assert told.startswith('perception: ')
    assert not list(tmp_path.iterdir())


def test_a_fault_of_ours_is_said_to_be_one(monkeypatch, capsys):
    def fail(**_: object) -> None:
        raise ZeroDivisionError('three\nlines\n')

    monkeypatch.setattr('perception_nodes.cli.models.command.callback', fail)
    assert run(['models']) == 70
    told = capsys.readouterr().err
    assert told.startswith('perception: ZeroDivisionError: three lines: this is a fault of perc')
    assert len(told.splitlines()) == 1
    monkeypatch.setenv('PERCEPTION_TRACEBACK', '1')
    with pytest.raises(ZeroDivisionError):
        run(['models'])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_moment_is_one_line_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    """While it imports, while it works: the folder that it had begun is gone."""
    code = (
        'import sys, time\nfrom pathlib import Path\n'
        'from perception_nodes.cli import main\n'
        'from perception_nodes.cli.models import command\n'
        'from perception_nodes.files.atomic import temporary_folder\n'
        'def work(**_):\n'
        '    with temporary_folder("toy", Path(sys.argv.pop())):\n'
        '        print("works", flush=True)\n'
        '        time.sleep(30)\n'
        'command.callback = work\n'
        'main.main()\n'
    )
    working = subprocess.Popen(
        [sys.executable, '-c', code, 'models', str(tmp_path)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert working.stdout is not None
    assert working.stdout.readline() == 'works\n'
    assert list(tmp_path.iterdir())
    working.send_signal(number)
    _, told = working.communicate(timeout=20)
    assert (working.returncode, told.count('\n')) == (128 + number, 1), told
    assert not list(tmp_path.iterdir())

    importing = subprocess.Popen([*PERCEPTION, 'doctor'], text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
    while importing.poll() is None and not catches(importing.pid, signal.SIGHUP):
        time.sleep(0.005)
    importing.send_signal(number)
    _, told = importing.communicate(timeout=20)
    assert 'Traceback' not in told
    assert importing.returncode == 128 + number


def catches(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f'/proc/{process}/status').read_text()
    except OSError:
        return False
    caught = re.search(r'SigCgt:\s*([0-9a-f]+)', status)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def test_errors_become_one_line():
    assert one_line(PerceptionError('left\n  differs')) == 'left differs'
    full = OSError(errno.ENOSPC, 'No space left on device', 'out.mcap')
    assert one_line(full) == 'out.mcap: No space left on device'


@pytest.mark.parametrize('name', [(), *((name,) for name in COMMANDS)])
def test_help_has_no_broken_words(name: tuple[str, ...]) -> None:
    """Nothing is cut off with dots, and no choice is broken in its middle."""
    shown = CliRunner().invoke(perception, [*name, '--help'], terminal_width=80).output
    assert not re.search(r'(?<!\])(?<!TASKS)\.\.\.', shown)
    assert 'opt\n' not in shown and ' o\n' not in shown


def test_text_of_a_file_neither_steers_the_terminal_nor_fills_it():
    line = one_line(PerceptionError(f'model \x1b[31m{"x" * 300_000} is not known'))
    assert line.isprintable() and len(line) < 2100 and line.startswith('model ?[31mxxx')
