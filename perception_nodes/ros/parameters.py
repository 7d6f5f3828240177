# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from a frozen dataclass, and the dataclass back from them.

Every field becomes one parameter of its own name, its default and its line of the docstring;
:mod:`perception_nodes.pipelines.config_values` says how its value is written.
"""

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from perception_nodes.pipelines.config_values import (
    from_parameter,
    from_values,
    is_transform,
    to_parameter,
)
from perception_nodes.types import PerceptionError

T = TypeVar('T')


def declare(node: Node, defaults: Any, prefix: str = '') -> None:
    """Declare one parameter for each field of a config.

    Parameters
    ----------
    defaults : an instance; what the user gave (command line, file, launch) has precedence.
    prefix : put before the names, with a dot ('segmentation.').

    Raises
    ------
    PerceptionError
        If what the user gave is of a type that the field cannot take.
    """
    descriptions = field_descriptions(defaults)
    for field in dataclasses.fields(defaults):
        name, default = prefix + field.name, getattr(defaults, field.name)
        descriptor = ParameterDescriptor(
            description=descriptions.get(field.name, ''),
            # The middleware would refuse 1 for 1.0 with a stack trace; read() checks and reports.
            dynamic_typing=True,
        )
        node.declare_parameter(name, to_parameter(default), descriptor)
        from_parameter(name, node.get_parameter(name).value, default)


def read(node: Node, config: type[T], prefix: str = '') -> T:
    """Make the config of what the parameters hold now.

    Raises
    ------
    PerceptionError
        If a value has the wrong type or the config refuses it.
    """
    fields = dataclasses.fields(config)  # type: ignore[arg-type]
    return from_values(
        config, {f.name: node.get_parameter(prefix + f.name).value for f in fields}, prefix
    )


def refusal(
    node: Node, configs: Mapping[str, Sequence[type[Any]]], changes: Sequence[Parameter]
) -> str:
    """Return why changed parameters cannot be; '' if they can.

    Parameters
    ----------
    configs : the config classes of each prefix that was declared.
    """
    changed = {parameter.name: parameter.value for parameter in changes}
    for prefix, classes in configs.items():
        for config in classes:
            names = [prefix + field.name for field in dataclasses.fields(config)]
            if not any(name in changed for name in names):
                continue
            values = {
                name[len(prefix):]: changed.get(name, node.get_parameter(name).value)
                for name in names
            }
            try:
                from_values(config, values, prefix)
            except PerceptionError as error:
                return str(error)
    return ''


def field_descriptions(defaults: Any) -> dict[str, str]:
    """Read one text for each field off the Attributes section of a NumPy-style docstring."""
    # From Python 3.13 on the compiler takes the indentation away; getdoc always does.
    text = (inspect.getdoc(type(defaults)) or '').partition('Attributes\n')[2]
    found: dict[str, str] = {}
    for entry in re.split(r'\n(?=\w)', text):
        names, colon, meaning = entry.strip().partition(' : ')
        for name in names.split(',') if colon else ():
            found[name.strip()] = ' '.join(meaning.split())
    for name in found:
        if is_transform(getattr(defaults, name, None)):
            found[name] += ' Here as x y z qx qy qz qw.'
    return found
