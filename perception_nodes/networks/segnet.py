# SPDX-License-Identifier: Apache-2.0
"""SegNet: a decoder that puts features back where the encoder's pooling found its maxima."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, require_multiples
from perception_nodes.networks.vgg_encoder import VGG16, vgg_groups


class SegNet(nn.Module):
    """SegNet as published (Badrinarayanan, Kendall & Cipolla 2017): VGG16 and its flip image.

    Parameters
    ----------
    groups : widths of the encoder's convolutions, a tuple a resolution.
    dropout : after the deepest ``dropout_groups`` groups of the encoder and of the decoder; 0.5
        makes it the Bayesian SegNet (Kendall, Badrinarayanan & Cipolla 2017).
    """

    def __init__(
        self, classes: int = 11, *, groups: tuple[tuple[int, ...], ...] = VGG16,
        dropout: float = 0.0, dropout_groups: int = 3,
    ) -> None:
        super().__init__()
        self.encoder = vgg_groups(groups)
        widths = [group[-1] for group in groups]
        decoder = []
        for index in reversed(range(len(groups))):
            before = widths[index - 1] if index else groups[0][0]
            sizes = (*[widths[index]] * (len(groups[index]) - 1), before)
            decoder.append(nn.Sequential(
                *(ConvNorm(a, b) for a, b in zip((widths[index], *sizes), sizes, strict=False))
            ))
        self.decoder = nn.ModuleList(decoder)
        self.classify = nn.Conv2d(groups[0][0], classes, 3, padding=1)
        self.dropout = dropout
        self.first_dropped = len(groups) - dropout_groups

    def forward(self, image: Tensor, sample: bool | None = None) -> dict[str, Tensor]:
        """Segment.

        Parameters
        ----------
        image : float B 3 H W, normalised; H and W multiples of 32.
        sample : whether dropout is on; None: in training only.

        Returns
        -------
        logits B K H W.
        """
        require_multiples(image, 2 ** len(self.encoder))
        sample = self.training if sample is None else sample
        x, found, depth = image, [], len(self.encoder)
        for index, group in enumerate(self.encoder):
            x, indices = F.max_pool2d(group(x), 2, return_indices=True)
            found.append(indices)
            x = self._drop(x, sample and index >= self.first_dropped)
        for index, group in enumerate(self.decoder):
            x = group(F.max_unpool2d(x, found.pop(), 2))
            x = self._drop(x, sample and depth - 1 - index >= self.first_dropped)
        return {'logits': self.classify(x)}

    def sampled_logits(self, image: Tensor, samples: int) -> Tensor:
        """Logits T K H W of one image 1 3 H W under T draws of dropout."""
        return torch.cat([self(image, sample=True)['logits'] for _ in range(samples)])

    def _drop(self, x: Tensor, on: bool) -> Tensor:
        return F.dropout(x, self.dropout, training=on) if self.dropout else x


@torch.no_grad()
def monte_carlo(network: SegNet, image: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of the softmax over dropout samples, 1 K H W each (Bayesian SegNet)."""
    draws = F.softmax(network.sampled_logits(image, samples), 1)
    return draws.mean(0, keepdim=True), draws.var(0, unbiased=False, keepdim=True)
