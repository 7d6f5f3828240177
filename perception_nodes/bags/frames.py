# SPDX-License-Identifier: Apache-2.0
"""The frames of a bag, as the pipelines take them: decoded, rectified, left with its right.

What cannot be used is skipped, counted and reported; only a bag without any frame is an error.
"""

from array import array
from collections import deque
from collections.abc import Iterator

from perception_nodes.bags.camera_stream import CameraStream
from perception_nodes.bags.camera_topics import CameraTopics, StereoTopics
from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.bags.storage_file import plural
from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from perception_nodes.messages.camera_infos import MAX_AGE_S
from perception_nodes.messages.pairing import PAIR_CAPACITY, PAIR_TOLERANCE_NS, StampPairer
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.time_order import CLOCK_JUMP_S, Arrival, TimeOrder
from perception_nodes.types import BagError, Camera, Image, PerceptionError, StereoRig

__all__ = ['BagFrames']

# Frames that wait for the camera_info of their stamp: it may be written after the image.
_LOOK_AHEAD = 8

_Images = tuple[BagMessage, ...]


class BagFrames:
    """Iterates over the frames of one camera or of a pair; every frame, in order.

    Parameters
    ----------
    bag : open; what of it is left out is in its ``notes``.
    topics : what ``cameras.find_cameras`` found.
    tolerance_ns : how far the stamps of a pair may be apart.
    capacity : images that wait for their partner on each side.
    clock_jump_s : a stamp that goes back by this much or more starts a new pass (a looped bag);
        a frame that is late by less is dropped.
    info_max_age_s : a camera_info that has not the stamp of an image may be this much older or
        newer, unless it is latched; 0 = any age.
    limits : sizes above which no image is decoded.

    Attributes
    ----------
    stamps : of the frames so far, nanoseconds.
    pairer : counts images without a partner. order : counts frames out of order.
    """

    def __init__(
        self, bag: BagReader, topics: StereoTopics | CameraTopics,
        tolerance_ns: int = PAIR_TOLERANCE_NS, *, capacity: int = PAIR_CAPACITY,
        clock_jump_s: float = CLOCK_JUMP_S, info_max_age_s: float = MAX_AGE_S,
        limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
    ) -> None:
        self.bag = bag
        self.topics = topics
        self.pairer: StampPairer[BagMessage] = StampPairer(tolerance_ns, capacity, clock_jump_s)
        self.order = TimeOrder(clock_jump_s)
        self.stamps: array[int] = array('q')
        self._repeated = 0
        self._first_reason = ''
        cameras = (topics.left, topics.right) if isinstance(topics, StereoTopics) else (topics,)
        held = bag.topics()
        self._streams = tuple(
            CameraStream(camera, held.get(camera.info), limits, info_max_age_s)
            for camera in cameras
        )

    def __len__(self) -> int:
        """Images of the (left) camera: as many frames if none is without its partner."""
        return self.bag.topics()[self._streams[0].topics.image].count

    def __iter__(self) -> Iterator[StereoFrame | MonoFrame]:
        waiting: deque[_Images] = deque()
        for images in self._grouped():
            if images:
                waiting.append(images)
            while waiting and (len(waiting) > _LOOK_AHEAD or not self._waits(waiting[0])):
                yield from self._usable(waiting.popleft())
        for images in waiting:
            yield from self._usable(images)
        self.pairer.clear()
        self._check()

    def notes(self) -> tuple[str, ...]:
        """What the user should know of the frames that were given."""
        found = [*self.order.complaints()]
        left, right = self.pairer.unpaired
        if left or right:
            found.append(f'without a partner: {left} left and {right} right images')
        if self._repeated:
            found.append(
                f'{plural(self._repeated, "frame")} with the stamp of the one before: dropped, '
                'their stamps do not advance'
            )
        return tuple(found)

    def _grouped(self) -> Iterator[_Images]:
        """Return the images of one moment; nothing where a camera_info came."""
        infos = {stream.topics.info: stream for stream in self._streams if stream.topics.info}
        names = [*infos, *(stream.topics.image for stream in self._streams)]
        for message in self.bag.messages(names):
            try:
                if message.topic in infos:
                    infos[message.topic].take_info(message)
                    yield ()
                    continue
                stamp = stamp_ns(message.message.header.stamp)
            except PerceptionError as error:
                self._leave_out(message, error)
                continue
            if len(self._streams) == 1:
                yield (message,)
                continue
            is_left = message.topic == self._streams[0].topics.image
            add = self.pairer.left if is_left else self.pairer.right
            yield add(stamp, message) or ()

    def _waits(self, images: _Images) -> bool:
        return any(
            stream.waits_for_info(image)
            for stream, image in zip(self._streams, images, strict=True)
        )

    def _usable(self, images: _Images) -> Iterator[StereoFrame | MonoFrame]:
        """Return the frame of some images; none if it is late, or an image is at fault."""
        stamp = stamp_ns(images[0].message.header.stamp)
        arrival = self.order.take(stamp)
        if arrival is Arrival.REPEATED:
            self._repeated += 1
        if arrival in (Arrival.REPEATED, Arrival.LATE):
            return
        parts = []
        for stream, image in zip(self._streams, images, strict=True):
            try:
                parts.append(stream.rectify(image))
            except PerceptionError as error:
                self._leave_out(image, error)
                return
        try:
            frame = _frame(parts)
        except PerceptionError as error:
            self._leave_out(images[0], error)
            return
        self.stamps.append(stamp)
        yield frame

    def _leave_out(self, message: BagMessage, error: PerceptionError) -> None:
        self.bag.leave_out(message, str(error))
        self._first_reason = self._first_reason or (
            f'{message.topic} at {message.recorded_ns} ns: {error}'
        )

    def _check(self) -> None:
        """Refuse a bag of which no drive came: what was made of it would be nothing."""
        names = ' and '.join(stream.topics.image for stream in self._streams)
        if len(self.stamps) == 1 and self._repeated:
            raise BagError(
                f'{self.bag.path}: the stamps of {names} do not advance: all '
                f'{self._repeated + 1} frames have the stamp '
                f'{(self.order.newest_ns or 0) / 1e9:.9f} s'
            )
        if self.stamps:
            return
        if self._first_reason:
            raise BagError(f'{self.bag.path}: no frame can be used: {self._first_reason}')
        if len(self._streams) == 2 and not self.pairer.paired:
            gap = self.pairer.nearest_gap_ns
            apart = '' if gap is None else f' (the nearest are {gap / 1e6:.3f} ms apart)'
            raise BagError(
                f'no stamps of {names} belong together{apart}; raise --tolerance-ms or '
                'synchronise the cameras'
            )
        notes = '; '.join(self.bag.notes) or 'nothing of them could be read'
        raise BagError(f'{self.bag.path}: no frame of {names}: {notes}')


def _frame(parts: list[tuple[Image, Camera | None]]) -> StereoFrame | MonoFrame:
    if len(parts) == 1:
        return MonoFrame(*parts[0])
    (left, left_camera), (right, right_camera) = parts
    if left_camera is None or right_camera is None:
        raise PerceptionError('a stereo pair needs camera_info of both cameras')
    return StereoFrame(left, right, StereoRig(left_camera, right_camera))
