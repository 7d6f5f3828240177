# SPDX-License-Identifier: Apache-2.0
"""An ONNX file as bytes: what is refused before a backend sees it, and the card inside it.

An ONNX file is one protobuf message, ModelProto of onnx.proto; it is walked here field by field,
because the package onnx is not there on a robot. Two protobuf messages in a row are the sum of
both: the card is one more entry of ``metadata_props`` at the end of the file.

Refused are weights in other files (no hash of the card covers them), operators that may never end
or that load other files, and constants that claim more values than they hold.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from perception_nodes.types import PerceptionError

__all__ = ['check_graph', 'split_card', 'with_card']

CARD_KEY = b'perception_card'
REFUSED_OPERATORS = {
    b'Loop': 'a loop that may never end', b'Scan': 'a loop that may never end',
    b'EPContext': 'weights in another file',
}
MOST_VALUES = 1 << 28
MOST_DEPTH = 24
SHAPE_VALUES = 16

# onnx.proto: numbers of the fields that hold further messages, by message.
_INSIDE: dict[str, dict[int, str]] = {
    'model': {7: 'graph', 20: 'training', 25: 'function'},
    'training': {1: 'graph', 2: 'graph'},
    'graph': {1: 'node', 5: 'tensor', 15: 'sparse'},
    'function': {7: 'node', 11: 'attribute'},
    'node': {5: 'attribute'},
    'attribute': {5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse'},
    'tensor': {}, 'sparse': {},
}
_METADATA, _KEY, _VALUE = 14, 1, 2
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _INTS = 1, 2, 4, 8
_DIMS, _INT64_DATA, _TENSOR_NAME, _RAW_DATA, _EXTERNAL, _LOCATION = 1, 7, 8, 9, 13, 14
# Operators whose output size is set by a constant: which of their inputs it is.
_SHAPED_BY = {b'ConstantOfShape': 0, b'Expand': 1, b'Tile': 1, b'Resize': 3, b'OneHot': 1}


class _Field(NamedTuple):
    number: int
    value: 'int | memoryview'
    start: int


def check_graph(content: bytes) -> None:
    """Refuse what must not reach a backend.

    Raises
    ------
    PerceptionError
        If it is no ONNX file or holds something of the list above; one line states which.
    """
    look = _Look()
    try:
        look.into('model', memoryview(content), 0)
    except (ValueError, IndexError):
        raise PerceptionError('it is no ONNX file or is damaged') from None
    if not look.graphs:
        raise PerceptionError('it is no ONNX file: it holds no graph')
    for operator, source in look.shaped:
        shape = look.shapes.get(source)
        if shape is not None and math.prod(max(1, size) for size in shape) > MOST_VALUES:
            raise PerceptionError(
                f'its operator {operator} makes a constant of {list(shape)} values'
            )


def with_card(graph: bytes, card_json: str) -> bytes:
    """Append a card to a model that holds none."""
    text = card_json.encode()
    digest = hashlib.sha256(graph + text).hexdigest().encode()
    entry = _chunk(_KEY, CARD_KEY) + _chunk(_VALUE, digest + b'\n' + text)
    return graph + _chunk(_METADATA, entry)


def split_card(content: bytes) -> tuple[bytes, bytes]:
    """Part a file into the model without its card and the card's JSON.

    Returns
    -------
    the model; the card, b'' if there is none or it is not of exactly this model.
    """
    try:
        for number, value, start in _fields(memoryview(content)):
            if number == _METADATA and isinstance(value, memoryview):
                entry = {inner.number: _bytes(inner.value) for inner in _fields(value)}
                if entry.get(_KEY) == CARD_KEY:
                    digest, _, text = entry[_VALUE].partition(b'\n')
                    graph, end = content[:start], len(content)
                    whole = _chunk(_METADATA, bytes(value)) == content[start:end]
                    right = hashlib.sha256(graph + text).hexdigest().encode() == digest
                    return (graph, text) if whole and right else (content, b'')
    except (ValueError, IndexError, KeyError):
        pass
    return content, b''


@dataclass
class _Look:
    """What is collected on the way through a model.

    Attributes
    ----------
    graphs : how many there are. shapes : small int64 constants by name; latest: the last one.
    shaped : operator and name of the constant that sets its output's size.
    """

    graphs: int = 0
    shapes: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    latest: tuple[int, ...] | None = None
    shaped: list[tuple[str, bytes]] = field(default_factory=list)

    def into(self, kind: str, data: memoryview, depth: int) -> None:
        """Walk one message and those inside it."""
        if depth > MOST_DEPTH:
            raise PerceptionError('its graphs are nested too deep')
        self.graphs += kind == 'graph'
        self.latest = None if kind == 'node' else self.latest
        inside, seen = _INSIDE[kind], list[_Field]()
        for entry in _fields(data):
            seen.append(entry)
            following = inside.get(entry.number)
            if following is not None and isinstance(entry.value, memoryview):
                self.into(following, entry.value, depth + 1)
        visit = {'node': self._node, 'tensor': self._tensor, 'sparse': self._sparse,
                 'attribute': self._attribute}.get(kind)
        if visit is not None:
            visit(seen)

    def _node(self, entries: list[_Field]) -> None:
        inputs = [_bytes(entry.value) for entry in entries if entry.number == _NODE_INPUT]
        types = [_bytes(entry.value) for entry in entries if entry.number == _NODE_TYPE]
        operator = types[-1] if types else b''
        if operator in REFUSED_OPERATORS:
            raise PerceptionError(
                f'its operator {operator.decode()} is refused: {REFUSED_OPERATORS[operator]}'
            )
        outputs = [_bytes(entry.value) for entry in entries if entry.number == _NODE_OUTPUT]
        if operator == b'Constant' and outputs and self.latest is not None:
            self.shapes[outputs[0]] = self.latest
        which = _SHAPED_BY.get(operator)
        if which is not None and which < len(inputs):
            self.shaped.append((operator.decode(), inputs[which]))

    def _attribute(self, entries: list[_Field]) -> None:
        integers = [number for entry in entries if entry.number == _INTS
                    for number in _integers(entry.value)]
        if 0 < len(integers) <= SHAPE_VALUES:
            self.latest = tuple(integers)

    def _tensor(self, entries: list[_Field]) -> None:
        dims, held, values, raw, name = list[int](), 0, list[int](), b'', b''
        for number, value, _ in entries:
            if number == _EXTERNAL or (number == _LOCATION and value == 1):
                raise PerceptionError(
                    'it keeps weights in another file, which its hash does not cover: save it '
                    'with all weights inside'
                )
            if number == _DIMS:
                dims += _integers(value)
            elif number == _TENSOR_NAME:
                name = _bytes(value)
            else:
                held += 1 if isinstance(value, int) else len(value)
            if number == _INT64_DATA and len(values) < SHAPE_VALUES:
                values += _integers(value)
            if number == _RAW_DATA and isinstance(value, memoryview):
                raw = bytes(value[:8 * SHAPE_VALUES + 1])
        count = math.prod(dims)
        if any(size < 0 for size in dims) or count > 8 * held:
            raise PerceptionError(f'a constant of it declares shape {dims} but holds {held} bytes')
        if raw and len(raw) == 8 * count:
            values = [int.from_bytes(raw[i:i + 8], 'little', signed=True)
                      for i in range(0, len(raw), 8)]
        if 0 < len(values) <= SHAPE_VALUES and len(values) == count:
            self.shapes[name] = self.latest = tuple(values)

    def _sparse(self, _: list[_Field]) -> None:
        raise PerceptionError('it holds sparse constants, which no released model does')


def _fields(data: memoryview) -> Iterator[_Field]:
    """Fields of a protobuf message; ValueError or IndexError if it is none."""
    at = 0
    while at < len(data):
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        value: int | memoryview
        if wire == 0:
            value, at = _varint(data, at)
        else:
            if wire == 2:
                size, at = _varint(data, at)
            else:
                size = {1: 8, 5: 4}.get(wire, -1)
            if size < 0 or at + size > len(data) or number == 0:
                raise ValueError('no protobuf')
            value, at = data[at:at + size], at + size
        yield _Field(number, value, start)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError('no varint')


def _integers(value: 'int | memoryview') -> list[int]:
    """One int64, or several that are packed."""
    if isinstance(value, int):
        return [_signed(value)]
    numbers, at = list[int](), 0
    while at < len(value) and len(numbers) <= SHAPE_VALUES:
        number, at = _varint(value, at)
        numbers.append(_signed(number))
    return numbers


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: 'int | memoryview') -> bytes:
    return b'' if isinstance(value, int) else bytes(value)


def _chunk(number: int, content: bytes) -> bytes:
    """One field that holds bytes."""
    head = bytearray()
    for value in (number << 3 | 2, len(content)):
        while value >= 0x80:
            head.append(value & 0x7F | 0x80)
            value >>= 7
        head.append(value)
    return bytes(head) + content
