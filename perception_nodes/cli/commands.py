# SPDX-License-Identifier: Apache-2.0
"""The commands, each loaded when it is called, and the one place where an error becomes a line."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from perception_nodes import __version__, signals, text
from perception_nodes.errors import PerceptionError
from perception_nodes.libraries import missing_library

__all__ = ['COMMANDS', 'interrupted', 'one_line', 'perception', 'run']

DONE, USER_MISTAKE, OUR_FAULT = 0, 2, 70
_MOST_CHARACTERS = 2000
COMMANDS = {
    'demo': 'Run all nodes live on a rendered sequence.',
    'replay': 'Run the pipelines on every frame of a bag.',
    'evaluate': 'Evaluate a task on a data set.',
    'bench': 'Measure latency, throughput, memory and accuracy.',
    'train': 'Train a released model.',
    'export': 'Write a trained model as ONNX with its card.',
    'build-engine': 'Build TensorRT engines ahead of time.',
    'engines': 'List the built engines, or remove stale ones.',
    'models': 'List the models and show their cards.',
    'doctor': 'List what is installed, what is missing, and which features need it.',
}


class _Lazy(click.Group):
    """Imports the file of a command when that is called; help lists them without."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f'perception_nodes.cli.{cmd_name.replace("-", "_")}')
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List names and what they do."""
        with formatter.section('Commands'):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='perception')
def perception() -> None:
    """Learned perception for ROS 2: segmentation, depth, flow, odometry, places; with uncertainty.

    Units are metres, radians, seconds and (in images) pixels unless a name states
    otherwise.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns
    -------
    0 done, 2 a mistake in what was given, 70 a fault of this package, 128 + signal; ``doctor``
    has a status of its own. Each but the first prints one line on stderr.
    """
    earlier = signals.total()
    try:
        with perception.make_context('perception', list(arguments)) as context:
            perception.invoke(context)
        return DONE
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else USER_MISTAKE
    except (click.Abort, KeyboardInterrupt):
        return interrupted()
    except Exception as error:
        if signals.total() > earlier:  # what it turned into on the way is of no interest
            return interrupted()
        if os.environ.get('PERCEPTION_TRACEBACK'):
            raise
        if isinstance(error, ImportError) and (missing := missing_library(error)):
            error = PerceptionError(missing)
        click.echo(f'perception: {one_line(error)}', err=True)
        return USER_MISTAKE if isinstance(error, _MISTAKES) else OUR_FAULT


def interrupted() -> int:
    """Report the signal that ended the command; return the status."""
    number = signals.received() or signals.INTERRUPT
    click.echo(f'perception: {signals.TOLD[number]}', err=True)
    return 128 + number


def one_line(error: Exception) -> str:
    """Describe an error in one printable line; of an OSError its file and reason.

    File names and recordings may hold text of any length, and signs that steer a terminal.
    """
    return text.one_line(_reason(error), _MOST_CHARACTERS)


def _reason(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror:
        return ': '.join(str(part) for part in (error.filename, error.strerror) if part)
    told = str(error).strip()
    if isinstance(error, MemoryError):
        return 'the machine has not enough memory for this' + (told and f' ({told})')
    if isinstance(error, _MISTAKES):
        return told
    return (f'{type(error).__name__}: {told[:300]}: this is a fault of perception, please report '
            'it; PERCEPTION_TRACEBACK=1 shows where')


_MISTAKES = (click.ClickException, PerceptionError, OSError, MemoryError)
