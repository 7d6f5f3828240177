# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from a frozen dataclass, and the dataclass back from them.

Every field becomes one parameter of its own name, its default and its line of the docstring:

==========================  =====================================================================
field                       parameter
==========================  =====================================================================
bool, int, float, str       the same; an integer is taken for a float
tuple of str, float, int    list; for str an empty text is no entry, so ``['']`` is the empty list
tuple or None               list, '' for None
4x4 transform (tuple rows)  double list ``[x y z qx qy qz qw]``, metres and unit quaternion
==========================  =====================================================================
"""

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from perception_nodes.geometry import se3
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
            # The middleware would refuse 1 for 1.0 with a stack trace; read() checks and says.
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


def from_values(config: type[T], values: Mapping[str, Any], prefix: str = '') -> T:
    """Make a config of parameter values by field name; errors as ``read``."""
    defaults = config()
    return config(**{
        name: from_parameter(prefix + name, value, getattr(defaults, name))
        for name, value in values.items()
    })


def refusal(
    node: Node, configs: Mapping[str, Sequence[type[Any]]], changes: Sequence[Parameter]
) -> str:
    """Say why changed parameters cannot be; '' if they can.

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


def to_parameter(value: Any) -> Any:
    """Give a field's value as a parameter's."""
    if value is None:
        return ''
    if not isinstance(value, tuple):
        return value
    if _is_transform(value):
        a_from_b = np.array(value, np.float64)
        return [*a_from_b[:3, 3].tolist(), *se3.to_quaternion_xyzw(a_from_b).tolist()]
    return list(value) or ['']


def from_parameter(name: str, value: Any, default: Any) -> Any:
    """Give a parameter's value as its field wants it, by the type of the default.

    Raises
    ------
    PerceptionError
        Naming the parameter, what it holds and what it should.
    """
    if default is None:
        return None if value == '' else _sequence(name, value, (0.0,))
    if isinstance(default, tuple):
        return _sequence(name, value, default)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) != isinstance(default, bool) or not isinstance(
        value, type(default)
    ):
        raise PerceptionError(
            f'parameter {name} is {value!r} ({type(value).__name__}); '
            f'it takes {type(default).__name__}, as in {default!r}'
        )
    return value


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
        if _is_transform(getattr(defaults, name, None)):
            found[name] += ' Here as x y z qx qy qz qw.'
    return found


def _is_transform(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], tuple)


def _sequence(name: str, value: Any, default: tuple[Any, ...]) -> Any:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise PerceptionError(f'parameter {name} is {value!r}; it takes a list')
    if _is_transform(default):
        return _transform(name, value)
    if not default or isinstance(default[0], str):
        if not all(isinstance(entry, str) for entry in value):
            raise PerceptionError(f'parameter {name} is {list(value)}; it takes a list of texts')
        return tuple(entry for entry in value if entry)
    if not all(isinstance(entry, int | float) for entry in value):
        raise PerceptionError(f'parameter {name} is {list(value)}; it takes a list of numbers')
    return tuple(type(default[0])(entry) for entry in value)


def _transform(name: str, value: Sequence[Any]) -> tuple[tuple[float, ...], ...]:
    numbers = [float(number) for number in value if isinstance(number, int | float)]
    if len(numbers) != 7 or len(value) != 7 or not np.isfinite(numbers).all():
        raise PerceptionError(
            f'parameter {name} is {list(value)}; it takes 7 numbers x y z qx qy qz qw'
        )
    length = float(np.linalg.norm(numbers[3:]))
    if not 0.99 < length < 1.01:
        raise PerceptionError(
            f'parameter {name} has a quaternion of length {length:.3g}; it must be 1'
        )
    a_from_b = se3.from_quaternion_xyzw(np.array(numbers[3:]), np.array(numbers[:3]))
    return tuple(tuple(float(entry) for entry in row) for row in a_from_b)
