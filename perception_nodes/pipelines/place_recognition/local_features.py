# SPDX-License-Identifier: Apache-2.0
"""Keypoints of one image, by the features model or by ORB, and how two images' match."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import grey
from perception_nodes.pipelines.visual_odometry.front_end import Indices
from perception_nodes.pipelines.visual_odometry.learned import (
    detect_and_describe,
    mutual_neighbours,
)
from perception_nodes.types import FloatArray, Image


@dataclass(frozen=True)
class Keypoints:
    """Points of an image, best first.

    Attributes
    ----------
    points_px : [N, 2]. descriptors : [N, D] of unit length.
    """

    points_px: FloatArray
    descriptors: FloatArray


class LocalFeatures(Protocol):
    """Finds keypoints; ``name`` is their kind: different kinds cannot be compared."""

    name: str
    min_similarity: float

    def describe(self, image: Image, count: int) -> Keypoints:
        """At most ``count`` keypoints of an image."""
        ...


class LearnedLocalFeatures:
    """Keypoints and descriptors of the features model."""

    min_similarity = 0.7

    def __init__(self, runner: Runner, min_score: float = 0.02) -> None:
        self._runner = for_task(runner, 'features')
        self._min_score = min_score
        self.name = f'{runner.card.name} {runner.card.sha256[:16]}'.strip()

    def describe(self, image: Image, count: int) -> Keypoints:
        """Run the model."""
        points, _, descriptors = detect_and_describe(self._runner, image.data, self._min_score)
        return Keypoints(points[:count], descriptors[:count])


class OrbLocalFeatures:
    """ORB (Rublee et al. 2011); its 256 bits become +-1/16, so a cosine is 1 - distance / 128."""

    name = 'orb'
    min_similarity = 0.55

    def describe(self, image: Image, count: int) -> Keypoints:
        """Detect and describe."""
        orb: Any = cv2.ORB_create(count)  # type: ignore[attr-defined]
        found, bits = orb.detectAndCompute(grey(image), None)
        if bits is None or not len(found):
            return Keypoints(np.zeros((0, 2)), np.zeros((0, 256), np.float32))
        order = np.argsort([-keypoint.response for keypoint in found], kind='stable')[:count]
        points = np.array([found[i].pt for i in order], dtype=np.float64)
        signs = np.unpackbits(bits[order], axis=1).astype(np.float32) * 2 - 1
        return Keypoints(points, signs / np.float32(16))


def match(now: Keypoints, then: Keypoints, least: float) -> tuple[Indices, Indices]:
    """Mutual nearest neighbours: indices into ``now`` and into ``then``."""
    if not len(now.points_px) or not len(then.points_px):
        none: Indices = np.zeros(0, dtype=np.intp)
        return none, none
    similarity = now.descriptors.astype(np.float32) @ then.descriptors.astype(np.float32).T
    return mutual_neighbours(similarity, least)
