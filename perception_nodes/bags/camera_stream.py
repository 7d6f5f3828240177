# SPDX-License-Identifier: Apache-2.0
"""One camera's messages of a recording: images come out with the calibration of their moment."""

from perception_nodes.bags.camera_topics import CameraTopics
from perception_nodes.bags.reader import BagMessage, TopicSummary
from perception_nodes.files.image_limits import ImageLimits
from perception_nodes.messages.camera import camera_from_info, is_calibrated, rectified
from perception_nodes.messages.camera_infos import CameraInfos
from perception_nodes.messages.image import decode_image
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.pipelines.rectification import Rectifier
from perception_nodes.types import Camera, Image, PerceptionError

__all__ = ['CameraStream']


class CameraStream:
    """One camera's messages: images come out rectified, with the calibration of their moment."""

    def __init__(
        self, topics: CameraTopics, infos: TopicSummary | None, limits: ImageLimits,
        info_max_age_s: float,
    ) -> None:
        self.topics = topics
        self._limits = limits
        # A single one applies to the whole recording, whatever its QoS.
        self._latched = infos is not None and (infos.latched or infos.count == 1)
        self._infos = CameraInfos(info_max_age_s)
        self._own_stamps = False
        self._rectifier = Rectifier()

    def take_info(self, message: BagMessage) -> None:
        """Remember a CameraInfo."""
        self._infos.add(message.message, latched=self._latched)

    def waits_for_info(self, image: BagMessage) -> bool:
        """Return whether the camera_info of an image is not there and may still come."""
        if not self.topics.info:
            return False
        try:
            match = self._infos.find(image.message)
        except PerceptionError:
            return True
        self._own_stamps |= match.exact
        if match.exact or not self._own_stamps:
            return False
        newest = stamp_ns(self._infos.newest.header.stamp)
        return newest < stamp_ns(image.message.header.stamp)

    def rectify(self, message: BagMessage) -> tuple[Image, Camera | None]:
        """Decode and rectify an image."""
        image = decode_image(message.message, self._limits)
        if not self.topics.info:
            return image, None
        info = self._infos.find(message.message).info
        if not is_calibrated(info):
            return image, None
        camera = camera_from_info(info)
        if (camera.width, camera.height) != (image.width, image.height):
            raise PerceptionError(
                f'image is {image.width}x{image.height} but its camera_info says '
                f'{camera.width}x{camera.height}'
            )
        if self.topics.is_rectified:
            return image, rectified(camera)
        return self._rectifier(image, camera)
