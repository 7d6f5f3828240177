# SPDX-License-Identifier: Apache-2.0
"""Torch networks, one file each; NETWORKS builds one by name, untrained, with its own sizes.

``_slim``: a published network with a quarter (DeepLab: half) of its channels, which has about as
many parameters as the released one and can be trained beside it.
"""

from collections.abc import Callable

from torch import nn

from perception_nodes.networks.bayesian_context_net import BayesianContextNet
from perception_nodes.networks.correlation_stereo import CorrelationStereo
from perception_nodes.networks.deeplabv3 import DeepLabV3
from perception_nodes.networks.fcn import FCN
from perception_nodes.networks.flownet import FlowNetC, FlowNetS
from perception_nodes.networks.gc_net import GCNet
from perception_nodes.networks.keypoint_net import KeypointNet
from perception_nodes.networks.mono_depth_net import MonoDepthNet
from perception_nodes.networks.monodepth import Monodepth
from perception_nodes.networks.netvlad import NetVladNetwork
from perception_nodes.networks.place_descriptor import PlaceDescriptor
from perception_nodes.networks.pspnet import PSPNet
from perception_nodes.networks.pyramid_flow import PyramidFlow
from perception_nodes.networks.segnet import SegNet
from perception_nodes.networks.sfm_learner import SfMLearner
from perception_nodes.networks.superpoint import SuperPoint
from perception_nodes.networks.unet import UNet
from perception_nodes.networks.vgg_encoder import VGG16, slim

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    'bayesian_context_net': BayesianContextNet,
    'bayesian_context_net_plain': lambda: BayesianContextNet(dropout=0.0, aleatoric=False),
    'segnet': SegNet,
    'bayesian_segnet': lambda: SegNet(dropout=0.5),
    'segnet_slim': lambda: SegNet(groups=slim(VGG16)),
    'bayesian_segnet_slim': lambda: SegNet(groups=slim(VGG16), dropout=0.5),
    'fcn': FCN,
    'unet': UNet,
    'unet_slim': lambda: UNet(widths=(16, 32, 64, 128, 256)),
    'deeplabv3': DeepLabV3,
    'deeplabv3_slim': lambda: DeepLabV3(widths=(32, 64, 128, 256), pyramid=128),
    'pspnet': PSPNet,
    'correlation_stereo': CorrelationStereo,
    'gc_net': lambda: GCNet(96),
    'pyramid_flow': PyramidFlow,
    'flownet_s': FlowNetS,
    'flownet_c': FlowNetC,
    'mono_depth_net': MonoDepthNet,
    'monodepth': Monodepth,
    'sfm_learner': SfMLearner,
    'keypoint_net': KeypointNet,
    'superpoint': SuperPoint,
    'place_descriptor': PlaceDescriptor,
    'netvlad': NetVladNetwork,
}
