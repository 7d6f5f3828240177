# SPDX-License-Identifier: Apache-2.0
"""What a bag holds as ground truth, found by the stamp of the image that it belongs to."""

from collections.abc import Collection, Iterator

import numpy as np

from perception_nodes.bags.reader import BagReader
from perception_nodes.bags.rendered import OCCLUDED_BEFORE, OCCLUDED_RIGHT
from perception_nodes.evaluation.bag_topics import (
    DEPTH,
    DISPARITY,
    FLOW,
    IMAGE_TOPICS,
    LABELS,
    OCCLUSION,
    ODOMETRY,
    TruePath,
    TruthImages,
)
from perception_nodes.evaluation.samples import NEIGHBOURS, GroundTruth, PlaceTruth
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.geometry.se3 import inverse, rotation_angle_rad
from perception_nodes.types import Array, FloatArray

__all__ = ['SAME_PLACE_M', 'BagTruth', 'places_revisited']

SAME_PLACE_M = 3.0
SAME_PLACE_RAD = float(np.radians(45.0))
_NEIGHBOURS_NS = NEIGHBOURS * 10**9


class BagTruth:
    """Ground truth of an open bag, asked for by stamps that mostly go up.

    Attributes
    ----------
    path : poses of base_link.
    """

    def __init__(self, bag: BagReader) -> None:
        self._images = TruthImages(bag, (*IMAGE_TOPICS, *self._other_topics(SCORERS)))
        self.path = TruePath(bag)
        self._visited_ns: list[int] = []
        self._visited: list[FloatArray] = []

    def at(self, stamp_ns: int, tasks: Collection[str]) -> GroundTruth:
        """Return what the tasks are scored against at a stamp."""
        depth = {'stereo_depth', 'mono_depth'} & set(tasks)
        flow = self._visible_flow(stamp_ns) if 'optical_flow' in tasks else None
        return GroundTruth(
            labels=self._images.find(LABELS, stamp_ns) if 'segmentation' in tasks else None,
            disparity_px=self._visible_disparity(stamp_ns) if 'stereo_depth' in tasks else None,
            depth_m=self._images.find(DEPTH, stamp_ns) if depth else None,
            flow_px=flow,
            flow_from_ns=self._images.stamp_before(stamp_ns) if flow is not None else None,
            odom_from_base=self.path.at(stamp_ns) if 'visual_odometry' in tasks else None,
            place=self._place(stamp_ns) if 'place_recognition' in tasks else None,
            others={
                topic: array for topic in self._other_topics(tasks)
                if (array := self._images.find(topic, stamp_ns)) is not None
            },
        )

    def _other_topics(self, tasks: Collection[str]) -> Iterator[str]:
        """Topics of tasks whose ground truth has no field of its own."""
        known = ('', *IMAGE_TOPICS, ODOMETRY)
        return (
            SCORERS[task].truth_topic for task in tasks
            if task in SCORERS and SCORERS[task].truth_topic not in known
        )

    def _visible_disparity(self, stamp_ns: int) -> FloatArray | None:
        """Return the true disparity, NaN where the right camera does not see the point.

        As KITTI's disp_noc: what one camera alone sees is no question of matching.
        """
        disparity = self._images.find(DISPARITY, stamp_ns)
        if disparity is None:
            return None
        inside = disparity <= np.arange(disparity.shape[1])
        return self._where_visible(disparity, inside, stamp_ns, OCCLUDED_RIGHT)

    def _visible_flow(self, stamp_ns: int) -> FloatArray | None:
        """Return the true flow, NaN where the image before does not show the point (flow_noc)."""
        flow = self._images.find(FLOW, stamp_ns)
        if flow is None:
            return None
        height, width = flow.shape[:2]
        x, y = np.arange(width) - flow[..., 0], np.arange(height)[:, None] - flow[..., 1]
        inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        return self._where_visible(flow, inside, stamp_ns, OCCLUDED_BEFORE)

    def _where_visible(
        self, values: Array, inside: Array, stamp_ns: int, how: int
    ) -> FloatArray:
        occluded = self._images.find(OCCLUSION, stamp_ns)
        visible = inside if occluded is None else inside & ((occluded & how) == 0)
        kept = np.array(values, np.float32)
        kept[~visible] = np.nan
        return kept

    def _place(self, stamp_ns: int) -> PlaceTruth | None:
        """Return which of the images asked for before show the place of this one."""
        pose = self.path.at(stamp_ns)
        if pose is None:
            return None
        ignored_from = stamp_ns - _NEIGHBOURS_NS
        same = frozenset(
            stamp for stamp, earlier in zip(self._visited_ns, self._visited, strict=True)
            if stamp < ignored_from and _one_place(earlier, pose)
        )
        self._visited_ns.append(stamp_ns)
        self._visited.append(pose)
        return PlaceTruth(same, ignored_from)


def places_revisited(path: TruePath) -> bool:
    """Return whether the vehicle ever comes back to where it was more than NEIGHBOURS s before."""
    stamps = np.array(path.stamps_ns)
    poses = path.poses
    positions = np.array([pose[:3, 3] for pose in poses])
    for number, position in enumerate(positions):
        last = int(np.searchsorted(stamps, stamps[number] - _NEIGHBOURS_NS))
        near = np.linalg.norm(positions[:last] - position, axis=1) <= SAME_PLACE_M
        if any(_one_place(poses[other], poses[number]) for other in np.flatnonzero(near)):
            return True
    return False


def _one_place(odom_from_first: FloatArray, odom_from_second: FloatArray) -> bool:
    if np.linalg.norm(odom_from_first[:3, 3] - odom_from_second[:3, 3]) > SAME_PLACE_M:
        return False
    return rotation_angle_rad(inverse(odom_from_first) @ odom_from_second) <= SAME_PLACE_RAD
