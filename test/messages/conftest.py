# SPDX-License-Identifier: Apache-2.0
"""Messages as they come off the wire: through CDR and back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory, typestore
from perception_nodes.messages.primitives import header


@pytest.fixture
def factory() -> BagFactory:
    """Give the factory of rosbags' messages."""
    return BagFactory()


@pytest.fixture
def wire() -> Callable[[Any], Any]:
    """Send a message through CDR, the bytes that DDS and bags carry."""

    def send(message: Any) -> Any:
        store = typestore()
        kind = message.__msgtype__
        return store.deserialize_cdr(store.serialize_cdr(message, kind), kind)

    return send


@pytest.fixture
def raw_image(factory: BagFactory) -> Callable[..., Any]:
    """Make a sensor_msgs/Image of rows of bytes, with whatever fields a test wants wrong."""

    def make(encoding: str, rows: np.ndarray, width: int, **fields: Any) -> Any:
        rows = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
        given = {
            'header': header(factory, 7_000_000_003, 'cam'), 'height': len(rows), 'width': width,
            'encoding': encoding, 'is_bigendian': 0, 'step': rows.shape[1],
            'data': rows.reshape(-1),
        }
        return factory.make('sensor_msgs/msg/Image', **{**given, **fields})

    return make
