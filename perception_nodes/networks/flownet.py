# SPDX-License-Identifier: Apache-2.0
"""FlowNetS and FlowNetC as published: the encoder-decoder that first learned optical flow."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import upsample_like
from perception_nodes.networks.matching import local_correlation


def conv(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution and the leaky ReLU of the released networks."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2),
        nn.LeakyReLU(0.1, inplace=True),
    )


def deconv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Transposed convolution that doubles the size, and a leaky ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1), nn.LeakyReLU(0.1, inplace=True)
    )


class Contracting(nn.Module):
    """conv3_1 to conv6: from 1/8 to 1/64."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.conv3_1 = conv(channels_in, 256)
        self.conv4 = nn.Sequential(conv(256, 512, stride=2), conv(512, 512))
        self.conv5 = nn.Sequential(conv(512, 512, stride=2), conv(512, 512))
        self.conv6 = conv(512, 1024, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map 1/8 to features at 1/8, 1/16, 1/32, 1/64."""
        x3 = self.conv3_1(x)
        x4 = self.conv4(x3)
        x5 = self.conv5(x4)
        return [x3, x4, x5, self.conv6(x5)]


class Expanding(nn.Module):
    """The refinement part: flow at 1/64, then upconvolution, skip and flow, up to 1/4."""

    def __init__(self, skips: tuple[int, int, int, int] = (512, 512, 256, 128)) -> None:
        super().__init__()
        widths = (512, 256, 128, 64)
        inputs = [1024]
        for skip, width in zip(skips, widths, strict=True):
            inputs.append(skip + width + 2)
        self.flow = nn.ModuleList(nn.Conv2d(channels, 2, 3, padding=1) for channels in inputs)
        self.up = nn.ModuleList(
            deconv(channels, width) for channels, width in zip(inputs[:-1], widths, strict=True)
        )

    def forward(self, x: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """Flows at 1/64, 1/32, 1/16, 1/8, 1/4; skips at 1/32 .. 1/4."""
        flows = [self.flow[0](x)]
        for up, predict, skip in zip(self.up, self.flow[1:], skips, strict=True):
            height, width = skip.shape[2:]
            raised = up(x)[:, :, :height, :width]
            x = torch.cat([skip, raised, upsample_like(flows[-1], skip)], 1)
            flows.append(predict(x))
        return flows


FLOW_UNIT_PX = 20.0
"""The published networks return flow in units of 20 px, so that outputs are near one."""


def result(flows: list[Tensor], image: Tensor) -> dict[str, Tensor | list[Tensor]]:
    """Flow of the image's size (bilinear from 1/4, as published) and those of all scales."""
    flows_px = [flow.float() * FLOW_UNIT_PX for flow in flows]
    return {'flow_px': upsample_like(flows_px[-1], image), 'coarse_px': flows_px}


class FlowNetS(nn.Module):
    """FlowNetSimple (Dosovitskiy et al. 2015): both images stacked, 38 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(6, 64, 7, 2), conv(64, 128, 5, 2)
        self.conv3 = conv(128, 256, 5, 2)
        self.contracting, self.expanding = Contracting(256), Expanding()

    def forward(self, image0: Tensor, image1: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """Find the motion to image1 (newest) on its grid.

        Parameters
        ----------
        image0, image1 : float B 3 H W, RGB 0..1.

        Returns
        -------
        flow_px : B 2 H W (see types.Flow); coarse_px : B 2 h w at 1/64 .. 1/4, full-size pixels.
        """
        x2 = self.conv2(self.conv1(torch.cat([image1, image0], 1) - 0.5))
        x3, x4, x5, x6 = self.contracting(self.conv3(x2))
        return result(self.expanding(x6, [x5, x4, x3, x2]), image1)


class FlowNetC(nn.Module):
    """FlowNetCorr (Dosovitskiy et al. 2015): each image alone to 1/8, then a correlation.

    The correlation looks 20 cells of 1/8 around in steps of 2: 21 x 21 places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(3, 64, 7, 2), conv(64, 128, 5, 2)
        self.conv3, self.redirect = conv(128, 256, 5, 2), conv(256, 32, 1)
        self.contracting, self.expanding = Contracting(21 * 21 + 32), Expanding()

    def forward(self, image0: Tensor, image1: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """As FlowNetS.forward."""
        older2, newest2 = self.conv2(self.conv1(torch.cat([image0, image1]) - 0.5)).chunk(2)
        older3, newest3 = self.conv3(torch.cat([older2, newest2])).chunk(2)
        places = local_correlation(newest3, older3, 10, step=2) / newest3.shape[1]
        x = torch.cat([F.leaky_relu(places, 0.1), self.redirect(newest3)], 1)
        x3, x4, x5, x6 = self.contracting(x)
        return result(self.expanding(x6, [x5, x4, x3, newest2]), image1)
