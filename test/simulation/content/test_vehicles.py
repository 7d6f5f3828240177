# SPDX-License-Identifier: Apache-2.0
"""Vehicles are closed outwards: every face looks away from the middle."""

import numpy as np
import pytest

from perception_nodes.simulation.content.vehicles import PROFILES, draw_vehicle


@pytest.mark.parametrize('kind', PROFILES)
@pytest.mark.parametrize('seed', [0, 1])
def test_faces_look_outwards(kind, seed):
    vehicle = draw_vehicle(np.random.default_rng(seed), kind)
    middle = np.array([0, 0, vehicle.height_m / 2])
    for origin, across, down, rgba, normal in vehicle.faces:
        centre = origin + (across + down) / 2
        assert abs(np.linalg.norm(normal) - 1) < 1e-6
        assert (centre - middle) @ normal > 0
        assert abs(normal @ across) < 1e-6
        if abs(normal[1]) < 0.5:  # sides hold the whole silhouette, with their wheels
            assert abs(normal @ down) < 1e-6
        assert rgba.shape[2] == 4
    assert 1.2 < vehicle.height_m < 4
    assert 3 < vehicle.length_m < 12
