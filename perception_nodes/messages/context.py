# SPDX-License-Identifier: Apache-2.0
"""What an encoder may want besides the result itself."""

from dataclasses import dataclass
from typing import Any, Protocol

from perception_nodes.types import Image

__all__ = ['Context', 'History']


class History(Protocol):
    """What a task's encoder remembers of its earlier results."""

    def append(self, result: Any) -> None:
        """Add the newest result."""
        ...

    def clear(self) -> None:
        """Forget all."""
        ...

    def message(self, stamp_ns: int, frame_id: str) -> Any:
        """Make the message of everything that is remembered."""
        ...


@dataclass(frozen=True)
class Context:
    """What an encoder may want besides the result itself; all of it optional.

    Attributes
    ----------
    image : the image that the result describes: under the overlay, colour of the points.
    palette : colour (R, G, B) 0..255 of each class id; empty = one is made.
    history : earlier results, this one included: poses of the path.
    """

    image: Image | None = None
    palette: tuple[tuple[int, int, int], ...] = ()
    history: History | None = None
