# SPDX-License-Identifier: Apache-2.0
"""What is impossible in a calibration is refused, what is unlikely is told."""

from dataclasses import replace

import numpy as np
import pytest

from perception_nodes.geometry.rig_checks import camera_doubts, mount_doubts, rig_doubts
from perception_nodes.pipelines.visual_odometry.config import OPTICAL_TO_BASE
from perception_nodes.types import Camera, PerceptionError, StereoRig


def camera(baseline_m: float = 0.0, focal_px: float = 250.0, **changes: float) -> Camera:
    size = {'width': 320, 'height': 192, 'fx': focal_px, 'fy': focal_px, 'cx': 159.5, 'cy': 95.5}
    return Camera.pinhole(**(size | changes), baseline_m=baseline_m)


def test_an_ordinary_rig_raises_no_doubt() -> None:
    rig = StereoRig(camera(), camera(0.3))
    assert rig_doubts(rig) == () and rig.cx_gap_px == 0.0
    assert StereoRig(camera(), camera(0.3, cx=153.5)).cx_gap_px == 6.0


@pytest.mark.parametrize(('left', 'right', 'told'), [
    (camera(0.3), camera(0.3), 'P[3] of the left camera_info is -75 and must be 0'),
    (camera(), camera(), r'P[3] of the right camera_info must be -fx * baseline (it is -0)'),
    (camera(), camera(30.0), 'a baseline of 30 m is not believed'),
    (camera(), camera(0.3e-3), 'a baseline of 0.0003 m is not believed'),
    (camera(), camera(0.3, 125.0), 'another zoom'),
    (camera(), camera(0.3, fy=260.0), 'another zoom'),
    (camera(), camera(0.3, cy=80.0), 'rectified images share their rows'),
])
def test_a_rig_that_cannot_be_is_refused_with_its_reason(
    left: Camera, right: Camera, told: str
) -> None:
    with pytest.raises(PerceptionError) as error:
        StereoRig(left, right)
    assert told in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize(('field', 'place', 'value', 'told'), [
    ('p', (2, 2), 0.0, 'P of camera_info is no camera matrix'),
    ('p', (2, 2), 2.0, 'P of camera_info is no camera matrix'),
    ('p', (0, 1), 9.0, 'P of camera_info is no camera matrix'),
    ('k', (2, 2), 0.0, 'K of camera_info is no camera matrix'),
    ('r', (2, 2), -1.0, 'R of camera_info is no rotation'),
    ('r', (0, 0), 2.0, 'R of camera_info is no rotation'),
])
def test_matrices_of_another_form_are_refused(field, place, value, told):
    matrix = getattr(camera(), field).copy()
    matrix[place] = value
    with pytest.raises(PerceptionError, match=told):
        replace(camera(), **{field: matrix})


@pytest.mark.parametrize('row', [1, 2])
def test_cameras_above_or_behind_each_other_are_no_rig(row):
    p = camera(0.3).p.copy()
    p[row, 3] = 0.005 * p[row, row]  # KITTI's calibrations leave as much
    StereoRig(camera(), replace(camera(), p=p))
    p[row, 3] = 0.1 * p[row, row]
    with pytest.raises(PerceptionError, match=r'0\.1 m apart in height or depth'):
        StereoRig(camera(), replace(camera(), p=p))


def test_unusual_rigs_are_told() -> None:
    assert 'baseline of 3 m is unusual' in rig_doubts(StereoRig(camera(), camera(3.0)))[0]
    assert 'see 173 degrees' in camera_doubts(camera(focal_px=10.0))[0]
    assert 'outside the 320x192 image' in camera_doubts(camera(cx=400.0))[0]
    narrow = replace(camera(), p=np.hstack([np.diag([5e3, 5e3, 1.0]), np.zeros((3, 1))]))
    assert 'another size or zoom' in camera_doubts(narrow)[0]


def test_a_frame_that_is_not_optical_looks_at_the_sky() -> None:
    assert 'looks upward' in mount_doubts(np.eye(4), 'camera_link')[0]
    assert 'camera_link' in mount_doubts(np.eye(4), 'camera_link')[0]
    assert mount_doubts(np.array(OPTICAL_TO_BASE)) == ()
    down = np.diag([1.0, -1.0, -1.0, 1.0])  # a drone looks at the ground
    assert mount_doubts(down) == ()
