# SPDX-License-Identifier: Apache-2.0
"""The 13 convolutions of VGG16 (Simonyan & Zisserman 2015) in five groups, with batch norm."""

from torch import nn

from perception_nodes.networks.layers import ConvNorm

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg_groups(
    groups: tuple[tuple[int, ...], ...] = VGG16, channels_in: int = 3
) -> nn.ModuleList:
    """Build the groups of 3x3 convolutions; the pooling between them is the caller's."""
    modules = nn.ModuleList()
    for widths in groups:
        sizes = (channels_in, *widths)
        convolutions = (ConvNorm(a, b) for a, b in zip(sizes, widths, strict=False))
        modules.append(nn.Sequential(*convolutions))
        channels_in = widths[-1]
    return modules


def slim(groups: tuple[tuple[int, ...], ...], part: int = 4) -> tuple[tuple[int, ...], ...]:
    """The same groups with a part of their widths."""
    return tuple(tuple(width // part for width in group) for group in groups)
