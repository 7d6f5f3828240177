# SPDX-License-Identifier: Apache-2.0
"""Messages of rosbags' own classes: what a bag is read into and written from without ROS."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from perception_nodes.messages.primitives import NS_PER_S
from perception_nodes.types import Array, FloatArray, PerceptionError

# vision_msgs is not among rosbags' types; its two we write are these.
_VISION_TYPES = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    'vision_msgs/msg/LabelInfo': (
        'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n'
    ),
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the message types of ROS 2 Humble and those of vision_msgs that we write."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, definition in _VISION_TYPES.items():
        store.register(get_types_from_msg(definition, name))
    return store


class BagFactory:
    """Makes rosbags messages (a ``messages.factory.MessageFactory``)."""

    def __init__(self, store: Typestore | None = None) -> None:
        self._types = (store or typestore()).types

    def has(self, type_name: str) -> bool:
        """Return whether the type is known."""
        return type_name in self._types

    def make(self, type_name: str, **fields: Any) -> Any:
        """Make a message; see MessageFactory."""
        if type_name not in self._types:
            raise PerceptionError(f'message type {type_name} is not known to the bag library')
        return self._types[type_name](**fields)

    def bytes_field(self, data: Array) -> Any:
        """Return the array's memory as uint8 [N]; no copy if it is contiguous."""
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)

    def floats_field(self, values: FloatArray | Sequence[float]) -> Any:
        """Return float64 [N]."""
        return np.asarray(values, np.float64).reshape(-1)

    def octet(self, value: int) -> Any:
        """Return the number itself."""
        return int(value)

    def time(self, stamp_ns: int) -> Any:
        """Make builtin_interfaces/msg/Time."""
        seconds, nanoseconds = divmod(int(stamp_ns), NS_PER_S)
        return self.make('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)
