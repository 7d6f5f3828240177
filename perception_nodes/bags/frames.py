# SPDX-License-Identifier: Apache-2.0
"""The frames of a bag, as the pipelines take them: decoded, rectified, left with its right."""

from collections.abc import Iterator

from perception_nodes.bags.cameras import CameraTopics, StereoTopics
from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.messages.camera import camera_from_info, rectified
from perception_nodes.messages.image import decode_image
from perception_nodes.messages.pairing import StampPairer
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.pipelines.rectification import Rectifier
from perception_nodes.types import Camera, Image, PerceptionError, StereoRig

# Images that wait for their partner: a second of a fast camera.
WAITING = 60


class _CameraStream:
    """One camera's messages: images come out rectified, with the newest calibration."""

    def __init__(self, topics: CameraTopics) -> None:
        self.topics = topics
        self._camera = topics.camera
        self._rectifier = Rectifier()

    def take_info(self, message: BagMessage) -> None:
        """Remember a CameraInfo."""
        self._camera = camera_from_info(message.message)

    def rectify(self, message: BagMessage) -> tuple[Image, Camera | None]:
        """Decode and rectify an image."""
        image = decode_image(message.message)
        if self._camera is None:
            return image, None
        if self.topics.is_rectified:
            return image, rectified(self._camera)
        return self._rectifier(image, self._camera)


class BagFrames:
    """Iterates over the frames of one camera or of a pair; every frame, in order.

    Parameters
    ----------
    bag : open.
    topics : what ``cameras.find_cameras`` found.
    tolerance_ns : how far the stamps of a pair may be apart.

    Attributes
    ----------
    pairer : after the last frame it tells how many images had no partner.
    """

    def __init__(
        self, bag: BagReader, topics: StereoTopics | CameraTopics, tolerance_ns: int = 0
    ) -> None:
        self.bag = bag
        self.topics = topics
        self.pairer: StampPairer[BagMessage] = StampPairer(tolerance_ns, WAITING)

    def __len__(self) -> int:
        """Images of the (left) camera: as many frames if none is without its partner."""
        camera = self.topics.left if isinstance(self.topics, StereoTopics) else self.topics
        return self.bag.topics()[camera.image].count

    def __iter__(self) -> Iterator[StereoFrame | MonoFrame]:
        if isinstance(self.topics, StereoTopics):
            return self._pairs(self.topics)
        return self._singles(self.topics)

    def _singles(self, topics: CameraTopics) -> Iterator[MonoFrame]:
        stream = _CameraStream(topics)
        for message in self.bag.messages(_names(topics)):
            with _Telling(self.bag, message):
                if message.topic == topics.info:
                    stream.take_info(message)
                    continue
                frame = MonoFrame(*stream.rectify(message))
            yield frame

    def _pairs(self, topics: StereoTopics) -> Iterator[StereoFrame]:
        left, right = _CameraStream(topics.left), _CameraStream(topics.right)
        infos = {topics.left.info: left, topics.right.info: right}
        for message in self.bag.messages([*_names(topics.left), *_names(topics.right)]):
            with _Telling(self.bag, message):
                if message.topic in infos:
                    infos[message.topic].take_info(message)
                    continue
                add = self.pairer.left if message.topic == topics.left.image else self.pairer.right
                pair = add(stamp_ns(message.message.header.stamp), message)
            if pair is not None:
                yield self._stereo_frame(left, pair[0], right, pair[1])
        self.pairer.clear()
        if not self.pairer.paired:
            gap = self.pairer.nearest_gap_ns
            apart = '' if gap is None else f' (the nearest are {gap / 1e6:.3f} ms apart)'
            raise PerceptionError(
                f'no stamps of {topics.left.image} and {topics.right.image} belong together'
                f'{apart}; raise --tolerance-ms or synchronise the cameras'
            )


    def _stereo_frame(
        self, left: _CameraStream, left_message: BagMessage, right: _CameraStream,
        right_message: BagMessage,
    ) -> StereoFrame:
        with _Telling(self.bag, left_message):
            left_image, left_camera = left.rectify(left_message)
        with _Telling(self.bag, right_message):
            right_image, right_camera = right.rectify(right_message)
            if left_camera is None or right_camera is None:
                raise PerceptionError('a stereo pair needs camera_info of both cameras')
            return StereoFrame(left_image, right_image, StereoRig(left_camera, right_camera))


class _Telling:
    """Adds bag, topic and time to what is wrong with a message."""

    def __init__(self, bag: BagReader, message: BagMessage) -> None:
        self._bag, self._message = bag, message

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, PerceptionError):
            raise PerceptionError(
                f'{self._bag.path}: {self._message.topic} at {self._message.recorded_ns} ns: '
                f'{error}'
            ) from None


def _names(topics: CameraTopics) -> list[str]:
    return [topics.image, topics.info] if topics.info else [topics.image]

