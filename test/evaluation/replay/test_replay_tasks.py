# SPDX-License-Identifier: Apache-2.0
"""A replay tells what in the calibration is hard to believe."""

import numpy as np
import pytest

from perception_nodes.bags.cameras import CameraTopics, StereoTopics
from perception_nodes.evaluation.replay import tasks
from perception_nodes.types import Camera, PerceptionError


def cameras(baseline_m: float, focal_px: float = 250.0) -> StereoTopics:
    size = {'width': 320, 'height': 192, 'fx': focal_px, 'fy': focal_px, 'cx': 159.5, 'cy': 95.5}
    left = Camera.pinhole(**size, frame_id='camera_link')
    right = Camera.pinhole(**size, baseline_m=baseline_m)
    return StereoTopics(CameraTopics('/l', '/li', left), CameraTopics('/r', '/ri', right))


@pytest.mark.parametrize(('found', 'told'), [
    (cameras(0.3), []),
    (cameras(3.0), ['baseline of 3 m is unusual']),
    (cameras(30.0), []),  # no rig at all: its frames are refused
    (cameras(0.3).left, []),
    (cameras(0.3, 10.0).left, ['another size or zoom']),
    (CameraTopics('/l'), []),
])
def test_unusual_calibrations_become_notes(monkeypatch, found, told):
    monkeypatch.setattr(tasks, 'base_from_frame', lambda bag, frame: None)
    monkeypatch.setattr(tasks, 'build_perception', lambda *args, **options: None)
    _, notes = tasks.make_perception(['stereo_depth'], None, found)
    assert len(notes) == len(told)
    assert all(text in note for text, note in zip(told, notes, strict=True))


def test_a_camera_frame_that_is_not_optical_becomes_a_note(monkeypatch):
    monkeypatch.setattr(tasks, 'base_from_frame', lambda bag, frame: np.eye(4))
    monkeypatch.setattr(tasks, 'build_perception', lambda *args, **options: None)
    _, notes = tasks.make_perception(['visual_odometry'], None, cameras(0.3))
    assert len(notes) == 1 and 'camera_link looks upward' in notes[0]
    assert tasks.make_perception(['stereo_depth'], None, cameras(0.3))[1] == ()


@pytest.mark.parametrize('models', [{'segmentation': 'other'}, {'visual_odometry': 'other'}])
def test_a_model_that_nothing_would_use_is_refused(monkeypatch, models):
    monkeypatch.setattr(tasks, 'base_from_frame', lambda bag, frame: None)
    with pytest.raises(PerceptionError, match='other'):
        tasks.make_perception(['visual_odometry'], None, cameras(0.3), models=models)
