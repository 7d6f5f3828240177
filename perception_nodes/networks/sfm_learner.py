# SPDX-License-Identifier: Apache-2.0
"""SfMLearner as published: depth of one image and the motion to its neighbours, from video."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.disp_net import DispNet

POSE_LAYERS = ((16, 7), (32, 5), (64, 3), (128, 3), (256, 3), (256, 3), (256, 3))
NEIGHBOURS = 2


class SfMLearner(nn.Module):
    """Unsupervised learning of depth and ego-motion from video (Zhou et al. 2017).

    Trained by ``p_s ~ K T_ts D(p_t) K^-1 p_t``: the neighbours, warped by depth and motion, must
    explain the image (losses.photometric).
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = DispNet(1, elu=False)
        layers: list[nn.Module] = []
        channels = 3 * (1 + NEIGHBOURS)
        for width, kernel in POSE_LAYERS:
            layers += [nn.Conv2d(channels, width, kernel, 2, kernel // 2), nn.ReLU(inplace=True)]
            channels = width
        self.pose = nn.Sequential(*layers, nn.Conv2d(channels, 6 * NEIGHBOURS, 1))

    def forward(
        self, image: Tensor, before: Tensor, after: Tensor
    ) -> dict[str, Tensor | list[Tensor]]:
        """Estimate the depth of an image and where its neighbours were taken.

        Parameters
        ----------
        image, before, after : float B 3 H W, RGB 0..1.

        Returns
        -------
        depth : B 1 H W, in an unknown unit; scales : inverse depths B 1 h w at 1, 1/2, 1/4, 1/8;
        motion : B 2 6, translation and axis-angle of neighbour from image, before and after.
        """
        scales = [10 * found + 0.01 for found in self.depth(image)]
        stacked = 2 * torch.cat([image, before, after], 1) - 1
        motion = 0.01 * F.adaptive_avg_pool2d(self.pose(stacked), 1).flatten(1)
        return {
            'depth': 1 / scales[0], 'scales': scales,
            'motion': motion.reshape(-1, NEIGHBOURS, 6),
        }
