# SPDX-License-Identifier: Apache-2.0
"""ResNet-18 (He et al. 2016) whose last stages may be dilated instead of strided."""

from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm


class ResidualEncoder(nn.Module):
    """Stem to 1/4 and four stages of two basic blocks.

    Parameters
    ----------
    output_stride : 32 as published; 16 or 8 for dense prediction (later stages are dilated).
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (64, 128, 256, 512), output_stride: int = 16
    ) -> None:
        super().__init__()
        self.stem = ConvNorm(3, widths[0], 7, stride=2)
        stages, channels, stride, dilation = [], widths[0], 4, 1
        for index, width in enumerate(widths):
            step = 2 if index else 1
            if stride * step > output_stride:
                dilation, step = dilation * step, 1
            stride *= step
            stages.append(nn.Sequential(
                BasicBlock(channels, width, step, dilation), BasicBlock(width, width, 1, dilation)
            ))
            channels = width
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of the four stages, finest first."""
        x, features = F.max_pool2d(self.stem(image), 3, 2, 1), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, dilated."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in, channels_out, stride=stride, dilation=dilation)
        self.second = ConvNorm(channels_out, channels_out, dilation=dilation, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = ConvNorm(channels_in, channels_out, 1, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map B C H W to B C' H/stride W/stride."""
        return F.relu(self.second(self.first(x)) + self.shortcut(x))
