# SPDX-License-Identifier: Apache-2.0
"""Point clouds: packed, padded, in both byte orders, and refused when they do not add up."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.messages.points import cloud_message, decode_cloud
from perception_nodes.types import PerceptionError

KIND = np.dtype({
    'names': ['a', 'b', 'c'], 'formats': ['<f8', '<u4', '<i2'], 'offsets': [0, 8, 14],
    'itemsize': 20,
})


@pytest.fixture
def points() -> np.ndarray:
    """Give points of mixed types with holes between the fields."""
    cloud = np.zeros((2, 3), KIND)
    cloud['a'] = np.arange(6).reshape(2, 3) / 7
    cloud['b'] = 2**32 - 1
    cloud['c'] = -5
    return cloud


def test_fields_come_back(
    points: np.ndarray, factory: BagFactory, wire: Callable[[Any], Any]
) -> None:
    back = decode_cloud(wire(cloud_message(points, factory, 1, 'map', dense=True)))
    assert back.dtype == KIND
    np.testing.assert_array_equal(back, points)


def test_foreign_byte_order_and_padded_rows(points: np.ndarray, factory: BagFactory) -> None:
    message = cloud_message(points.astype(KIND.newbyteorder('>')), factory, 1, 'map', dense=True)
    message.is_bigendian = True
    rows = message.data.reshape(2, 60)
    message.data = np.pad(rows, ((0, 0), (0, 4))).reshape(-1)
    message.row_step = 64
    back = decode_cloud(message)
    for name in KIND.names:
        np.testing.assert_array_equal(back[name], points[name])


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('height', 3, 'does not fit'), ('width', 4, 'does not fit'), ('row_step', 61, 'not fit'),
        ('point_step', 12, "field 'c' does not fit"),
    ],
)
def test_clouds_that_do_not_add_up(
    points: np.ndarray, factory: BagFactory, name: str, value: int, reason: str
) -> None:
    message = cloud_message(points, factory, 1, 'map', dense=True)
    setattr(message, name, value)
    with pytest.raises(PerceptionError, match=reason):
        decode_cloud(message)
