# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are cameras, and which two of them are a stereo pair.

A camera is an image topic; its camera_info lies in the same namespace (image_transport's rule).
A pair is two calibrated cameras of one size whose names differ in left and right, or of which
one says in P[3] that it is the right one.
"""

import re
from dataclasses import dataclass

from perception_nodes.bags.reader import BagReader
from perception_nodes.messages.camera import camera_from_info
from perception_nodes.messages.topics import CAMERA_INFO, IMAGE, TOPICS, node_name
from perception_nodes.types import Camera, PerceptionError

COMPRESSED = 'sensor_msgs/msg/CompressedImage'

# Of one camera's several topics the first of these is taken: rectified before raw, colour before
# mono.
_PREFERRED = (
    'image_rect_color', 'image_rect', 'image_color', 'image', 'image_raw', 'image_mono',
)
_MEASUREMENTS = ('32FC1', '32FC2', '32FC3', '16UC1', '64FC1', '32SC1')
_NOT_CAMERAS = re.compile('|'.join(['^/ground_truth/', *(f'/{node_name(t)}/' for t in TOPICS)]))
_LEFT_RIGHT = (('left', 'right'), ('infra1', 'infra2'), ('cam0', 'cam1'), ('image_0', 'image_1'))


@dataclass(frozen=True)
class CameraTopics:
    """Topics of one camera.

    Attributes
    ----------
    image : topic of Image or CompressedImage.
    info : topic of its CameraInfo; '' if the bag has none.
    camera : what the first CameraInfo says; None without one.
    """

    image: str
    info: str = ''
    camera: Camera | None = None

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


def find_cameras(
    bag: BagReader, *, left: str = '', right: str = '', image: str = ''
) -> StereoTopics | CameraTopics:
    """Find the pair to work on, or the one camera where there is no pair.

    Parameters
    ----------
    left, right : image topics of the pair, both or none.
    image : the topic of the one camera.

    Raises
    ------
    PerceptionError
        If there is no camera, a named topic is not one, or more than one pair would do.
    """
    if bool(left) != bool(right):
        raise PerceptionError('name both --left-topic and --right-topic, or neither')
    if left:
        return StereoTopics(_named(bag, left), _named(bag, right))
    if image:
        return _named(bag, image)
    cameras = list_cameras(bag)
    if not cameras:
        shown = ', '.join(bag.topics()) or 'nothing at all'
        raise PerceptionError(f'{bag.path} has no camera topic; it holds {shown}')
    pairs = _pairs(cameras)
    if len(pairs) > 1:
        names = '; '.join(f'{pair.left.image} + {pair.right.image}' for pair in pairs)
        raise PerceptionError(
            f'{bag.path} has more than one stereo pair ({names}): '
            'choose with --left-topic and --right-topic'
        )
    if pairs:
        return pairs[0]
    calibrated = [camera for camera in cameras if camera.camera is not None]
    return (calibrated or cameras)[0]


def list_cameras(bag: BagReader) -> list[CameraTopics]:
    """List the cameras of a bag, one entry a camera, by name."""
    topics = bag.topics()
    images: dict[str, list[str]] = {}
    for name, summary in topics.items():
        if summary.type in (IMAGE, COMPRESSED) and summary.count and _is_image(bag, name):
            images.setdefault(camera_key(name), []).append(name)
    return [
        _with_info(bag, min(names, key=_preference)) for _, names in sorted(images.items())
    ]


def camera_key(topic: str) -> str:
    """Name of a camera: its namespace, or the topic itself where that holds the name.

    '/cam/image_raw/compressed' is of '/cam', '/left_image' of '/left_image'.
    """
    namespace, _, name = base_topic(topic).rpartition('/')
    return namespace if name.startswith('image') else base_topic(topic)


def base_topic(topic: str) -> str:
    """Topic without image_transport's ending."""
    return topic.removesuffix('/compressed')


def _preference(topic: str) -> tuple[int, int, str]:
    name = base_topic(topic).rpartition('/')[2]
    rank = _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
    return rank, int(topic != base_topic(topic)), topic


def _is_image(bag: BagReader, topic: str) -> bool:
    """Whether the topic holds what a camera sees, and not depth or a result of perception."""
    if _NOT_CAMERAS.search(topic):
        return False
    first = bag.first(topic)
    if first is None:
        return False
    if first.type == COMPRESSED:
        return 'compressedDepth' not in first.message.format
    return first.message.encoding not in _MEASUREMENTS


def _named(bag: BagReader, topic: str) -> CameraTopics:
    """Camera of a topic that the user named."""
    summary = bag.topics().get(topic)
    if summary is None:
        raise PerceptionError(
            f'{bag.path} has no topic {topic}; it holds {", ".join(bag.topics())}'
        )
    if summary.type not in (IMAGE, COMPRESSED):
        raise PerceptionError(f'topic {topic} is {summary.type}, not an image')
    if not summary.count:
        raise PerceptionError(f'topic {topic} holds no message')
    return _with_info(bag, topic)


def _with_info(bag: BagReader, topic: str) -> CameraTopics:
    """Find the CameraInfo of an image topic and read its first message."""
    topics = bag.topics()
    base = base_topic(topic)
    namespace, _, name = base.rpartition('/')
    candidates = (
        f'{namespace}/camera_info', f'{base}/camera_info', f'{base}_info',
        f'{namespace}/{name.replace("image", "camera_info")}',
        f'{namespace}/{name.replace("image", "info")}',
    )
    for info in candidates:
        summary = topics.get(info)
        if summary and summary.type == CAMERA_INFO and (first := bag.first(info)):
            try:
                return CameraTopics(topic, info, camera_from_info(first.message))
            except PerceptionError as error:
                raise PerceptionError(f'{bag.path}: {info}: {error}') from None
    return CameraTopics(topic)


def _pairs(cameras: list[CameraTopics]) -> list[StereoTopics]:
    """All pairs: by name where names say left and right, else by P[3]."""
    named = [
        pair for first, second in _LEFT_RIGHT
        for pair in _pairs_by_name(cameras, first, second)
    ]
    return named or _pairs_by_projection(cameras)


def _pairs_by_name(cameras: list[CameraTopics], first: str, second: str) -> list[StereoTopics]:
    by_name = {camera.key: camera for camera in cameras}
    pairs = []
    for name, left in by_name.items():
        right = by_name.get(second.join(name.rsplit(first, 1))) if first in name else None
        if right is not None and left.camera and right.camera:
            pairs.append(StereoTopics(left, _same_kind(left, right)))
    return pairs


def _pairs_by_projection(cameras: list[CameraTopics]) -> list[StereoTopics]:
    return [
        StereoTopics(left, right)
        for left in cameras for right in cameras
        if left.camera and right.camera
        and (left.camera.width, left.camera.height) == (right.camera.width, right.camera.height)
        and left.camera.p[0, 0] == right.camera.p[0, 0]
        and left.camera.p[0, 3] == 0.0 > right.camera.p[0, 3]
    ]


def _same_kind(left: CameraTopics, right: CameraTopics) -> CameraTopics:
    """Refuse a pair of which one image is rectified and the other is raw."""
    if left.is_rectified != right.is_rectified:
        raise PerceptionError(
            f'{left.image} and {right.image}: one is rectified and the other is not; '
            'choose with --left-topic and --right-topic'
        )
    return right
