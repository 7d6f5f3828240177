# SPDX-License-Identifier: Apache-2.0
"""What a town has more of: boards on its fronts, guard rails at its kerbs, cyclists."""

import numpy as np
import pytest

from perception_nodes.simulation.content import furniture
from perception_nodes.simulation.scene import layout
from perception_nodes.simulation.scene.assembly import Assembly
from perception_nodes.simulation.scene.blocks import BICYCLIST, FENCE, SIGN
from perception_nodes.simulation.scene.ground import draw_ground_style
from perception_nodes.simulation.scene.light import draw_light
from perception_nodes.simulation.scene.street_path import winding


@pytest.fixture(scope='module')
def town():
    """An otherwise empty street with what enliven adds, its path and its ground's style."""
    rng = np.random.default_rng(3)
    path = winding(rng, 120.0)
    world = Assembly(draw_light(rng, 'fair'))
    style = draw_ground_style(rng, path.length_m, side_streets=True)
    fronts = []
    for along in np.arange(10.0, 110.0, 8.0):
        pose = path.world_from_street(along, style.road_half_m + style.pavement_m + 0.1, 0.0)
        fronts.append((pose, 8.0))
    for seed in range(4):
        layout.enliven(np.random.default_rng(seed), world, path, style, -1.0, 2.0, fronts)
    return world, path, style


def corners(world, path, label):
    """Street coordinates along, aside and height of all corners of a class, [N, 4] each."""
    found = np.stack([q.corners for q in world.quads if q.label == label and q.part < 0])
    street = path.street_coordinates(found[..., :2].reshape(-1, 2)).reshape(*found.shape[:2], 2)
    return street[..., 0], street[..., 1], found[..., 2]


def test_boards_hang_over_the_pavement_above_heads(town):
    world, path, style = town
    _, aside, height = corners(world, path, SIGN)
    assert height.min() > 2.3
    assert (aside > style.road_half_m).all()
    bend_m = 1.0  # fronts are straight, the street is not
    assert (aside < style.road_half_m + style.pavement_m + bend_m).all()


def test_guard_rails_stand_along_the_kerb_and_not_across_side_streets(town):
    world, path, style = town
    along, aside, height = corners(world, path, FENCE)
    assert np.abs(np.abs(aside) - style.road_half_m - 0.3).max() < 0.25
    assert height.max() < style.kerb_m + 1.2
    for side in style.sides:
        across = (np.abs(along - side.along_m) < side.half_width_m) & (np.sign(aside) == side.side)
        assert not across.any()


def test_cyclists_come(town):
    world, _, _ = town
    assert any(quad.label == BICYCLIST for quad in world.quads)


def test_a_railing_is_mostly_gaps_between_two_rails():
    image = furniture.railing_image(np.random.default_rng(0), 2.0, 1.0)
    assert image.shape == (64, 128, 4)
    solid = image[..., 3] > 0
    assert solid[1:4].all() and solid[53:56].all()
    assert 0.1 < solid[10:50].mean() < 0.5


def test_a_board_is_opaque():
    image = furniture.board_image(np.random.default_rng(1), 0.8, 1.2)
    assert image.shape == (77, 51, 4)
    assert (image[..., 3] == 255).all()
