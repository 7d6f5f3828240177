# SPDX-License-Identifier: Apache-2.0
"""The command ``perception`` and the one place where an error becomes a line and a status."""

import os
import sys

import click

from perception_nodes import __version__
from perception_nodes.cli import (
    bench,
    build_engine,
    demo,
    doctor,
    engines,
    evaluate,
    export,
    models,
    replay,
    train,
)
from perception_nodes.types import PerceptionError

USER_MISTAKE = 2
INTERRUPTED = 130


@click.group(context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='perception')
def perception() -> None:
    """Learned perception for ROS 2: masks, depth, flow, odometry and places, each with its sigma.

    Lengths are metres, angles radians, times seconds, image measures pixels unless a name says
    otherwise.
    """


for _module in (
    demo, replay, evaluate, bench, train, export, build_engine, engines, models, doctor,
):
    perception.add_command(_module.command)


def main() -> None:
    """Run the command line: 0 done, 2 a mistake in what was given, 130 interrupted."""
    try:
        sys.exit(perception.main(prog_name='perception', standalone_mode=False))
    except click.ClickException as error:
        click.echo(f'perception: {one_line(error)}', err=True)
        sys.exit(USER_MISTAKE)
    except (click.Abort, KeyboardInterrupt):
        click.echo('perception: interrupted', err=True)
        sys.exit(INTERRUPTED)
    except (PerceptionError, OSError) as error:
        if os.environ.get('PERCEPTION_TRACEBACK'):
            raise
        click.echo(f'perception: {one_line(error)}', err=True)
        sys.exit(USER_MISTAKE)


def one_line(error: Exception) -> str:
    """Say what went wrong in one line; of an OSError its file and reason."""
    if isinstance(error, click.ClickException):
        return ' '.join(error.format_message().split())
    if isinstance(error, OSError) and error.strerror:
        return ': '.join(str(part) for part in (error.filename, error.strerror) if part)
    return ' '.join(str(error).split())


if __name__ == '__main__':
    main()
