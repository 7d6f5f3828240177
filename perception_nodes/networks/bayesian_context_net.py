# SPDX-License-Identifier: Apache-2.0
"""The released segmentation network: small, a Bayesian head at 1/4, refined to 1/2."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import (
    ConvNorm,
    PyramidContext,
    ResidualBlock,
    require_multiples,
    upsample_like,
)

LEAST_LOG_VARIANCE = -4.0
# The dropout's logit has further to go than a weight, at the same learning rate.
LOGIT_RATE = 5.0
RELAXATION = 0.1


class BayesianContextNet(nn.Module):
    """Residual encoder to 1/32, pyramid context, decoder to 1/4, two dropout layers in the head.

    Only the head depends on the dropout masks: the encoder and decoder run once for T samples
    (Monte-Carlo dropout, Gal & Ghahramani 2016; the split of Kendall & Gal 2017: class logits and
    a log-variance of the logits per pixel). Their probability is learned (concrete dropout, Gal,
    Hron & Kendall 2017), so that it falls as the images become more. What is thinner than a
    quarter's pixel (poles, signs, edges) are separated by a correction of the logits at 1/2, which
    depends on the image alone and so costs the same for any number of samples. The first three
    layers normalise half of their channels in each image, which carries the network to drives at
    another hour.

    Parameters
    ----------
    classes : number of classes.
    widths : channels at 1/2, 1/4, 1/8, 1/16, 1/32.
    context, head : channels of the decoder at 1/8 and of the head at 1/4.
    dropout : probability of dropping a channel of the head, before it is learned; 0: none, ever.
    aleatoric : learn the log-variance; without, it stays at its floor.
    """

    def __init__(
        self, classes: int = 11, *,
        widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 192),
        context: int = 64, head: int = 32, dropout: float = 0.1, aleatoric: bool = True,
    ) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, last = widths
        self.context, self.head, self.aleatoric = context, head, aleatoric
        self.scaled_logit: nn.Parameter | None = None
        if dropout:
            logit = math.log(dropout / (1 - dropout))
            self.scaled_logit = nn.Parameter(torch.tensor([logit / LOGIT_RATE]))
        self.stem2 = ConvNorm(3, half, stride=2, per_image=True)
        self.stem4 = ConvNorm(half, quarter, stride=2, per_image=True)
        self.stage4 = ResidualBlock(quarter, quarter, per_image=True)
        self.stage8 = nn.Sequential(
            ResidualBlock(quarter, eighth, 2), ResidualBlock(eighth, eighth)
        )
        self.stage16 = nn.Sequential(
            ResidualBlock(eighth, sixteenth, 2), ResidualBlock(sixteenth, sixteenth),
            ResidualBlock(sixteenth, sixteenth),
        )
        self.stage32 = ResidualBlock(sixteenth, last, 2)
        self.pyramid = PyramidContext(last, 96)
        self.skip16 = ConvNorm(sixteenth, 96, 1, relu=False)
        self.merge16 = ConvNorm(96, 96)
        self.lower16 = ConvNorm(96, context, 1, relu=False)
        self.skip8 = ConvNorm(eighth, context, 1, relu=False)
        self.merge8 = ConvNorm(context, context)
        self.detail = ConvNorm(quarter, head, 1, relu=False)
        self.fine = ConvNorm(half, head, stride=2, relu=False)
        self.head_context = nn.Conv2d(context, head, 1)
        self.head_mix = ConvNorm(head, head)
        self.head_out = nn.Conv2d(head, classes + aleatoric, 1)
        self.refine_context = nn.Conv2d(context, head, 1)
        self.refine_out = nn.Conv2d(head, 4 * classes, 1)
        self.auxiliary = nn.Conv2d(context, classes, 1)
        self.classes = classes

    @property
    def mask_channels(self) -> int:
        """Channels C of the dropout masks: the context's and the head's."""
        return self.context + self.head

    @property
    def dropout(self) -> float:
        """Probability p of dropping a channel of the head."""
        if self.scaled_logit is None:
            return 0.0
        return float(torch.sigmoid(LOGIT_RATE * self.scaled_logit.detach()))

    def draw_masks(self, rows: int, like: Tensor) -> Tensor:
        """Draw dropout masks, rows x C: 0 with the dropout's probability, else 1 / (1 - p)."""
        keep = 1.0 - self.dropout
        shape = (rows, self.mask_channels)
        return torch.empty(shape, device=like.device).bernoulli_(keep) / keep

    def relaxed_masks(self, rows: int) -> Tensor:
        """Draw masks, rows x C, that p can be learned through: nearly 0, or 1 / (1 - p)."""
        if self.scaled_logit is None:
            return torch.ones(rows, self.mask_channels, device=self.head_out.weight.device)
        logit = LOGIT_RATE * self.scaled_logit
        drawn = torch.rand(rows, self.mask_channels, device=logit.device)
        dropped = torch.sigmoid((logit + torch.logit(drawn, eps=1e-6)) / RELAXATION)
        return (1 - dropped) / torch.sigmoid(-logit)

    def mask_entropy(self) -> Tensor:
        """Entropy of a row of masks, nats: C times that of a coin that falls with p."""
        if self.scaled_logit is None:
            return torch.zeros((), device=self.head_out.weight.device)
        logit = LOGIT_RATE * self.scaled_logit
        p = torch.sigmoid(logit)
        entropy = -(p * F.logsigmoid(logit) + (1 - p) * F.logsigmoid(-logit))
        return self.mask_channels * entropy.squeeze()

    def sampled_logits(self, image: Tensor, samples: int) -> Tensor:
        """Logits T K H/2 W/2 of one image 1 3 H W under T draws of dropout."""
        return self(image, self.draw_masks(samples, image))['logits']

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map a normalised image B 3 H W to what the heads need.

        Returns
        -------
        context B C H/8 W/8; detail B C' H/4 W/4; correction B 4K H/4 W/4 of the logits, as
        ``refine`` takes it.
        """
        x2 = self.stem2(image)
        x4 = self.stage4(self.stem4(x2))
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x = self.pyramid(self.stage32(x16))
        x = self.merge16(F.relu(upsample_like(x, x16) + self.skip16(x16)))
        x = self.merge8(F.relu(upsample_like(self.lower16(x), x8) + self.skip8(x8)))
        detail = self.detail(x4)
        # The mean here need not be smooth: it only shows which classes meet at an edge.
        meant = F.interpolate(self.refine_context(x), scale_factor=2.0, mode='nearest')
        fine = F.relu(meant + detail + self.fine(x2))
        return x, detail, self.refine_out(fine)

    def decode(self, context: Tensor, detail: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Logits R K H/4 W/4, log-variance R 1 H/4 W/4; a mask row an image, or T of one image."""
        masks = masks.to(context.dtype)[:, :, None, None]
        x = self.head_context(context * masks[:, :self.context])
        x = F.relu(upsample_like(x, detail) + detail)
        out = self.head_out(self.head_mix(x) * masks[:, self.context:])
        if not self.aleatoric:
            return out, torch.full_like(out[:, :1], LEAST_LOG_VARIANCE)
        # A soft floor: where noise does not pay at first, its gradient must not die.
        log_variance = F.softplus(out[:, self.classes:] - LEAST_LOG_VARIANCE)
        return out[:, :self.classes], log_variance + LEAST_LOG_VARIANCE

    def forward(self, image: Tensor, masks: Tensor | None = None) -> dict[str, Tensor]:
        """Segment.

        Parameters
        ----------
        image : float B 3 H W, normalised; H and W multiples of 32.
        masks : float R C with R = B (one row an image), or B = 1 and R = T samples; None: drawn
            in training, all ones in evaluation.

        Returns
        -------
        logits R K H/2 W/2: the coarse ones flattened by their variance, enlarged, corrected;
        coarse_logits R K H/4 W/4 and log_variance R 1 H/4 W/4 of them; in training also
        auxiliary, logits B K H/8 W/8, and mask_entropy, a number.
        """
        require_multiples(image, 32)
        context, detail, correction = self.encode(image)
        if masks is None:
            rows = image.shape[0]
            ones = torch.ones(rows, self.mask_channels, device=image.device)
            masks = self.relaxed_masks(rows) if self.training else ones
        coarse, log_variance = self.decode(context, detail, masks)
        logits = refine(flattened(coarse, log_variance), correction)
        result = {'logits': logits, 'coarse_logits': coarse, 'log_variance': log_variance}
        if self.training:
            result['auxiliary'] = self.auxiliary(context)
            result['mask_entropy'] = self.mask_entropy()
        return result


def refine(logits: Tensor, correction: Tensor) -> Tensor:
    """Logits B K 2H 2W: those of B K H W, each corrected for its four quarters B 4K H W."""
    return F.pixel_shuffle(logits.repeat_interleave(4, 1) + correction, 2)


def flattened(logits: Tensor, log_variance: Tensor) -> Tensor:
    """Logits whose softmax is near the mean softmax of logits with that Gaussian noise.

    ``logits / sqrt(1 + pi s^2 / 8)`` (MacKay 1992): the noise of Kendall & Gal without drawing it.

    Parameters
    ----------
    logits : B K H W. log_variance : B 1 H W, log s^2.
    """
    return logits / torch.sqrt(1 + torch.exp(log_variance) * (math.pi / 8))
