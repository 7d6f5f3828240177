# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are cameras, and which two of them are a stereo pair.

A camera is an image topic; its camera_info lies in the same namespace (image_transport's rule).
A pair is two calibrated cameras of one size whose names differ in left and right, or of which
one says in P[3] that it is the right one. A camera that is at fault does no harm to the others.
"""

from dataclasses import dataclass, replace

from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.bags.storage_file import shown
from perception_nodes.messages.camera import camera_from_info
from perception_nodes.messages.image import image_size
from perception_nodes.messages.topics import CAMERA_INFO, IMAGE, full_name
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import Camera, PerceptionError

COMPRESSED = 'sensor_msgs/msg/CompressedImage'

# Of one camera's several topics the first of these is taken: rectified before raw, colour before
# mono.
_PREFERRED = (
    'image_rect_color', 'image_rect', 'image_color', 'image', 'image_raw', 'image_mono',
)
_MEASUREMENTS = ('32FC1', '32FC2', '32FC3', '16UC1', '16SC1', '64FC1', '32SC1', '8UC2')
_GROUND_TRUTH = '/ground_truth/'
_LEFT_RIGHT = (('left', 'right'), ('infra1', 'infra2'), ('cam0', 'cam1'), ('image_0', 'image_1'))


@dataclass(frozen=True)
class CameraTopics:
    """Topics of one camera.

    Attributes
    ----------
    image : topic of Image or CompressedImage.
    info : topic of its CameraInfo; '' if the bag has none.
    camera : what the first CameraInfo says; None without one, or of an uncalibrated camera.
    problem : why there is no ``camera`` although there is a CameraInfo.
    no_pair : why this camera is no half of a pair, where its name says that it is one.
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
        pair = StereoTopics(_named(bag, left), _named(bag, right))
        if reason := _no_baseline(pair.left, pair.right):
            raise PerceptionError(f'{bag.path}: {reason}')
        return pair
    if image:
        return _named(bag, image)
    cameras = list_cameras(bag)
    if not cameras:
        held = shown(list(bag.topics())) or 'nothing'
        told = '; '.join(('', *bag.notes))
        raise PerceptionError(f'{bag.path} has no camera topic; it holds {held}{told}')
    pairs, reason = _pairs(cameras)
    if len(pairs) > 1:
        names = '; '.join(f'{pair.left.image} + {pair.right.image}' for pair in pairs)
        raise PerceptionError(
            f'{bag.path} has more than one stereo pair ({names}): '
            'choose with --left-topic and --right-topic'
        )
    if pairs:
        return pairs[0]
    calibrated = [camera for camera in cameras if camera.camera is not None]
    first = (calibrated or cameras)[0]
    others = tuple(camera.image for camera in cameras if camera is not first)
    return replace(first, no_pair=reason, beside=others)


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
    if topic.startswith(_GROUND_TRUTH) or any(full_name(task, '') in topic for task in TASKS):
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
            f'{bag.path} has no topic {topic}; it holds {shown(list(bag.topics()))}'
        )
    if summary.type not in (IMAGE, COMPRESSED):
        raise PerceptionError(f'topic {topic} is {summary.type}, not an image')
    if not summary.count:
        raise PerceptionError(f'topic {topic} holds no message')
    return _with_info(bag, topic)


def _with_info(bag: BagReader, topic: str) -> CameraTopics:
    """Find the CameraInfo of an image topic and read its first message.

    Of several that may be meant the first one that says the image's size.
    """
    topics = bag.topics()
    base = base_topic(topic)
    namespace, _, name = base.rpartition('/')
    candidates = dict.fromkeys((
        f'{namespace}/camera_info', f'{base}/camera_info', f'{base}_info',
        f'{namespace}/{name.replace("image", "camera_info")}',
        f'{namespace}/{name.replace("image", "info")}',
    ))
    found = [
        _camera_of(topic, info, first) for info in candidates
        if info in topics and topics[info].type == CAMERA_INFO and (first := bag.first(info))
    ]
    if len(found) < 2:
        return found[0] if found else CameraTopics(topic)
    size = image_size(image.message) if (image := bag.first(topic)) else None
    fitting = [c for c in found if c.camera and (c.camera.width, c.camera.height) == size]
    return (fitting or found)[0]


def _camera_of(topic: str, info: str, first: BagMessage) -> CameraTopics:
    try:
        return CameraTopics(topic, info, camera_from_info(first.message))
    except PerceptionError as error:
        return CameraTopics(topic, info, problem=f'{info}: {error}')


def _pairs(cameras: list[CameraTopics]) -> tuple[list[StereoTopics], str]:
    """All pairs: by name where names say left and right, else by P[3]; and why one is none."""
    named: list[StereoTopics] = []
    reasons: list[str] = []
    contradicted: set[str] = set()
    by_name = {camera.key: camera for camera in cameras}
    for first, second in _LEFT_RIGHT:
        for name, left in by_name.items():
            right = by_name.get(second.join(name.rsplit(first, 1))) if first in name else None
            if right is None:
                continue
            if reason := _no_pair(left, right):
                reasons.append(reason)
                contradicted |= {left.key, right.key}
            else:
                named.append(StereoTopics(left, right))
    others = [camera for camera in cameras if camera.key not in contradicted]
    return named or _pairs_by_projection(others), reasons[0] if reasons else ''


def _no_pair(left: CameraTopics, right: CameraTopics) -> str:
    """Why two cameras that are named as a pair are none; '' if they are one."""
    for camera in (left, right):
        if camera.camera is None:
            return camera.problem or f'{camera.image} has no camera_info'
    if left.is_rectified != right.is_rectified:
        return (
            f'{left.image} and {right.image}: one is rectified and the other is not; '
            'choose with --left-topic and --right-topic'
        )
    return _no_baseline(left, right)


def _no_baseline(left: CameraTopics, right: CameraTopics) -> str:
    """Why P[3] makes no pair of two cameras; '' if it does, or one has no calibration."""
    if left.camera is None or right.camera is None:
        return ''
    left_p3, right_p3 = float(left.camera.p[0, 3]), float(right.camera.p[0, 3])
    if left_p3 > right_p3:
        return ''
    names = f'{left.image} and {right.image} are no stereo pair'
    if left_p3 == right_p3 == 0.0:
        return f'{names}: P[3] is 0 in both camera_info, and -fx * baseline in that of a right one'
    if left_p3 == right_p3:
        return (
            f'{names}: P[3] of the left camera_info ({left.info}) is {left_p3:g} as in the right '
            'one, so the baseline is 0; it must be 0 in the left one'
        )
    return (
        f'{names}: P[3] is {left_p3:g} in the left camera_info ({left.info}) and {right_p3:g} in '
        'the right one; are left and right swapped?'
    )


def _pairs_by_projection(cameras: list[CameraTopics]) -> list[StereoTopics]:
    return [
        StereoTopics(left, right)
        for left in cameras for right in cameras
        if left.camera and right.camera
        and (left.camera.width, left.camera.height) == (right.camera.width, right.camera.height)
        and left.camera.p[0, 0] == right.camera.p[0, 0]
        and left.camera.p[0, 3] == 0.0 > right.camera.p[0, 3]
    ]
