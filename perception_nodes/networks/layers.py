# SPDX-License-Identifier: Apache-2.0
"""Blocks that several networks share: convolution + norm, residual block, pooled context."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def require_multiples(image: Tensor, multiple: int) -> None:
    """Check that the sides of B C H W fit the network's strides.

    Raises
    ------
    ValueError
        If a side is no multiple; a traced graph, which rounds its sizes itself, is not looked at.
    """
    height, width = image.shape[-2:]
    if not torch.jit.is_tracing() and (height % multiple or width % multiple):
        raise ValueError(f'an image of {width}x{height}: sides must be multiples of {multiple}')


class HalfInstanceNorm(nn.Module):
    """Half of the channels are normalised in each image by itself (IBN-Net, Pan et al. 2018).

    Early in a network that takes away an image's light and colour cast, so that streets at dusk
    look like those of the day; the other half still knows them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.norm = nn.InstanceNorm2d(self.half, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map B C H W to B C H W."""
        return torch.cat([self.norm(x[:, :self.half]), x[:, self.half:]], 1)


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and (by default) ReLU; 'same' padding.

    Parameters
    ----------
    per_picture : a HalfInstanceNorm follows the batch norm.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, *,
        stride: int = 1, dilation: int = 1, groups: int = 1, relu: bool = True,
        per_image: bool = False,
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding, dilation, groups, bias=False
        )
        layers: list[nn.Module] = [conv, nn.BatchNorm2d(channels_out)]
        if per_image:
            layers.append(HalfInstanceNorm(channels_out))
        if relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016), the first one with the stride."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int = 1, *, per_image: bool = False
    ) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in, channels_out, stride=stride)
        self.second = ConvNorm(channels_out, channels_out, relu=False, per_image=per_image)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = ConvNorm(channels_in, channels_out, 1, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map B C H W to B C' H/stride W/stride."""
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class PyramidContext(nn.Module):
    """What surrounds a pixel at several sizes, up to the whole image (after PSPNet, Zhao 2017).

    The windows slide (stride 1), so that the graph is the same for every image size.
    """

    def __init__(
        self, channels_in: int, channels_out: int, windows: tuple[int, ...] = (5, 9),
        width: int = 48,
    ) -> None:
        super().__init__()
        self.windows = windows
        self.local = ConvNorm(channels_in, width, 1)
        self.pooled = nn.ModuleList(ConvNorm(channels_in, width, 1) for _ in windows)
        self.whole = nn.Sequential(nn.Conv2d(channels_in, width, 1), nn.ReLU(inplace=True))
        self.join = ConvNorm(channels_in + width * (len(windows) + 2), channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B C H W to B C' H W."""
        parts = [x, self.local(x)]
        for window, project in zip(self.windows, self.pooled, strict=True):
            pooled = F.avg_pool2d(x, window, 1, window // 2, count_include_pad=False)
            parts.append(project(pooled))
        whole = self.whole(x.mean((2, 3), keepdim=True))
        parts.append(whole.expand(-1, -1, x.shape[2], x.shape[3]))
        return self.join(torch.cat(parts, 1))


def upsample_like(x: Tensor, like: Tensor) -> Tensor:
    """Resize B C h w bilinearly to the height and width of another tensor."""
    return F.interpolate(x, size=like.shape[2:], mode='bilinear', align_corners=False)
