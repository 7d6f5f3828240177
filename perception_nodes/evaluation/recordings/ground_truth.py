# SPDX-License-Identifier: Apache-2.0
"""What a bag says was true, found by the stamp of the image that it belongs to."""

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.bags.rendered import HIDDEN_BEFORE, HIDDEN_RIGHT
from perception_nodes.geometry import se3
from perception_nodes.messages.image import decode_array
from perception_nodes.messages.primitives import stamp_ns, transform_of_pose
from perception_nodes.types import Array, FloatArray

__all__ = [
    'DEPTH',
    'DISPARITY',
    'FLOW',
    'LABELS',
    'TruePath',
    'TruthImages',
    'seen_disparity',
    'seen_flow',
]

LABELS = '/ground_truth/labels'
DEPTH = '/ground_truth/depth'
DISPARITY = '/ground_truth/disparity'
FLOW = '/ground_truth/flow'
OCCLUSION = '/ground_truth/occlusion'
ODOMETRY = '/ground_truth/odometry'

# How many stamps' images are kept, for results that come late.
_KEPT = 24
_LONGEST_GAP_NS = 250_000_000


class TruthImages:
    """Truth images of a bag, asked for by stamps that mostly go up.

    Parameters
    ----------
    bag : open.

    Attributes
    ----------
    topics : those of the five that the bag holds.
    """

    def __init__(self, bag: BagReader) -> None:
        present = bag.topics()
        self.topics = tuple(
            name for name in (LABELS, DEPTH, DISPARITY, FLOW, OCCLUSION)
            if name in present and present[name].count
        )
        self._stream: Iterator[BagMessage] = (
            bag.messages(self.topics) if self.topics else iter(())
        )
        self._kept: dict[int, dict[str, Array]] = {}
        self._newest_ns = -1

    def find(self, topic: str, stamp: int) -> Array | None:
        """Give the truth of one topic for one stamp; None if there is none."""
        if topic not in self.topics:
            return None
        while self._newest_ns <= stamp and (message := next(self._stream, None)) is not None:
            self._keep(message)
        return self._kept.get(stamp, {}).get(topic)

    def stamp_before(self, stamp: int) -> int | None:
        """Give the newest stamp with truth before this one; None if it is long ago."""
        return max((known for known in self._kept if known < stamp), default=None)

    def _keep(self, message: BagMessage) -> None:
        stamp = stamp_ns(message.message.header.stamp)
        self._kept.setdefault(stamp, {})[message.topic] = decode_array(message.message)
        self._newest_ns = max(self._newest_ns, stamp)
        while len(self._kept) > _KEPT:
            del self._kept[min(self._kept)]


def seen_disparity(truth: TruthImages, stamp: int) -> FloatArray | None:
    """Give the true disparity, NaN where the right camera does not see the point.

    As KITTI's disp_noc: what one camera alone sees is no question of matching.
    """
    disparity = truth.find(DISPARITY, stamp)
    if disparity is None:
        return None
    inside = disparity <= np.arange(disparity.shape[1])
    return _where_seen(disparity, inside, truth.find(OCCLUSION, stamp), HIDDEN_RIGHT)


def seen_flow(truth: TruthImages, stamp: int) -> FloatArray | None:
    """Give the true flow, NaN where the image before does not show the point (as flow_noc)."""
    flow = truth.find(FLOW, stamp)
    if flow is None:
        return None
    height, width = flow.shape[:2]
    x, y = np.arange(width) - flow[..., 0], np.arange(height)[:, None] - flow[..., 1]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return _where_seen(flow, inside, truth.find(OCCLUSION, stamp), HIDDEN_BEFORE)


def _where_seen(
    values: Array, inside: Array, hidden: Array | None, how: int
) -> FloatArray:
    seen = inside if hidden is None else inside & ((hidden & how) == 0)
    kept = np.array(values, np.float32)
    kept[~seen] = np.nan
    return kept


class TruePath:
    """True poses of base_link over time, from /ground_truth/odometry."""

    def __init__(self, bag: BagReader) -> None:
        poses: dict[int, FloatArray] = {}
        if ODOMETRY in bag.topics():
            for entry in bag.messages([ODOMETRY]):
                stamp = stamp_ns(entry.message.header.stamp)
                poses[stamp] = transform_of_pose(entry.message.pose.pose)
        self._stamps = sorted(poses)
        self._poses = poses

    def __len__(self) -> int:
        return len(self._stamps)

    def at(self, stamp: int) -> FloatArray | None:
        """Give odom_from_base [4, 4] at a time, between two poses along the geodesic.

        None outside of the path, and where two poses are further than a quarter second apart.
        """
        if stamp in self._poses:
            return self._poses[stamp]
        place = bisect_left(self._stamps, stamp)
        if place == 0 or place == len(self._stamps):
            return None
        before, after = self._stamps[place - 1], self._stamps[place]
        if after - before > _LONGEST_GAP_NS:
            return None
        first = self._poses[before]
        step = se3.log(se3.inverse(first) @ self._poses[after])
        return first @ se3.exp(step * ((stamp - before) / (after - before)))
