# SPDX-License-Identifier: Apache-2.0
"""The released place descriptor: what local features an image has, gathered by NetVLAD."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.keypoint_net import KeypointNet
from perception_nodes.networks.layers import require_multiples


class NetVlad(nn.Module):
    """Residuals of local descriptors around centres, softly assigned (Arandjelovic et al. 2016).

    Parameters
    ----------
    clusters, channels : number of centres, numbers of a local descriptor.
    sharpness : how firmly a descriptor belongs to its nearest centre.
    """

    def __init__(self, clusters: int, channels: int, sharpness: float = 30.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(F.normalize(torch.randn(clusters, channels), dim=1))
        self.sharpness = nn.Parameter(torch.tensor(sharpness))

    def forward(self, descriptors: Tensor, weight: Tensor) -> Tensor:
        """Vector B K*D of unit length from descriptors B D N with weights B 1 N."""
        near = self.centres @ descriptors - 0.5 * self.centres.square().sum(1)[:, None]
        share = torch.softmax(self.sharpness * near, 1) * weight
        gathered = share @ descriptors.transpose(1, 2)
        residual = gathered - share.sum(2, keepdim=True) * self.centres
        return F.normalize(F.normalize(residual, dim=2).flatten(1), dim=1)


class PlaceDescriptor(nn.Module):
    """Local features over the whole image, weighted by how much of a keypoint each cell is.

    Parameters
    ----------
    clusters : centres of NetVLAD. local : numbers of a local descriptor. descriptor : numbers of
    the place's.
    """

    def __init__(self, *, clusters: int = 32, local: int = 64, descriptor: int = 192) -> None:
        super().__init__()
        self.features = KeypointNet(descriptor=local)
        self.vlad = NetVlad(clusters, local)
        self.project = nn.Linear(clusters * local, descriptor)

    def gather(self, image: Tensor) -> Tensor:
        """The long descriptor, B clusters*local, unit length."""
        out = self.features(image)
        empty = torch.softmax(out['logits'].float(), 1)[:, -1:]
        return self.vlad(out['descriptors'].float().flatten(2), (1 - empty).square().flatten(2))

    def forward(self, image: Tensor) -> Tensor:
        """Descriptor B D, unit length, of float B 3 H W, normalised; sides multiples of 16."""
        require_multiples(image, 16)
        return F.normalize(self.project(self.gather(image)), dim=1)
