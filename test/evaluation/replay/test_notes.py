# SPDX-License-Identifier: Apache-2.0
"""Results that are next to nothing are told."""

import pytest

from perception_nodes.evaluation.replay.notes import poor_results


@pytest.mark.parametrize(('figures', 'told'), [
    ({'visual_odometry': {'tracked_fraction': 0.2}}, 'lost on 80% of the frames'),
    ({'stereo_depth': {'density': 0.001}}, '0.1% of the pixels only'),
])
def test_a_task_of_which_nothing_came_is_told(figures, told):
    (line,) = poor_results(figures)
    assert told in line and next(iter(figures)) in line


def test_ordinary_results_are_not():
    assert not list(poor_results({
        'visual_odometry': {'tracked_fraction': 0.9}, 'optical_flow': {'density': 0.8},
        'segmentation': {'mean_confidence': 0.1},
    }))
