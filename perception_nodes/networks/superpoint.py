# SPDX-License-Identifier: Apache-2.0
"""SuperPoint (DeTone, Malisiewicz & Rabinovich 2018): keypoints and descriptors, as published."""

from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, require_multiples
from perception_nodes.networks.vgg_encoder import vgg_groups

WIDTHS = ((64, 64), (64, 64), (128, 128), (128, 128))
CELL = 8


class SuperPoint(nn.Module):
    """VGG encoder to 1/8 and two heads of 256 channels; 256 numbers a descriptor.

    The output is that of KeypointNet, so one loss and one graph serve both.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = vgg_groups(WIDTHS, channels_in=1)
        self.detector = nn.Sequential(ConvNorm(128, 256), nn.Conv2d(256, CELL**2 + 1, 1))
        self.descriptor = nn.Sequential(ConvNorm(128, 256), nn.Conv2d(256, 256, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map float B 3 H W (sides multiples of 8) to logits B 65 h w, descriptors B 256 h w."""
        require_multiples(image, 8)
        x = image.mean(1, keepdim=True)
        for number, group in enumerate(self.encoder):
            x = group(x if number == 0 else F.max_pool2d(x, 2))
        return {
            'logits': self.detector(x), 'descriptors': F.normalize(self.descriptor(x), dim=1)
        }
