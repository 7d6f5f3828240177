# SPDX-License-Identifier: Apache-2.0
"""What an encoder may want besides the result itself."""

from dataclasses import dataclass

from perception_nodes.messages.trajectory import Trajectory
from perception_nodes.types import Image


@dataclass(frozen=True)
class Context:
    """What an encoder may want besides the result itself; all of it optional.

    Attributes
    ----------
    image : the image that the result describes: under the overlay, colour of the points.
    palette : colour (R, G, B) 0..255 of each class id; empty = one is made.
    trajectory : poses so far, for the path.
    map_frame : frame of the places.
    base_frame : the vehicle's frame in loop closures.
    """

    image: Image | None = None
    palette: tuple[tuple[int, int, int], ...] = ()
    trajectory: Trajectory | None = None
    map_frame: str = 'map'
    base_frame: str = 'base_link'
