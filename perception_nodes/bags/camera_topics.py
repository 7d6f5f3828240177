# SPDX-License-Identifier: Apache-2.0
"""The topics of one camera, and of two that are a stereo pair."""

from dataclasses import dataclass

from perception_nodes.types import Camera

__all__ = ['CameraTopics', 'StereoTopics', 'base_topic', 'camera_key']


@dataclass(frozen=True)
class CameraTopics:
    """Topics of one camera.

    Attributes
    ----------
    image : topic of Image or CompressedImage.
    info : topic of its CameraInfo; '' if the bag has none.
    camera : from the first CameraInfo; None without one, or of an uncalibrated camera.
    problem : why there is no ``camera`` although there is a CameraInfo.
    no_pair : why this camera is not part of a pair although its name suggests it.
    beside : image topics of the other cameras of the bag, where it was not chosen by name.
    """

    image: str
    info: str = ''
    camera: Camera | None = None
    problem: str = ''
    no_pair: str = ''
    beside: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name of the camera."""
        return camera_key(self.image)

    @property
    def is_rectified(self) -> bool:
        """Whether the images are rectified already, by the name (REP 118, image_proc)."""
        return 'rect' in base_topic(self.image).rpartition('/')[2]


@dataclass(frozen=True)
class StereoTopics:
    """Topics of a pair."""

    left: CameraTopics
    right: CameraTopics


def camera_key(topic: str) -> str:
    """Name of a camera: its namespace, or the topic itself where that holds the name.

    '/cam/image_raw/compressed' is of '/cam', '/left_image' of '/left_image'.
    """
    namespace, _, name = base_topic(topic).rpartition('/')
    return namespace if name.startswith('image') else base_topic(topic)


def base_topic(topic: str) -> str:
    """Topic without image_transport's ending."""
    return topic.removesuffix('/compressed')
