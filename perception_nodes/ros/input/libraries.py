# SPDX-License-Identifier: Apache-2.0
"""The ecosystem's libraries that the input uses where they are installed."""

import importlib
from typing import Any

from perception_nodes.types import PerceptionError

MESSAGE_FILTERS, CV_BRIDGE = 'message_filters', 'cv_bridge'


def load_library(name: str, wanted_by: str) -> Any:
    """Import a library that a parameter asks for.

    Parameters
    ----------
    wanted_by : the parameter and its value, 'sync: exact'.

    Raises
    ------
    PerceptionError
        If it is not installed or does not load.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # one that was built for another NumPy raises what it likes
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        reason = 'which is not installed' if absent else f'which does not load ({error!r})'
        raise PerceptionError(
            f'{wanted_by} needs {name}, {reason}: install '
            f'ros-$ROS_DISTRO-{name.replace("_", "-")}, or choose own'
        ) from None


def installed_library(name: str) -> Any | None:
    """Import a library that nothing depends on; None if it is not there."""
    try:
        return load_library(name, '')
    except PerceptionError:
        return None
