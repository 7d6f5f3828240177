# SPDX-License-Identifier: Apache-2.0
"""The option ``-p NAME:=VALUE``: parameters as ``ros2 run ... --ros-args`` takes them."""

from collections.abc import Callable
from typing import Any

import click

from perception_nodes.errors import PerceptionError

__all__ = ['parameter_option']


def parameter_option(whose: str) -> Callable[[Any], Any]:
    """Return the option; the command gets ``parameters``, a dict of name to text.

    Parameters
    ----------
    whose : parameters they are, for the help.
    """
    return click.option(
        '-p', '--param', 'parameters', multiple=True, metavar='NAME:=VALUE', callback=_split,
        help=f'Change a parameter of {whose}; may be given several times.',
    )


def _split(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Any:
    parameters = {}
    for text in given:
        name, sign, value = text.partition(':=')
        if not sign or not name:
            raise PerceptionError(f'-p takes NAME:=VALUE, as in mc_samples:=8, not {text!r}')
        parameters[name] = value
    return parameters
