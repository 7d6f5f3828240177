# SPDX-License-Identifier: Apache-2.0
"""One small street and a short drive through it, rendered once."""

from itertools import islice

import pytest

from perception_nodes.simulation.drive import DriveConfig, drive
from perception_nodes.simulation.random_views import ViewConfig, random_views
from perception_nodes.simulation.render.stereo_view import stereo_rig
from perception_nodes.simulation.scene.street_world import StreetWorld, WorldConfig

SMALL = WorldConfig(length_m=50.0, weather='fair', traffic=1.5)
QUIET = WorldConfig(length_m=40.0, weather='overcast', traffic=0.5)


@pytest.fixture(scope='session')
def quiet():
    """A short street with little on it."""
    return QUIET


@pytest.fixture(scope='session')
def view_config():
    """Small views, three a street."""
    return ViewConfig(height=64, width=96, views_per_world=3)


@pytest.fixture(scope='session')
def views(view_config, quiet):
    """Three random views of one quiet street, with flow."""
    return list(islice(random_views(4, view_config, quiet), 3))


@pytest.fixture(scope='session')
def rig():
    """Cameras of 192x128."""
    return stereo_rig(192, 128, 150.0, 0.4)


@pytest.fixture(scope='session')
def world():
    """A short street with much traffic."""
    return StreetWorld(14, SMALL)


@pytest.fixture(scope='session')
def samples(world, rig):
    """Three ideal pairs, a tenth of a second apart."""
    return list(drive(14, 3, rig=rig, config=DriveConfig(flaws=False), world=world))
