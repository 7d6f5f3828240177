# SPDX-License-Identifier: Apache-2.0
"""Segmentation, disparity, flow and depth: cases small enough to compute by hand."""

import numpy as np
import pytest

from perception_nodes.metrics.depth import DepthMetric, garg_crop
from perception_nodes.metrics.disparity import DisparityMetric, kitti_outlier
from perception_nodes.metrics.flow import FlowMetric
from perception_nodes.metrics.segmentation import SegmentationMetric
from perception_nodes.types import PerceptionError

NAN = np.nan


def test_miou_is_over_the_whole_set_and_not_the_mean_of_images() -> None:
    """Class a: 1 hit of union 5; class b: 2 hits of union 5."""
    metric = SegmentationMetric(('a', 'b', 'c'))
    metric.update(np.uint8([[0, 1], [1, 255]]), np.uint8([[0, 0], [1, 0]]))
    metric.update(np.uint8([[1, 1]]), np.uint8([[1, 255]]))
    metric.update(np.uint8([[0, 0]]), np.uint8([[1, 1]]))
    result = metric.compute()
    assert metric.confusion.tolist() == [[1, 1, 0, 1], [2, 2, 0, 0], [0, 0, 0, 0]]
    assert result['iou_a'] == pytest.approx(1 / 5)
    assert result['iou_b'] == pytest.approx(2 / 5)
    assert np.isnan(result['iou_c'])
    assert result['miou'] == pytest.approx(0.3)
    assert result['accuracy'] == pytest.approx(3 / 7)


def test_segmentation_calibration_counts_labelled_pixels_only() -> None:
    metric = SegmentationMetric(('a', 'b'))
    metric.update(
        np.uint8([[0, 1, 1]]),
        np.uint8([[0, 0, 255]]),
        confidence=np.float32([[0.75, 0.75, 0.1]]),
        uncertainty=np.float32([[0.2, 0.9, 0.0]]),
        truth_probability=np.float32([[0.75, 0.25, 0.1]]),
    )
    result = metric.compute()
    assert result['ece'] == pytest.approx(0.25)
    assert result['nll'] == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    assert result['auroc_error'] == 1.0
    assert result['ause'] == pytest.approx(0.0, abs=1e-9)


def test_segmentation_refuses_unknown_ids_and_shapes() -> None:
    metric = SegmentationMetric(('a', 'b'))
    with pytest.raises(PerceptionError, match='truth hold class id 2'):
        metric.update(np.uint8([[0]]), np.uint8([[2]]))
    with pytest.raises(PerceptionError, match='labels hold class id 7'):
        metric.update(np.uint8([[7]]), np.uint8([[1]]))
    with pytest.raises(PerceptionError, match='do not pair'):
        metric.update(np.uint8([[0]]), np.uint8([[1, 1]]))


def test_kitti_outlier_needs_both_limits() -> None:
    error = np.array([2.9, 3.1, 3.1, 5.1, NAN])
    truth = np.array([10.0, 10.0, 70.0, 100.0, 50.0])
    assert kitti_outlier(error, truth).tolist() == [False, True, False, True, True]


def test_disparity_by_hand() -> None:
    """Five pixels with truth: errors 0.5, 1.5, 4 (of 40), 4 (of 100), and one without estimate."""
    truth = np.array([[10.0, 20.0, 40.0, 100.0, 8.0, NAN]])
    estimate = np.array([[10.5, 18.5, 44.0, 96.0, NAN, 3.0]])
    metric = DisparityMetric()
    metric.update(estimate, truth, np.full(truth.shape, 1.0))
    result = metric.compute()
    assert result['d1'] == pytest.approx(2 / 5)
    assert result['epe_px'] == pytest.approx(10.0 / 4)
    assert result['bad1'] == pytest.approx(4 / 5)
    assert result['bad2'] == pytest.approx(3 / 5)
    assert result['density'] == pytest.approx(4 / 5)
    assert result['coverage1'] == pytest.approx(1 / 4)
    assert result['coverage2'] == pytest.approx(2 / 4)


def test_disparity_sums_pixels_over_images_and_resets() -> None:
    metric = DisparityMetric()
    metric.update(np.zeros((1, 3)), np.array([[0.0, 0.0, 9.0]]))
    metric.update(np.zeros((1, 1)), np.array([[9.0]]))
    assert metric.compute()['d1'] == pytest.approx(2 / 4)
    assert np.isnan(metric.compute()['coverage1'])
    metric.reset()
    assert np.isnan(metric.compute()['d1'])


def test_flow_by_hand() -> None:
    """Errors (3, 4) -> 5 px of a motion of 10; 0; and no estimate."""
    truth = np.array([[[10.0, 0], [1, 1], [2, 2], [NAN, NAN]]])
    estimate = np.array([[[13.0, 4.0], [1, 1], [NAN, NAN], [0, 0]]])
    metric = FlowMetric()
    metric.update(estimate, truth, np.array([[3.5, 1.0, 1.0, 1.0]]))
    result = metric.compute()
    assert result['epe_px'] == pytest.approx(2.5)
    assert result['epe_image_px'] == pytest.approx(2.5)
    assert result['fl'] == pytest.approx(2 / 3)
    assert result['density'] == pytest.approx(2 / 3)
    # Components 3 and 4 against sigma 3.5, 0 and 0 against 1.
    assert result['coverage1'] == pytest.approx(3 / 4)
    assert result['coverage2'] == 1.0


def test_depth_by_hand() -> None:
    """2 -> 3 m and 4 -> 4 m; a truth beyond the range and one without estimate do not count."""
    truth = np.array([[2.0, 4.0, 100.0, 5.0]])
    estimate = np.array([[3.0, 4.0, 50.0, NAN]])
    metric = DepthMetric(0.1, 80.0)
    metric.update(estimate, truth, np.array([[2.0, 1.0, 1.0, 1.0]]))
    result = metric.compute()
    assert result['abs_rel'] == pytest.approx(0.25)
    assert result['sq_rel_m'] == pytest.approx(0.25)
    assert result['rmse_m'] == pytest.approx(np.sqrt(0.5))
    assert result['rmse_log'] == pytest.approx(np.log(1.5) / np.sqrt(2))
    assert result['delta1'] == pytest.approx(0.5)
    assert result['delta2'] == 1.0
    assert result['density'] == pytest.approx(2 / 3)
    assert result['coverage1'] == 1.0


def test_depth_averages_images_and_median_scaling_takes_the_scale_out() -> None:
    truth = np.random.default_rng(0).uniform(2.0, 30.0, (6, 8))
    metric = DepthMetric()
    metric.update(truth / 2.0, truth)
    metric.update(truth.copy(), truth)
    result = metric.compute()
    assert result['abs_rel'] == pytest.approx(0.25)
    assert result['abs_rel_median_scaled'] == pytest.approx(0.0, abs=1e-12)
    assert result['median_scale'] == pytest.approx(1.5)


def test_garg_crop_of_a_kitti_image() -> None:
    """The crop [153:371, 44:1197] that the literature writes for 375 x 1242."""
    rows, columns = garg_crop(375, 1242)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (153, 371, 44, 1197)


def test_crop_leaves_the_sky_out() -> None:
    truth = np.full((100, 100), 10.0)
    estimate = truth.copy()
    estimate[:40] = 50.0
    metric = DepthMetric(crop=True)
    metric.update(estimate, truth)
    assert metric.compute()['abs_rel'] == 0.0
