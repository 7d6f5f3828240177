# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are cameras, and which two of them are a stereo pair.

A camera is an image topic; its camera_info lies in the same namespace (image_transport's rule).
A camera that is at fault does no harm to the others.
"""

from dataclasses import replace

from perception_nodes.bags.camera_topics import (
    CameraTopics,
    StereoTopics,
    base_topic,
    camera_key,
)
from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.bags.stereo_pairs import no_baseline, stereo_pairs
from perception_nodes.bags.storage_file import shown
from perception_nodes.messages.camera import camera_from_info
from perception_nodes.messages.image import image_size
from perception_nodes.messages.topics import CAMERA_INFO, IMAGE, full_name
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError

__all__ = ['COMPRESSED', 'CameraTopics', 'StereoTopics', 'find_cameras', 'list_cameras']

COMPRESSED = 'sensor_msgs/msg/CompressedImage'

# Of one camera's several topics the first of these is taken: rectified before raw, colour before
# mono.
_PREFERRED = (
    'image_rect_color', 'image_rect', 'image_color', 'image', 'image_raw', 'image_mono',
)
_MEASUREMENTS = ('32FC1', '32FC2', '32FC3', '16UC1', '16SC1', '64FC1', '32SC1', '8UC2')
_GROUND_TRUTH = '/ground_truth/'


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
        if reason := no_baseline(pair.left, pair.right):
            raise PerceptionError(f'{bag.path}: {reason}')
        return pair
    if image:
        return _named(bag, image)
    cameras = list_cameras(bag)
    if not cameras:
        held = shown(list(bag.topics())) or 'nothing'
        notes = '; '.join(('', *bag.notes))
        raise PerceptionError(f'{bag.path} has no camera topic; it holds {held}{notes}')
    pairs, reason = stereo_pairs(cameras)
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

    Of several candidates the first one with the image's size.
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
