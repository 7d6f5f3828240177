# SPDX-License-Identifier: Apache-2.0
"""A world's quads and textures as tensors, for the torch renderer."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perception_nodes.simulation.scene.quads import Surface
from perception_nodes.simulation.scene.street_world import StreetWorld
from perception_nodes.types import UNLABELLED, Array

__all__ = ['TorchScene', 'torch_scene']

LEVELS = 8


@dataclass(frozen=True)
class TorchScene:
    """What the renderer reads; N quads, S surfaces, M moving parts.

    Attributes
    ----------
    corners : float32 N 4 3, in the frame of the quad's part. part, order, label, instance : int64
        N. far_m : float32 N. surface : int64 N.
    texels : uint8 T 4, all textures and their halvings one after the other, row by row.
    opaque : bool S, whether a texture hides what is behind it everywhere.
    first, rows, columns : int64 S LEVELS, where a texture's copy begins and its size.
    texel_labels : uint8 L class ids of the full textures that have any; first_label : int64 S,
        -1 = the quad's label holds.
    """

    world: StreetWorld
    corners: Tensor
    part: Tensor
    order: Tensor
    label: Tensor
    instance: Tensor
    far_m: Tensor
    surface: Tensor
    texels: Tensor
    opaque: Tensor
    first: Tensor
    rows: Tensor
    columns: Tensor
    texel_labels: Tensor
    first_label: Tensor
    clouds: Tensor

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.corners.device

    def poses(self, time_s: Tensor) -> Tensor:
        """World from part of each moving part, and of what stands still last, B M+1 4 4."""
        times = time_s.tolist()
        poses = np.stack([
            np.stack([*(m.world_from_part(t) for m in self.world.motions), np.eye(4)])
            for t in times
        ])
        return torch.from_numpy(poses).to(self.device, torch.float32)


def torch_scene(world: StreetWorld, device: str | torch.device = 'cpu') -> TorchScene:
    """Paint all of a world's textures and put them on a device."""
    surfaces: dict[int, int] = {}
    kept: list[Surface] = []
    for quad in world.quads:
        if id(quad.surface) not in surfaces:
            surfaces[id(quad.surface)] = len(kept)
            kept.append(quad.surface)
    texels, first, rows, columns = _pyramids(kept)
    ids: list[Array] = []
    first_label, at = [], 0
    for surface in kept:
        first_label.append(-1 if surface.labels is None else at)
        if surface.labels is not None:
            ids.append(surface.labels.reshape(-1))
            at += ids[-1].size

    def tensor(values: object, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=dtype, device=device)

    whole = torch.int64
    return TorchScene(
        world,
        tensor(np.stack([q.corners for q in world.quads]), torch.float32),
        tensor([q.part for q in world.quads], whole),
        tensor([q.order for q in world.quads], whole),
        tensor([q.label for q in world.quads], whole),
        tensor([q.instance for q in world.quads], whole),
        tensor([q.far_m for q in world.quads], torch.float32),
        tensor([surfaces[id(q.surface)] for q in world.quads], whole),
        tensor(texels, torch.uint8), tensor([surface.opaque for surface in kept], torch.bool),
        tensor(first, whole), tensor(rows, whole), tensor(columns, whole),
        tensor(np.concatenate(ids) if ids else np.array([UNLABELLED]), torch.uint8),
        tensor(first_label, whole), tensor(world.sky.clouds, torch.float32),
    )


def _pyramids(surfaces: list[Surface]) -> tuple[Array, Array, Array, Array]:
    """Put all copies of all textures one after the other."""
    pieces, at = [], 0
    first = np.zeros((len(surfaces), LEVELS), np.int64)
    rows, columns = np.zeros_like(first), np.zeros_like(first)
    for number, surface in enumerate(surfaces):
        last = None
        for level in range(LEVELS):
            texture = surface.level(level)
            if texture is not last:
                start = at
                pieces.append(texture.reshape(-1, 4))
                at += len(pieces[-1])
                last = texture
            first[number, level] = start
            rows[number, level], columns[number, level] = texture.shape[:2]
    return np.concatenate(pieces), first, rows, columns
