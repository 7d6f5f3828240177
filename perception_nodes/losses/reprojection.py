# SPDX-License-Identifier: Apache-2.0
"""Depth and motion explain one frame by another: ``p_s ~ K T_ts D(p_t) K^-1 p_t`` (Zhou 2017)."""

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_DEPTH = 1e-3


def transform_from_vector(vector: Tensor) -> Tensor:
    """Rigid transforms B 4 4 from B 6: translation, then axis times angle (Rodrigues)."""
    translation, turn = vector[:, :3], vector[:, 3:]
    angle = torch.sqrt((turn * turn).sum(1) + 1e-12)[:, None, None]
    zero = torch.zeros_like(turn[:, 0])
    x, y, z = turn.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    identity = torch.eye(3, device=vector.device, dtype=vector.dtype)
    rotation = (
        identity + torch.sin(angle) / angle * cross
        + (1 - torch.cos(angle)) / (angle * angle) * (cross @ cross)
    )
    top = torch.cat([rotation, translation[:, :, None]], 2)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], device=vector.device, dtype=vector.dtype)
    return torch.cat([top, last.expand(len(vector), 1, 4)], 1)


def reprojected(
    other: Tensor, depth: Tensor, k: Tensor, other_from_image: Tensor
) -> tuple[Tensor, Tensor]:
    """Bring another image onto this one's grid.

    Parameters
    ----------
    other : B C H W. depth : B 1 H W of this image. k : B 3 3, of both, pixels.
    other_from_image : B 4 4, from this camera's frame into the other's, in the unit of depth.

    Returns
    -------
    B C H W, the other image sampled where each pixel went (0 outside); bool B 1 H W, whether it
    went into the image, in front of the camera.
    """
    batch, _, height, width = other.shape
    y, x = torch.meshgrid(
        torch.arange(height, device=other.device, dtype=depth.dtype),
        torch.arange(width, device=other.device, dtype=depth.dtype), indexing='ij',
    )
    pixels = torch.stack([x, y, torch.ones_like(x)]).reshape(1, 3, -1)
    points = torch.linalg.inv(k) @ pixels * depth.reshape(batch, 1, -1)
    moved = other_from_image[:, :3, :3] @ points + other_from_image[:, :3, 3:]
    at = k @ moved
    z = at[:, 2:].clamp(min=LEAST_DEPTH)
    at = at[:, :2] / z
    scale = torch.tensor([width - 1, height - 1], device=other.device, dtype=depth.dtype)
    unit = 2 * at / scale[None, :, None] - 1
    grid = unit.reshape(batch, 2, height, width).permute(0, 2, 3, 1)
    inside = (unit.abs() <= 1).all(1) & (moved[:, 2] > LEAST_DEPTH)
    warped = F.grid_sample(other, grid, padding_mode='zeros', align_corners=True)
    return warped, inside.reshape(batch, 1, height, width)
