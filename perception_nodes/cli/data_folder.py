# SPDX-License-Identifier: Apache-2.0
"""The option ``--data``: the folder of all data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from perception_nodes.errors import ConfigError

__all__ = ['data_option', 'require_data']

VARIABLE = 'PERCEPTION_DATA'


def data_option(use: str) -> Callable[[Any], Any]:
    """Return the option; the command gets ``data``, a path or None.

    Parameters
    ----------
    use : what for, for the help.
    """
    return click.option(
        '--data', type=click.Path(path_type=Path), envvar=VARIABLE,
        help=f'Folder that holds the data sets, {use}.  [default: ${VARIABLE}]',
    )


def require_data(data: Path | None) -> Path:
    """Take the folder; ConfigError if none was named or it is missing."""
    if data is None:
        raise ConfigError(f'where are the data sets? Give --data FOLDER or set {VARIABLE}')
    if not data.is_dir():
        raise ConfigError(f'the folder of the data sets, {data}, is missing')
    return data
