# SPDX-License-Identifier: Apache-2.0
"""The messages of one frame, before decoding."""

from dataclasses import dataclass, field
from typing import Any

from perception_nodes.messages.camera_infos import MAX_AGE_S
from perception_nodes.messages.pairing import PAIR_CAPACITY
from perception_nodes.pipelines.tasks import AuxiliaryInput
from perception_nodes.time_order import CLOCK_JUMP_S

LEFT, RIGHT = 'left', 'right'


@dataclass(frozen=True)
class RawFrame:
    """The messages of one moment.

    Attributes
    ----------
    left, right : image messages; of one camera, left alone.
    left_info, right_info : the camera_info of each image, None where none is needed.
    auxiliary : by task, the messages by topic of the result that another node sent for this very
        stamp; of what is taken by time, of the last result before it and the first one after it.
    arrived_s : monotonic time at which the last image of it came.
    """

    stamp_ns: int
    left: Any
    right: Any = None
    left_info: Any = None
    right_info: Any = None
    auxiliary: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    arrived_s: float = 0.0


@dataclass(frozen=True)
class Assembly:
    """What a whole frame is.

    Attributes
    ----------
    stereo : whether a frame is a pair. infos : sides that need a camera_info.
    sync : what pairs, one of ros.config.SYNCS.
    tolerance_ns : of the stamps of a pair. capacity : images that wait on each side.
    auxiliary : what a frame may wait for, and wait_s how long.
    clock_jump_s : how far stamps go back when the clock did; less is a late frame.
    info_max_age_s : of a camera_info that is not of the image's own stamp.
    """

    stereo: bool = False
    infos: tuple[str, ...] = ()
    sync: str = 'own'
    tolerance_ns: int = 0
    capacity: int = PAIR_CAPACITY
    auxiliary: tuple[AuxiliaryInput, ...] = ()
    wait_s: float = 0.0
    clock_jump_s: float = CLOCK_JUMP_S
    info_max_age_s: float = MAX_AGE_S
