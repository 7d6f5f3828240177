# SPDX-License-Identifier: Apache-2.0
"""Labels as people draw them."""

import numpy as np

from perception_nodes.simulation.scene.blocks import (
    BICYCLIST,
    BUILDING,
    FENCE,
    PEDESTRIAN,
    TREE,
)
from perception_nodes.training.annotation import as_drawn

SKY, ROAD = 0, 3


def test_a_railing_is_filled_with_what_stands_behind_it_but_not_before_it() -> None:
    labels = np.full((40, 60), BUILDING, np.uint8)
    near = np.full((40, 60), 2.0, np.float32)
    rails = np.zeros((40, 60), bool)
    rails[10], rails[30] = True, True
    rails[10:31, ::12] = True
    labels[rails], near[rails] = FENCE, 8.0
    labels[15:40, 20:24], near[15:40, 20:24] = PEDESTRIAN, 12.0
    drawn = as_drawn(labels, near)
    assert (drawn[10:31, :20] == FENCE).all() and (drawn[10:31, 24:] == FENCE).all()
    assert (drawn[15:, 20:24] == PEDESTRIAN).all()
    assert (drawn[:10] == BUILDING).all() and (drawn[31:, 24:] == BUILDING).all()
    assert (labels == FENCE).sum() == rails[:, :20].sum() + rails[:, 24:].sum() + 4, 'untouched'


def test_what_lies_between_two_fences_at_different_depths_stays() -> None:
    labels = np.full((40, 20), ROAD, np.uint8)
    near = np.full((40, 20), 3.0, np.float32)
    labels[5:8], near[5:8] = FENCE, 4.0
    labels[30:35], near[30:35] = FENCE, 9.0
    assert (as_drawn(labels, near) == labels).all()


def test_the_sky_between_branches_is_tree_and_a_wide_gap_is_not() -> None:
    labels = np.full((60, 90), SKY, np.uint8)
    near = np.zeros((60, 90), np.float32)
    for column in (*range(10, 40, 6), 80):
        labels[10:50, column], near[10:50, column] = TREE, 5.0
    drawn = as_drawn(labels, near)
    assert (drawn[16:44, 10:35] == TREE).all()
    assert (drawn[:, 45:75] == SKY).all()


def test_exact_labels_without_gaps_stay_what_they_are() -> None:
    labels = np.full((50, 50), ROAD, np.uint8)
    labels[10:30, 10:30], labels[35:45, 30:45] = TREE, BICYCLIST
    near = np.ones((50, 50), np.float32)
    near[labels != ROAD] = 4
    assert (as_drawn(labels, near) == labels).all()
