# SPDX-License-Identifier: Apache-2.0
"""One small street and a short drive through it, rendered once."""

import pytest

from perception_nodes.datasets.synthetic.drive import DriveConfig, drive
from perception_nodes.datasets.synthetic.stereo_view import stereo_rig
from perception_nodes.datasets.synthetic.street_world import StreetWorld, WorldConfig

SMALL = WorldConfig(length_m=50.0, weather='fair', traffic=1.5)


@pytest.fixture(scope='session')
def rig():
    """Cameras of 192x128."""
    return stereo_rig(192, 128, 150.0, 0.4)


@pytest.fixture(scope='session')
def world():
    """A short street with much traffic."""
    return StreetWorld(11, SMALL)


@pytest.fixture(scope='session')
def samples(world, rig):
    """Three ideal pairs, a tenth of a second apart."""
    return list(drive(11, 3, rig=rig, config=DriveConfig(flaws=False), world=world))
