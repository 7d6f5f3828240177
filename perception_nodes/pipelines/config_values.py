# SPDX-License-Identifier: Apache-2.0
"""Fields of a config as parameters that people write, and back.

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
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import yaml

from perception_nodes.geometry import se3
from perception_nodes.types import ConfigError

T = TypeVar('T')
MOST_CHARACTERS, MOST_BRACKETS = 10_000, 100
LARGEST = (1 << 31) - 1


def from_values(config: type[T], values: Mapping[str, Any], prefix: str = '') -> T:
    """Make a config of parameter values by field name.

    Raises
    ------
    ConfigError
        If a value has the wrong type or the config refuses it.
    """
    defaults = config()
    return config(**{
        name: from_parameter(prefix + name, value, getattr(defaults, name))
        for name, value in values.items()
    })


def to_parameter(value: Any) -> Any:
    """Return a field's value as a parameter's."""
    if value is None:
        return ''
    if not isinstance(value, tuple):
        return value
    if is_transform(value):
        a_from_b = np.array(value, np.float64)
        return [*a_from_b[:3, 3].tolist(), *se3.to_quaternion_xyzw(a_from_b).tolist()]
    return list(value) or ['']


def from_parameter(name: str, value: Any, default: Any) -> Any:
    """Return a parameter's value as its field wants it, by the type of the default.

    Raises
    ------
    ConfigError
        Naming the parameter, what it holds and what it should.
    """
    if default is None:
        return None if value == '' else _sequence(name, value, (0.0,))
    if isinstance(default, tuple):
        return _sequence(name, value, default)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, bool) != isinstance(default, bool) or not isinstance(
        value, type(default)
    ):
        raise ConfigError(
            f'parameter {name} is {_shown(value)} ({type(value).__name__}); '
            f'it takes {type(default).__name__}, as in {default!r}'
        )
    if isinstance(value, float) and np.isnan(value):
        raise ConfigError(f'parameter {name} is nan; it takes a number')
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ConfigError(f'parameter {name} is {value}; {LARGEST} is the largest number it takes')
    return value


def changed(config: T, written: Mapping[str, str], prefix: str = '') -> T:
    """Change fields of a config to values written in YAML.

    Parameters
    ----------
    written : text by field name, as behind ``-p NAME:=``.
    prefix : of the names in errors, with a dot.

    Raises
    ------
    ConfigError
        If the config has no such field, or the text is no value that it takes.
    """
    fields = dataclasses.fields(config)  # type: ignore[arg-type]
    defaults = {field.name: getattr(type(config)(), field.name) for field in fields}
    values = {}
    for name, text in written.items():
        if name not in defaults:
            raise ConfigError(
                f'no parameter {prefix}{name}; there are {", ".join(prefix + n for n in defaults)}'
            )
        try:
            if len(text) > MOST_CHARACTERS or text.count('[') + text.count('{') > MOST_BRACKETS:
                raise ValueError  # the parser takes a time that grows with the square of its depth
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):  # of a date, a tag, a thousand ['s
            raise ConfigError(f'parameter {prefix}{name} is {_shown(text)}: no YAML') from None
        value = '' if value is None else value
        values[name] = from_parameter(prefix + name, value, defaults[name])
    return dataclasses.replace(config, **values)  # type: ignore[type-var]


def is_transform(value: Any) -> bool:
    """Whether a field holds a 4x4 transform."""
    return isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], tuple)


def _sequence(name: str, value: Any, default: tuple[Any, ...]) -> Any:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ConfigError(f'parameter {name} is {_shown(value)}; it takes a list')
    if is_transform(default):
        return _transform(name, value)
    if not default or isinstance(default[0], str):
        if not all(isinstance(entry, str) for entry in value):
            raise ConfigError(f'parameter {name} is {_shown(value)}; it takes a list of texts')
        return tuple(entry for entry in value if entry)
    if not all(_is_number(entry) for entry in value):
        raise ConfigError(f'parameter {name} is {_shown(value)}; it takes a list of numbers')
    if isinstance(default[0], float):
        return tuple(float(entry) for entry in value)
    if not all(float(entry).is_integer() for entry in value):
        raise ConfigError(f'parameter {name} is {_shown(value)}; it takes whole numbers')
    return tuple(int(entry) for entry in value)


def _is_number(value: Any) -> bool:
    """Finite, no bool, and no integer that arrays cannot be sized with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(abs(value) <= LARGEST if isinstance(value, int) else np.isfinite(value))


def _shown(value: Any) -> str:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    text = repr(list(value) if listed else value)
    return text if len(text) <= 200 else f'{text[:200]}...'


def _transform(name: str, value: Sequence[Any]) -> tuple[tuple[float, ...], ...]:
    if len(value) != 7 or not all(_is_number(number) and abs(number) < 1e9 for number in value):
        raise ConfigError(
            f'parameter {name} is {_shown(value)}; it takes 7 numbers x y z qx qy qz qw'
        )
    numbers = [float(number) for number in value]
    length = float(np.linalg.norm(numbers[3:]))
    if not 0.99 < length < 1.01:
        raise ConfigError(
            f'parameter {name} has a quaternion of length {length:.3g}; it must be 1'
        )
    a_from_b = se3.from_quaternion_xyzw(np.array(numbers[3:]), np.array(numbers[:3]))
    return tuple(tuple(float(entry) for entry in row) for row in a_from_b)
