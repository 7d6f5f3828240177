# SPDX-License-Identifier: Apache-2.0
"""The one way JSON comes in and goes out: checked against a type, and never with a NaN in it."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from perception_nodes.types import PerceptionError

__all__ = ['decode_json', 'plain', 'to_json']

T = TypeVar('T')
SHOWN_CHARACTERS = 200


def decode_json(content: bytes | str, kind: type[T]) -> T:
    """Read JSON as a type: a dataclass, or a composition of built-in types.

    Fields that the type does not name are ignored.

    Raises
    ------
    PerceptionError
        If it is no JSON (NaN and Infinity are none) or does not fit; the line states where.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = 'it is nested too deep' if isinstance(error, RecursionError) else str(error)
        raise PerceptionError(' '.join(reason.split())[:SHOWN_CHARACTERS]) from None


def to_json(value: object, *, indent: int | None = None) -> str:
    """Write JSON (RFC 8259): what is not finite becomes null, numpy's values become plain ones."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def plain(value: object) -> Any:
    """Turn a value into what JSON knows; numbers that are not finite into None."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name))
                for entry in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    return value
