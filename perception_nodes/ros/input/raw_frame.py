# SPDX-License-Identifier: Apache-2.0
"""The messages of one moment, and what a node asks of them."""

from dataclasses import dataclass, field
from typing import Any

from perception_nodes.messages.camera_infos import MAX_AGE_S
from perception_nodes.time_order import CLOCK_JUMP_S

LEFT, RIGHT = 'left', 'right'


@dataclass(frozen=True)
class RawFrame:
    """The messages of one moment.

    Attributes
    ----------
    left, right : image messages; of one camera, left alone.
    left_info, right_info : the camera_info of each image, None where none is needed.
    auxiliary : by task, the messages by topic that another node sent for this very stamp; of
        what comes by time, those around it ('before', 'after').
    arrived_s : monotonic time at which the last image of it came.
    """

    stamp_ns: int
    left: Any
    right: Any = None
    left_info: Any = None
    right_info: Any = None
    auxiliary: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrived_s: float = 0.0


@dataclass(frozen=True)
class AuxiliaryInput:
    """What another node sends about the same images.

    Attributes
    ----------
    task : whose result it is. topics : all that belong to one result.
    by_time : the result need not have the image's stamp (odometry: it is interpolated); it is
        complete once a message as new as the image has come.
    """

    task: str
    topics: tuple[str, ...]
    by_time: bool = False


@dataclass(frozen=True)
class Assembly:
    """What a whole frame is.

    Attributes
    ----------
    stereo : whether a frame is a pair. infos : sides that need a camera_info.
    tolerance_ns : of the stamps of a pair.
    auxiliary : what a frame may wait for, and wait_s how long.
    clock_jump_s : how far stamps go back when the clock did; less is a late frame.
    info_max_age_s : of a camera_info that is not of the image's own stamp.
    """

    stereo: bool = False
    infos: tuple[str, ...] = ()
    tolerance_ns: int = 0
    auxiliary: tuple[AuxiliaryInput, ...] = ()
    wait_s: float = 0.0
    clock_jump_s: float = CLOCK_JUMP_S
    info_max_age_s: float = MAX_AGE_S
