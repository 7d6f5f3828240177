# SPDX-License-Identifier: Apache-2.0
"""The learned front end: keypoints and descriptors of the features model, mutual neighbours."""

import cv2
import numpy as np
from scipy.spatial import cKDTree

from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.visual_odometry.front_end import Bools, Found, Grey, Indices, View
from perception_nodes.pipelines.visual_odometry.lucas_kanade import halved
from perception_nodes.types import Array, FloatArray


class LearnedFeatures:
    """Matches keypoints by their descriptors; a point that is followed is always a keypoint.

    Parameters
    ----------
    runner : features model (keypoints_px, scores, descriptors).
    min_score : keypoints below are not used.
    min_similarity : cosine below which two descriptors are no match.
    search_px : how far from the guess a match may lie.
    sigma_px : of a keypoint's position in each axis; the card's, or this if it has none.
    """

    def __init__(
        self, runner: Runner, *, min_score: float = 0.02, min_similarity: float = 0.6,
        search_px: float = 40.0, sigma_px: float = 0.8, sigma_floor_px: float = 0.1,
    ) -> None:
        self._runner = for_task(runner, 'features')
        self._min_score = min_score
        self._min_similarity = min_similarity
        self._search_px = search_px
        (carded_px,) = runner.card.numbers('sigma_px', 1) or (sigma_px,)
        self._variance_px2 = carded_px**2 + sigma_floor_px**2

    def view(self, grey: Grey, image: Array) -> View:
        """Run the model."""
        keypoints, scores, descriptors = detect_and_describe(
            self._runner, image, self._min_score
        )
        return View(grey, halved(grey), keypoints, descriptors, scores)

    def detect(self, view: View, taken_px: FloatArray, count: int) -> FloatArray:
        """Take the best keypoints that are not taken."""
        points, _ = _learned(view)
        if len(taken_px) and len(points):
            points = points[cKDTree(taken_px).query(points)[0] > 4.0]
        return np.asarray(points[:count], dtype=np.float64)

    def follow(
        self, view0: View, points0_px: FloatArray, view1: View, guess1_px: FloatArray
    ) -> Found:
        """Match each point's keypoint to its mutual nearest neighbour near the guess."""
        keypoints0_px, descriptors0 = _learned(view0)
        keypoints1_px, descriptors1 = _learned(view1)
        count = len(points0_px)
        points = np.full((count, 2), np.nan)
        valid: Bools = np.zeros(count, dtype=np.bool_)
        covariance = np.tile(np.eye(2) * self._variance_px2, (count, 1, 1))
        if not count or not len(keypoints0_px) or not len(keypoints1_px):
            return Found(points, covariance, valid)
        off, index = cKDTree(keypoints0_px).query(np.nan_to_num(points0_px))
        near = np.linalg.norm(guess1_px[:, None] - keypoints1_px[None], axis=2)
        similarity = descriptors0[index] @ descriptors1.T
        similarity = np.where(near < self._search_px, similarity, -1.0)
        row, column = mutual_neighbours(similarity, self._min_similarity)
        exact = off[row] < 0.01
        row, column = row[exact], column[exact]
        points[row], valid[row] = keypoints1_px[column], True
        return Found(points, covariance, valid)


def _learned(view: View) -> tuple[FloatArray, FloatArray]:
    """Keypoints and descriptors of a view that this front end made."""
    if view.keypoints_px is None or view.descriptors is None:
        raise ValueError('this view was made by another front end: it has no keypoints')
    return view.keypoints_px, view.descriptors


def detect_and_describe(
    runner: Runner, image: Array, min_score: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Keypoints [N, 2] px, scores [N] and unit descriptors [N, D] of an image, best first.

    Parameters
    ----------
    image : uint8 [H, W] or [H, W, 3].
    """
    if image.ndim == 2:
        image = np.asarray(cv2.cvtColor(np.asarray(image, np.uint8), cv2.COLOR_GRAY2RGB))
    output = runner.run({'image': np.ascontiguousarray(image)[None]})
    scores = np.asarray(output['scores'][0], np.float64)
    keypoints = np.asarray(output['keypoints_px'][0], np.float64)
    descriptors = np.asarray(output['descriptors'][0], np.float32)
    good = np.flatnonzero((scores >= min_score) & np.isfinite(keypoints).all(axis=1))
    good = good[np.argsort(-scores[good], kind='stable')]
    return keypoints[good], scores[good], descriptors[good]


def mutual_neighbours(similarity: FloatArray, least: float) -> tuple[Indices, Indices]:
    """Rows and columns that are each other's most similar, and at least so similar."""
    row = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    mutual = similarity.argmax(axis=0)[best] == row
    mutual &= similarity[row, best] >= least
    return row[mutual], best[mutual]
