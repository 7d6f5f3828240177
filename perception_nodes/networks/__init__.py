# SPDX-License-Identifier: Apache-2.0
"""Torch networks, one file each; NETWORKS builds one by name, untrained, with its own sizes."""

from collections.abc import Callable

from torch import nn

from perception_nodes.networks.deeplabv3 import DeepLabV3
from perception_nodes.networks.fcn import FCN
from perception_nodes.networks.pspnet import PSPNet
from perception_nodes.networks.segnet import SegNet
from perception_nodes.networks.street_features import StreetFeatures
from perception_nodes.networks.street_flow import StreetFlow
from perception_nodes.networks.street_mono import StreetMono
from perception_nodes.networks.street_place import StreetPlace
from perception_nodes.networks.street_segmentation import StreetSegmentation
from perception_nodes.networks.street_stereo import StreetStereo
from perception_nodes.networks.unet import UNet

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    'street_segmentation': StreetSegmentation,
    'segnet': SegNet,
    'bayesian_segnet': lambda: SegNet(dropout=0.5),
    'fcn': FCN,
    'unet': UNet,
    'deeplabv3': DeepLabV3,
    'pspnet': PSPNet,
    'street_stereo': StreetStereo,
    'street_flow': StreetFlow,
    'street_mono': StreetMono,
    'street_features': StreetFeatures,
    'street_place': StreetPlace,
}
