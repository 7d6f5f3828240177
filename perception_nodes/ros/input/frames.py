# SPDX-License-Identifier: Apache-2.0
"""Messages of one moment decoded, once, into what the pipelines take."""

from typing import Any

from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from perception_nodes.messages.camera import camera_from_info, rectified
from perception_nodes.pipelines.perception import Failed, MonoFrame, Results, StereoFrame
from perception_nodes.pipelines.rectification import Rectifier
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.input.codecs import open_codec
from perception_nodes.ros.input.raw_frame import RawFrame
from perception_nodes.types import Camera, Image, PerceptionError, StereoRig


class FrameDecoder:
    """Decodes frames of one node.

    Parameters
    ----------
    rectify : images are raw and are rectified here; else they are rectified already, and what
        camera_info says of the lens is history.
    limits : sizes above which no image is decoded.
    codec : what decodes, one of ros.config.CODECS.
    """

    def __init__(
        self, rectify: bool, limits: ImageLimits = DEFAULT_IMAGE_LIMITS, codec: str = 'own'
    ) -> None:
        self._rectify, self._limits = rectify, limits
        self._decode = open_codec(codec)
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
        image = self._decode(message, self._limits)
        if info is None:
            return image, None
        camera = camera_from_info(info)
        if self._rectify:
            return rectifier(image, camera)
        return image, rectified(camera)


def decode_auxiliary(raw: RawFrame, failed: Failed) -> Results:
    """Return the auxiliary inputs of this frame, by task.

    Parameters
    ----------
    failed : called with a message that is malformed; the frame goes on without it.
    """
    given: dict[str, Any] = {}
    for task, parts in raw.auxiliary.items():
        try:
            result = TASKS[task].implementation.result_at(parts, raw.stamp_ns)
        except Exception as error:  # whatever it was, the frame goes on without it
            failed(task, error)
            continue
        if result is not None:
            given[task] = result
    return given
