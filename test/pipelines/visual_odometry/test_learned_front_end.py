# SPDX-License-Identifier: Apache-2.0
"""The learned front end on a features model that knows the answer."""

import numpy as np
import pytest

from perception_nodes.pipelines.visual_odometry import (
    VisualOdometryConfig,
    VisualOdometryPipeline,
)
from perception_nodes.pipelines.visual_odometry.learned import (
    LearnedFeatures,
    detect_and_describe,
    mutual_neighbours,
)
from perception_nodes.types import PerceptionError


@pytest.fixture
def runner(memory_runner):
    """Find the image's brightest pixels; the grey value (unique) is the descriptor's angle."""

    def answer(inputs):
        grey = inputs['image'][0, ..., 0]
        rows, columns = np.nonzero(grey > 100)
        angle = grey[rows, columns].astype(np.float32) / 255 * np.pi
        descriptors = np.stack([np.cos(angle), np.sin(angle)], 1)
        points = np.stack([columns, rows], 1).astype(np.float32)
        scores = grey[rows, columns].astype(np.float32) / 255
        return {'keypoints_px': points[None], 'scores': scores[None],
                'descriptors': descriptors[None]}

    return memory_runner('features', answer)


def dots(shift=0):
    """A dark image with five dots of different brightness."""
    image = np.zeros((40, 60), np.uint8)
    for i, value in enumerate((120, 150, 180, 210, 240)):
        image[5 + 6 * i, 8 + 8 * i + shift] = value
    return image


def test_keypoints_come_best_first_without_the_weak(runner):
    points, scores, descriptors = detect_and_describe(runner, dots(), 0.55)
    assert len(points) == len(descriptors) == 4 and np.all(np.diff(scores) < 0)
    assert points[0].tolist() == [40.0, 29.0]


def test_points_are_found_by_descriptor_near_the_guess(runner):
    front_end = LearnedFeatures(runner, min_similarity=0.99, search_px=10.0)
    views = [front_end.view(dots(shift), dots(shift)) for shift in (0, 3)]
    points = front_end.detect(views[0], np.zeros((0, 2)), 5)
    found = front_end.follow(views[0], points, views[1], points)
    assert found.valid.all() and np.allclose(found.points_px - points, [3.0, 0.0])
    assert np.all(np.linalg.eigvalsh(found.covariance_px2) > 0)
    far = front_end.follow(views[0], points, views[1], points + 30)
    assert not far.valid.any() and np.isnan(far.points_px).all()


def test_taken_points_are_not_detected_again(runner):
    front_end = LearnedFeatures(runner)
    view = front_end.view(dots(), dots())
    assert len(front_end.detect(view, np.array([[40.0, 29.0]]), 5)) == 4


def test_neighbours_are_mutual():
    similarity = np.array([[0.9, 0.8], [0.95, 0.1]])
    rows, columns = mutual_neighbours(similarity, 0.5)
    assert rows.tolist() == [1] and columns.tolist() == [0]


def test_the_learned_front_end_needs_its_model():
    with pytest.raises(PerceptionError, match='features model'):
        VisualOdometryPipeline(None, VisualOdometryConfig(front_end='learned'))
