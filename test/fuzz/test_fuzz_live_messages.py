# SPDX-License-Identifier: Apache-2.0
"""Streams of live messages in any order and state: what comes out of them fits together."""

import random
from types import SimpleNamespace as Message
from typing import Any

from fuzzing import fuzz, require_none

from perception_nodes.messages.camera_infos import published_size
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.input import assembler, calibration
from perception_nodes.ros.input.raw_frame import LEFT, RIGHT, Assembly
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.types import PerceptionError

MS, SECOND = 1_000_000, 1_000_000_000
TOLERANCE_NS = 2 * MS
FRAMES = ('left', 'left', 'left', 'left', '', 'rear', 'x' * 300_000)


def message(stamp: int, rng: random.Random) -> Any:
    """Anything with a header, a size and a region; now and then one that cannot be."""
    time = Message(sec=stamp // SECOND, nanosec=stamp % SECOND)
    if rng.random() < 0.02:
        time.nanosec = rng.choice((SECOND, 2**32 - 1))
    return Message(
        header=Message(stamp=time, frame_id=rng.choice(FRAMES)),
        width=rng.choice((64, 64, 64, 32, 0)), height=48, binning_x=rng.choice((0, 0, 1, 2)),
        binning_y=0, roi=Message(width=0, height=0),
    )


class Stream:
    """Feeds an assembler and looks at everything that comes out."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.stereo = rng, rng.random() < 0.7
        sides = (LEFT, RIGHT) if self.stereo else (LEFT,)
        self.sides = sides if rng.random() < 0.9 else ()
        self.latched: list[Any] = []
        self.newest_ns, self.log = -1, []  # type: ignore[var-annotated]
        takes = TASKS['visual_odometry'].takes
        self.it = assembler.Assembler(
            Assembly(
                stereo=self.stereo, infos=self.sides, tolerance_ns=TOLERANCE_NS,
                auxiliary=takes, wait_s=rng.choice((0.0, 0.0, 1000.0)),
            ),
            Statistics(), Problems(self.log.append), self.emitted, self.jumped,
        )
        if rng.random() < 0.5:
            self.it.auxiliary_results.expected = {take.task for take in takes}
        self.topics = [(take.task, topic) for take in takes for topic in take.topics]

    def jumped(self) -> None:
        self.newest_ns = -1

    def emitted(self, frame: Any) -> None:
        assert frame.stamp_ns >= self.newest_ns, 'out of order'
        self.newest_ns = frame.stamp_ns
        if self.stereo:
            apart = stamp_ns(frame.left.header.stamp) - stamp_ns(frame.right.header.stamp)
            assert abs(apart) <= TOLERANCE_NS
        for side in self.sides:
            image, info = getattr(frame, side), getattr(frame, f'{side}_info')
            names = {image.header.frame_id, info.header.frame_id} - {''}
            assert len(names) <= 1, 'of another camera'
            assert 0 in (image.width, image.height) or (
                (image.width, image.height) == published_size(info)
            ), 'of another size'
            info_ns = stamp_ns(info.header.stamp)
            ages = info_ns != 0 and not any(info is one for one in self.latched)
            age_ns = abs(stamp_ns(image.header.stamp) - info_ns)
            assert not ages or age_ns <= 10 * SECOND, 'of long ago'

    def feed(self, now: int) -> None:
        rng, it = self.rng, self.it
        try:
            for kind in rng.sample(('image', 'info'), 2):
                for side in (LEFT, RIGHT) if self.stereo else (LEFT,):
                    made = message(now + rng.choice((0, 0, 0, MS, 3 * MS)), rng)
                    if kind == 'image' and rng.random() < 0.95:
                        it.image(side, made)
                    elif side in self.sides and rng.random() < 0.8:
                        latched = rng.random() < 0.05
                        if latched:
                            self.latched.append(made)
                        it.info(side, made, latched=latched)
            if rng.random() < 0.5:
                it.auxiliary(*rng.choice(self.topics), message(now, rng))
            for _ in range(rng.choice((0, 0, 1, 12))):
                it.tick()
        except PerceptionError as error:
            assert 'stamp' in str(error)


def test_live_streams() -> None:
    """Swaps, jumps, losses, foreign cameras and sizes, in any order."""
    def target(rng: random.Random) -> None:
        stream, now = Stream(rng), rng.choice((0, 1_700_000_000 * SECOND))
        for _ in range(rng.randint(1, 60)):
            now += rng.choice((100 * MS,) * 8 + (0, -100 * MS, -5 * SECOND, 60 * SECOND, MS))
            now = max(now, 0)
            stream.feed(now)
            assert len(stream.it._calibration._waiting) <= calibration.MAX_WAITING
            assert len(stream.it._waiting) <= assembler.MAX_WAITING
        assert all(len(line) < 600 for line in stream.log)

    require_none(fuzz('live stream', target, 100))
