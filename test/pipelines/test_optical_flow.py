# SPDX-License-Identifier: Apache-2.0
"""Flow keeps one image and knows when it must not compare."""

import numpy as np
import pytest

from perception_nodes.pipelines.optical_flow import OpticalFlowConfig, OpticalFlowPipeline

SECOND = 1_000_000_000


@pytest.fixture
def flow(memory_runner):
    def answer(inputs):
        shape = inputs['image1'].shape[:3]
        motion = np.tile(np.float32([3.0, -2.0]), (*shape, 1))
        return {'flow_px': motion, 'sigma_px': np.full(shape, 0.5, np.float32)}

    return OpticalFlowPipeline(memory_runner('optical_flow', answer))


def test_the_second_image_gets_the_motion_since_the_first(flow, image):
    first, second = image(1 * SECOND), image(2 * SECOND, seed=1)
    assert flow(first) is None
    result = flow(second)
    assert (result.previous_stamp_ns, result.stamp_ns) == (SECOND, 2 * SECOND)
    assert (flow.runner.inputs[0]['image0'][0] == first.data).all()
    assert (flow.runner.inputs[0]['image1'][0] == second.data).all()
    # a point at (x, y) was at (x - 3, y + 2): unseen for x < 3 and for y > 13
    known = np.isfinite(result.flow_px).all(axis=2)
    assert not known[:, :3].any() and not known[14:].any() and known[:14, 3:].all()
    assert (np.isfinite(result.sigma_px) == known).all()
    assert result.flow_px[0, 5].tolist() == [3.0, -2.0]


@pytest.mark.parametrize('second', [
    {'stamp_ns': SECOND}, {'stamp_ns': 0}, {'stamp_ns': 9 * SECOND},
    {'stamp_ns': 2 * SECOND, 'width': 20}, {'stamp_ns': 2 * SECOND, 'frame_id': 'other'},
])
def test_what_cannot_be_compared_starts_anew(flow, image, second):
    flow(image(SECOND))
    assert flow(image(**second)) is None
    stamp = second.pop('stamp_ns') + SECOND
    assert flow(image(stamp, **second)).previous_stamp_ns == stamp - SECOND


def test_a_late_image_is_dropped_and_changes_nothing(flow, image):
    flow(image(2 * SECOND))
    assert flow(image(2 * SECOND - SECOND // 10)) is None
    assert flow(image(2 * SECOND)) is None
    assert flow(image(3 * SECOND)).previous_stamp_ns == 2 * SECOND
    assert flow.previous.order.late == 1


def test_reset_forgets(flow, image):
    flow(image(SECOND))
    flow.reset()
    assert flow(image(2 * SECOND)) is None


def test_uncertain_flow_is_nan_and_leaving_flow_can_be_kept(flow, image):
    flow.config = OpticalFlowConfig(max_sigma_px=0.4)
    flow(image(SECOND))
    assert np.isnan(flow(image(2 * SECOND)).flow_px).all()
    flow.config = OpticalFlowConfig(keep_leaving=True)
    assert np.isfinite(flow(image(3 * SECOND)).flow_px).all()


def test_mono_and_colour_images_of_one_size_compare(flow, image):
    flow(image(SECOND, mono=True))
    assert flow(image(2 * SECOND)) is not None
