# SPDX-License-Identifier: Apache-2.0
"""Config dataclasses as people write their values."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.config_values import (
    changed,
    from_parameter,
    from_values,
    to_parameter,
)
from perception_nodes.pipelines.segmentation import SegmentationConfig
from perception_nodes.types import PerceptionError

IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Everything:
    """One field of each kind."""

    count: int = 3
    size_px: float = 1.5
    on: bool = False
    name: str = 'x'
    names: tuple[str, ...] = ('a', 'b')
    numbers: tuple[float, ...] = (1.0, 2.0)
    a_from_b: tuple[tuple[float, ...], ...] = IDENTITY
    maybe: tuple[float, ...] | None = None


def test_there_and_back() -> None:
    """Every kind of field survives, exactly (the transform up to rounding)."""
    config = Everything(count=4, on=True, names=(), maybe=(1.0, 2.0))
    values = {f.name: to_parameter(getattr(config, f.name)) for f in fields(config)}
    assert values['names'] == [''] and values['a_from_b'] == [0, 0, 0, 0, 0, 0, 1]
    assert from_values(Everything, values) == config


def test_transform_is_position_and_quaternion() -> None:
    """A quarter turn about z and a step along x."""
    half = np.sqrt(0.5)
    got = from_parameter('m', [1.0, 0.0, 0.0, 0.0, 0.0, half, half], IDENTITY)
    expected = se3.from_quaternion_xyzw(np.array([0, 0, half, half]), np.array([1.0, 0, 0]))
    np.testing.assert_allclose(np.array(got), expected, atol=1e-12)
    np.testing.assert_allclose(np.array(got) @ [1, 0, 0, 1], [1, 1, 0, 1], atol=1e-12)


@pytest.mark.parametrize(('value', 'default', 'told'), [
    ('many', 3, r"parameter p is 'many' \(str\); it takes int, as in 3"),
    (True, 3, r'parameter p is True \(bool\); it takes int'),
    (1, True, r'parameter p is 1 \(int\); it takes bool'),
    (1.5, 3, 'it takes int'),
    ('x', 1.0, 'it takes float'),
    ('ab', ('a',), "parameter p is 'ab'; it takes a list"),
    ([1], ('a',), 'a list of texts'),
    (['a'], (1.0,), 'a list of numbers'),
    ([float('inf'), 1.0], (0, 0), 'a list of numbers'),
    ([float('nan'), 1.0], (0.0,), 'a list of numbers'),
    ([1.5, 2.0], (0, 0), 'it takes whole numbers'),
    ([True, False], (0, 0), 'a list of numbers'),
    ([1 << 62], (1.0,), 'a list of numbers'),
    (float('nan'), 1.0, 'is nan; it takes a number'),
    (1 << 40, 3, '2147483647 is the largest'),
    ('x' * 100_000, 3, r"is '"+'x'*199 + r'\.\.\. \(str\); it takes int'),
    ([1e300] * 7, IDENTITY, 'it takes 7 numbers x y z'),
    ([0.0] * 6, IDENTITY, 'it takes 7 numbers x y z qx qy qz qw'),
    ([0.0, 0, 0, 0, 0, 0, 2.0], IDENTITY, 'quaternion of length 2; it must be 1'),
])
def test_wrong_types_are_named(value: Any, default: Any, told: str) -> None:
    """One line: which parameter, what it is, what it takes."""
    with pytest.raises(PerceptionError, match=told):
        from_parameter('p', value, default)


def test_integer_is_taken_for_a_float() -> None:
    """As people write it in YAML."""
    assert from_parameter('p', 80, 1.5) == 80.0


def test_texts_change_the_fields_that_they_name() -> None:
    before = Everything(count=7, maybe=(1.0,))
    texts = {'size_px': '2', 'on': 'true', 'names': "['c']", 'maybe': ''}
    assert changed(before, texts) == Everything(
        count=7, size_px=2.0, on=True, names=('c',), maybe=None
    )
    assert changed(before, {}) == before


@pytest.mark.parametrize(('texts', 'told'), [
    ({'samples': '8'}, r'no parameter node\.samples; there are node\.mc_samples, node\.seed'),
    ({'mc_samples': 'many'}, r"parameter node\.mc_samples is 'many' \(str\); it takes int"),
    ({'mc_samples': '[1'}, r"parameter node\.mc_samples is '\[1': no YAML"),
    ({'mc_samples': '-1'}, 'mc_samples is -1; it must lie between 0 and 64'),
    ({'mc_samples': ''}, 'it takes int, as in 0'),
])
def test_wrong_texts_are_named(texts: dict[str, str], told: str) -> None:
    with pytest.raises(PerceptionError, match=told):
        changed(SegmentationConfig(), texts, 'node.')
