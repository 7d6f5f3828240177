# SPDX-License-Identifier: Apache-2.0
"""Sky and haze in torch, of many views at once; as sky.py and view.py do it in numpy."""

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.simulation.render.torch_scene import TorchScene

__all__ = ['with_air']


def with_air(
    scene: TorchScene, turn: Tensor, colour: Tensor, inverse_depth: Tensor
) -> Tensor:
    """Put the sky behind what is seen and the haze between.

    Parameters
    ----------
    turn : float32 B 3 3, the direction in the world of a homogeneous pixel.
    colour : float32 B 3 H W, 0..255. inverse_depth : float32 B H W, 1/m; 0 = sky.
    """
    light = scene.world.light
    like = {'device': colour.device, 'dtype': torch.float32}
    horizon = torch.tensor(light.horizon, **like)[:, None, None]
    sky = _sky(scene, turn, *inverse_depth.shape[1:])
    left = torch.exp(-1 / (light.visibility_m * inverse_depth.clamp_min(1e-9)))[:, None]
    hazy = colour * left + horizon * (1 - left)
    return torch.where(inverse_depth[:, None] > 0, hazy, sky)


def _sky(scene: TorchScene, turn: Tensor, height: int, width: int) -> Tensor:
    light = scene.world.light
    like = {'device': scene.device, 'dtype': torch.float32}
    y, x = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing='ij')
    pixel = torch.stack([x, y, torch.ones_like(x)], -1)
    ray = F.normalize(torch.einsum('bij,hwj->bhwi', turn, pixel), dim=-1)
    up = ray[..., 2].clamp(1e-3, 1.0)
    lift = up.sqrt()[..., None]
    horizon, zenith, cloud = (
        torch.tensor(c, **like) for c in (light.horizon, light.zenith, light.cloud)
    )
    clear = horizon * (1 - lift) + zenith * lift
    toward = (ray @ torch.tensor(light.to_sun, **like)).clamp_min(0)[..., None]
    sun = torch.tensor(light.sun, **like).clamp_max(1.0)
    clear = clear + (toward**6 * 60 + toward**80 * 120) * sun
    clouds = scene.clouds
    at = ray[..., :2] / up.clamp_min(0.04)[..., None] * 180.0
    column, row = (at[..., i].round().long() % clouds.shape[1 - i] for i in (0, 1))
    share = (clouds[row, column] * (up * 6).clamp_max(1))[..., None]
    return (clear * (1 - share) + cloud * share).clamp(0, 255).permute(0, 3, 1, 2)
