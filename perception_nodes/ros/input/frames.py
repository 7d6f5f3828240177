# SPDX-License-Identifier: Apache-2.0
"""Messages of one moment decoded, once, into what the pipelines take."""

from collections.abc import Mapping
from typing import Any

from perception_nodes.geometry import se3
from perception_nodes.messages.camera import camera_from_info, rectified
from perception_nodes.messages.decode import DECODERS
from perception_nodes.messages.image import decode_image
from perception_nodes.pipelines.perception import Failed, MonoFrame, Results, StereoFrame
from perception_nodes.pipelines.rectification import Rectifier
from perception_nodes.ros.input.raw_frame import RawFrame
from perception_nodes.types import (
    Camera,
    FloatArray,
    Image,
    Odometry,
    PerceptionError,
    StereoRig,
)

MAX_GAP_NS = 200_000_000


class FrameDecoder:
    """Decodes frames of one node.

    Parameters
    ----------
    rectify : images are raw and are rectified here; else they are rectified already, and what
        camera_info says of the lens is history.
    """

    def __init__(self, rectify: bool) -> None:
        self._rectify = rectify
        self._left, self._right = Rectifier(), Rectifier()

    def __call__(self, raw: RawFrame) -> MonoFrame | StereoFrame:
        """Decode.

        Raises
        ------
        PerceptionError
            If an image or camera_info is malformed or the two cameras are no stereo pair.
        """
        image, camera = self._one(raw.left, raw.left_info, self._left)
        if raw.right is None:
            return MonoFrame(image, camera)
        right, right_camera = self._one(raw.right, raw.right_info, self._right)
        if camera is None or right_camera is None:  # a pair waits for both
            raise PerceptionError('a pair came without the camera_info of both cameras')
        return StereoFrame(image, right, StereoRig(camera, right_camera))

    def _one(self, message: Any, info: Any, rectifier: Rectifier) -> tuple[Image, Camera | None]:
        image = decode_image(message)
        if info is None:
            return image, None
        camera = camera_from_info(info)
        if self._rectify:
            return rectifier(image, camera)
        return image, rectified(camera)


def decode_auxiliary(raw: RawFrame, failed: Failed) -> Results:
    """Give what other nodes said of this frame; None where they said nothing.

    Parameters
    ----------
    failed : told of a message that is malformed; the frame goes on without it.
    """
    given: dict[str, Any] = {}
    for task, messages in raw.auxiliary.items():
        try:
            if task == 'visual_odometry':
                given[task] = _odometry_at(raw.stamp_ns, messages)
            else:
                given[task] = DECODERS[task](messages)
        except PerceptionError as error:
            failed(task, error)
    return Results(raw.stamp_ns, **given)


def _odometry_at(stamp_ns: int, messages: Mapping[str, Any]) -> Odometry | None:
    """Odometry at a time, its pose interpolated between the messages around it.

    None if the nearest is further away than MAX_GAP_NS.
    """
    decode = DECODERS['visual_odometry']
    near = {side: decode({'odometry': message}) for side, message in messages.items()}
    before, after = near.get('before'), near.get('after')
    nearest = min(near.values(), key=lambda odometry: abs(odometry.stamp_ns - stamp_ns))
    if abs(nearest.stamp_ns - stamp_ns) > MAX_GAP_NS:
        return None
    if before is None or after is None or before.stamp_ns == after.stamp_ns:
        return nearest
    part = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
    return Odometry(
        stamp_ns, nearest.frame_id, nearest.child_frame_id,
        _interpolated(before.odom_from_base, after.odom_from_base, part),
        nearest.pose_covariance, nearest.twist, nearest.twist_covariance, nearest.tracking,
    )


def _interpolated(a: FloatArray, b: FloatArray, part: float) -> FloatArray:
    """Pose on the screw motion from a (part 0) to b (part 1), [4, 4]."""
    return a @ se3.exp(part * se3.log(se3.inverse(a) @ b))
