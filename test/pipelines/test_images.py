# SPDX-License-Identifier: Apache-2.0
"""Images before the model."""

import numpy as np
import pytest

from perception_nodes.pipelines.images import grey, require_range, require_size, rgb_batch
from perception_nodes.types import Image, PerceptionError


def test_mono_is_repeated_and_rgb_is_kept(image):
    mono, colour = image(mono=True), image()
    assert (rgb_batch(mono) == mono.data[None, :, :, None].repeat(3, axis=3)).all()
    assert rgb_batch(colour).base is colour.data or np.shares_memory(
        rgb_batch(colour), colour.data
    )
    assert (grey(mono) == mono.data).all()


def test_grey_weighs_the_channels_as_bt601_does():
    data = np.zeros((1, 3, 3), np.uint8)
    data[0, range(3), range(3)] = 200
    assert grey(Image(data)).tolist() == [[60, 117, 23]]


def test_a_strided_image_is_accepted(image):
    data = image(mono=True).data[:, ::2]
    assert (rgb_batch(Image(data))[0, :, :, 1] == data).all()


def test_wrong_size_and_wrong_setting_are_one_clear_line(image, rig):
    with pytest.raises(PerceptionError, match='the image is 23x16 but its camera_info says 24x16'):
        require_size(image(width=23), rig.left, 'the image')
    with pytest.raises(PerceptionError, match='x is nan; it must lie between 0 and 1'):
        require_range('x', float('nan'), 0, 1)
