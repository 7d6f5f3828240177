# SPDX-License-Identifier: Apache-2.0
"""FCN-8s: a classification network slid over the image, with two finer skips."""

from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, require_multiples, upsample_like
from perception_nodes.networks.vgg_encoder import VGG16, vgg_groups


class FCN(nn.Module):
    """FCN-8s (Long, Shelhamer & Darrell 2015) on VGG16 with batch norm.

    Parameters
    ----------
    hidden : width of the two convolutions that stand for VGG's full connections; 4096 as
        published, which is 120 of its 134 M parameters.
    """

    def __init__(
        self, classes: int = 11, *, groups: tuple[tuple[int, ...], ...] = VGG16,
        hidden: int = 512,
    ) -> None:
        super().__init__()
        self.encoder = vgg_groups(groups)
        widths = [group[-1] for group in groups]
        self.full = nn.Sequential(
            ConvNorm(widths[4], hidden, 7), nn.Dropout2d(0.5), ConvNorm(hidden, hidden, 1),
            nn.Dropout2d(0.5),
        )
        self.score32 = nn.Conv2d(hidden, classes, 1)
        self.score16 = nn.Conv2d(widths[3], classes, 1)
        self.score8 = nn.Conv2d(widths[2], classes, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map a normalised float B 3 H W (multiples of 32) to logits B K H/8 W/8."""
        require_multiples(image, 32)
        x, pooled = image, []
        for group in self.encoder:
            x = F.max_pool2d(group(x), 2)
            pooled.append(x)
        score = self.score32(self.full(x))
        score = upsample_like(score, pooled[3]) + self.score16(pooled[3])
        return {'logits': upsample_like(score, pooled[2]) + self.score8(pooled[2])}
