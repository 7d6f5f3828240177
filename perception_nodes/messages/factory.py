# SPDX-License-Identifier: Apache-2.0
"""How messages are made without knowing whose classes they are: rclpy's or rosbags'."""

from collections.abc import Sequence
from typing import Any, Protocol

from perception_nodes.types import Array, FloatArray


class MessageFactory(Protocol):
    """Makes messages of ROS 2 types; one over rclpy's classes, one over rosbags'.

    The two libraries store a few kinds of field differently; those go through ``bytes_field``,
    ``floats_field`` and ``octet``, everything else is the same for both.
    """

    def has(self, type_name: str) -> bool:
        """Return whether this type ('sensor_msgs/msg/Image') can be made here."""
        ...

    def make(self, type_name: str, **fields: Any) -> Any:
        """Make a message; every field of the type is named.

        Raises
        ------
        PerceptionError
            If the type is not installed here.
        """
        ...

    def bytes_field(self, data: Array) -> Any:
        """Store the memory of an array (any dtype, C order) as a ``uint8[]`` field."""
        ...

    def floats_field(self, values: FloatArray | Sequence[float]) -> Any:
        """Store numbers as a ``float64[]`` or ``float64[N]`` field."""
        ...

    def octet(self, value: int) -> Any:
        """Store a number 0..255 as a ``byte`` field (DiagnosticStatus.level)."""
        ...

    def time(self, stamp_ns: int) -> Any:
        """Make builtin_interfaces/msg/Time of integer nanoseconds."""
        ...
