# SPDX-License-Identifier: Apache-2.0
"""Monodepth as published: one image in, the disparities of both images of a pair out."""

from torch import Tensor, nn

from perception_nodes.networks.disp_net import DispNet

LARGEST = 0.3
"""Largest disparity, part of the width."""


class Monodepth(nn.Module):
    """Unsupervised depth with left-right consistency (Godard et al. 2017), VGG-like, 31 M.

    Trained by losses.photometric and losses.stereo_depth on pairs; depth is focal length times
    baseline of those pairs over disparity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = DispNet(2, elu=True)

    def forward(self, image: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """Estimate disparities from the left image.

        Parameters
        ----------
        image : float B 3 H W, RGB 0..1.

        Returns
        -------
        disparity_px : B 1 H W of the left image; scales : B 2 h w of left and right at 1, 1/2,
        1/4, 1/8, as parts of the width.
        """
        scales = [LARGEST * found for found in self.net(image)]
        return {'disparity_px': scales[0][:, :1] * image.shape[3], 'scales': scales}
