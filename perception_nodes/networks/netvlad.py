# SPDX-License-Identifier: Apache-2.0
"""NetVLAD (Arandjelovic et al. 2016): VGG16 to conv5_3, normalised, gathered around 64 centres."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.place_descriptor import NetVlad
from perception_nodes.networks.vgg_encoder import vgg_groups


class NetVladNetwork(nn.Module):
    """Unit vector of 64 * 512 numbers; the last convolution's ReLU is left out, as published."""

    def __init__(self, clusters: int = 64) -> None:
        super().__init__()
        self.encoder = vgg_groups()
        self.encoder[-1][-1][2] = nn.Identity()
        self.vlad = NetVlad(clusters, 512)

    def forward(self, image: Tensor) -> Tensor:
        """Descriptor B 64*512 of float B 3 H W, normalised RGB."""
        x = image
        for number, group in enumerate(self.encoder):
            x = group(x if number == 0 else F.max_pool2d(x, 2))
        local = F.normalize(x, dim=1).flatten(2)
        return self.vlad(local, torch.ones_like(local[:, :1]))
