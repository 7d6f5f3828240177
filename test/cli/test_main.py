# SPDX-License-Identifier: Apache-2.0
"""The command's manners: one line and status 2 for a mistake, help for everybody."""

import errno
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from perception_nodes.cli.main import one_line, perception
from perception_nodes.types import PerceptionError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'perception_nodes.cli.main', *arguments],
        capture_output=True, text=True, check=False,
    )


def test_every_command_of_the_architecture_is_there_and_helps():
    wanted = {
        'demo', 'replay', 'evaluate', 'bench', 'train', 'export', 'build-engine', 'models',
        'doctor',
    }
    assert wanted <= set(perception.commands)
    for name, command in perception.commands.items():
        assert command.help, name


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
def test_a_mistake_is_one_line_and_status_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.returncode == 2
    assert 'Traceback' not in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith('perception: ')
    assert not list(tmp_path.iterdir())


def test_errors_become_one_line():
    assert one_line(PerceptionError('left\n  differs')) == 'left differs'
    full = OSError(errno.ENOSPC, 'No space left on device', 'out.mcap')
    assert one_line(full) == 'out.mcap: No space left on device'


@pytest.mark.parametrize('name', [(), *((name,) for name in perception.commands)])
def test_help_has_no_broken_words(name: tuple[str, ...]) -> None:
    """Nothing is cut off with dots, and no choice is broken in its middle."""
    shown = CliRunner().invoke(perception, [*name, '--help'], terminal_width=80).output
    assert not re.search(r'(?<!\])(?<!TASKS)\.\.\.', shown)
    assert 'opt\n' not in shown and ' o\n' not in shown
