# SPDX-License-Identifier: Apache-2.0
"""Torch networks, one file each; NETWORKS builds one by name, untrained, with its own sizes."""

from collections.abc import Callable

from torch import nn

from perception_nodes.networks.street_flow import StreetFlow
from perception_nodes.networks.street_mono import StreetMono
from perception_nodes.networks.street_segmentation import StreetSegmentation
from perception_nodes.networks.street_stereo import StreetStereo

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    'street_segmentation': StreetSegmentation,
    'street_stereo': StreetStereo,
    'street_flow': StreetFlow,
    'street_mono': StreetMono,
}
