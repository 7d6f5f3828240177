# SPDX-License-Identifier: Apache-2.0
"""A bent image, rectified again, is the image."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from perception_nodes.geometry.camera import rectification_maps
from perception_nodes.simulation.render.lens import through_lens
from perception_nodes.types import PerceptionError


def test_rectifying_undoes_the_lens(samples, rig):
    camera = replace(rig.left, d=(-0.25, 0.06, 0.001, -0.0005, 0.0))
    smooth = cv2.GaussianBlur(samples[0].left.data, (0, 0), 1.5)
    raw = through_lens(smooth, camera)
    again = cv2.remap(raw, *rectification_maps(camera), cv2.INTER_LINEAR)
    middle = (slice(20, -20), slice(30, -30))
    back = cv2.absdiff(again, smooth)[middle].astype(float).mean()
    bent = cv2.absdiff(raw, smooth)[middle].astype(float).mean()
    assert back < 2.0
    assert back < 0.3 * bent


def test_no_distortion_changes_nothing(samples, rig):
    image = samples[0].left.data
    np.testing.assert_array_equal(through_lens(image, rig.left), image)


def test_sizes_must_agree(samples, rig):
    with pytest.raises(PerceptionError, match='camera'):
        through_lens(samples[0].left.data[:50], rig.left)
