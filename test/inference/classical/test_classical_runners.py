# SPDX-License-Identifier: Apache-2.0
"""SGBM and DIS answer like any model: right on known pairs, honest where they cannot be."""

import cv2
import numpy as np
import pytest

from perception_nodes.inference import open_runner
from perception_nodes.inference.classical import CLASSICAL
from perception_nodes.inference.runner import Runner
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.types import Camera, Image, PerceptionError, StereoRig

WIDTH, HEIGHT, SHIFT = 320, 120, 12


@pytest.fixture(scope='module')
def wall() -> np.ndarray:
    """Give a textured uint8 [H, W + 60] image to cut views from."""
    noise = np.random.default_rng(0).normal(128, 80, (HEIGHT, WIDTH + 60)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.2) * 2 - 128, 0, 255).astype(np.uint8)


def batch(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[None, ..., None], 3, axis=3)


def rig() -> StereoRig:
    size = {'width': WIDTH, 'height': HEIGHT, 'fx': 120.0, 'fy': 120.0, 'cx': 160, 'cy': 60}
    return StereoRig(Camera.pinhole(**size), Camera.pinhole(**size, baseline_m=0.5))


@pytest.mark.parametrize('name', CLASSICAL)
def test_every_one_opens_by_name_on_any_backend_and_says_what_it_is(name: str) -> None:
    runner: Runner = open_runner(name, backend='tensorrt')
    assert runner.card.name == name and 'opencv' in runner.backend
    assert runner.state().serving == runner.backend and runner.state().engine == 'none'
    assert {'coverage1', 'coverage2', 'ause'} <= set(next(iter(
        runner.card.calibration['held_out'].values()
    )))
    with pytest.raises(PerceptionError, match='missing'):
        runner.run({})
    first = runner.card.inputs[0].name
    sizes = {spec.name: np.zeros((1, 64, 96 + 32 * (spec.name == first), 3), np.uint8)
             for spec in runner.card.inputs}
    with pytest.raises(PerceptionError, match='compares images of one size'):
        runner.run(sizes)


def test_sgbm_through_the_pipeline_gives_metres_and_its_range(wall: np.ndarray) -> None:
    stereo = build_pipeline('stereo_depth', model='sgbm')
    depth = stereo(Image(wall[:, :WIDTH].copy()), Image(wall[:, SHIFT : SHIFT + WIDTH].copy()),
                   rig())
    inner = np.s_[10:-10, 60:-10]
    assert np.nanmedian(depth.depth_m[inner]) == pytest.approx(120 * 0.5 / SHIFT, rel=0.01)
    error = np.abs(depth.disparity_px - SHIFT)[inner]
    assert (error < 2 * depth.disparity_sigma_px[inner]).mean() > 0.95
    assert stereo.nearest_depth_m(rig()) == pytest.approx(120 * 0.5 / (0.15 * WIDTH))


def test_sgbm_knows_less_where_the_pair_does_not_agree(wall: np.ndarray) -> None:
    left, right = wall[:, :WIDTH].copy(), wall[:, SHIFT : SHIFT + WIDTH].copy()
    right[30:90, 120:190] = np.random.default_rng(1).integers(0, 255, (60, 70))
    out = open_runner('sgbm').run({'left': batch(left), 'right': batch(right)})
    sigma = out['sigma_px'][0]
    assert np.median(sigma[40:80, 145:190]) > 3 * np.median(sigma[40:80, 230:300])


def test_dis_finds_the_motion_and_its_sigma_grows_where_a_point_is_hidden(
    wall: np.ndarray
) -> None:
    older, newest = wall[:, 20 : 20 + WIDTH].copy(), wall[:, 17 : 17 + WIDTH].copy()
    newest[40:80, 100:140] = np.random.default_rng(1).integers(0, 255, (40, 40))
    runner = open_runner('dis')
    out = runner.run({'image0': batch(older), 'image1': batch(newest)})
    flow, sigma = out['flow_px'][0], out['sigma_px'][0]
    assert np.median(np.abs(flow[20:-20, 200:-20] - [3.0, 0.0])) < 0.1
    assert np.median(sigma[50:70, 110:130]) > 4 * np.median(sigma[20:-20, 200:-20])
    only = runner.run({'image0': batch(older), 'image1': batch(newest)}, ['sigma_px'])
    assert list(only) == ['sigma_px']


def test_no_motion_is_no_flow_and_a_small_sigma(wall: np.ndarray) -> None:
    still = batch(wall[:, :WIDTH].copy())
    out = open_runner('dis').run({'image0': still, 'image1': still})
    assert np.abs(out['flow_px']).max() < 1e-3
    assert out['sigma_px'][0, 1:-1, 1:-1].max() < 0.2


def test_what_opencv_cannot_do_is_one_clear_line() -> None:
    tiny = np.zeros((1, 40, 18, 3), np.uint8)
    with pytest.raises(PerceptionError, match='too narrow to search 16'):
        open_runner('sgbm').run({'left': tiny, 'right': tiny})
    tiny = tiny[:, :2, :2].copy()
    try:
        out = open_runner('dis').run({'image0': tiny, 'image1': tiny})
    except PerceptionError as error:
        assert '\n' not in str(error)
    else:
        assert out['flow_px'].shape == (1, 2, 2, 2)


def test_a_model_of_another_task_is_refused() -> None:
    with pytest.raises(PerceptionError, match='is for optical_flow, not for stereo_depth'):
        build_pipeline('stereo_depth', model='dis')
