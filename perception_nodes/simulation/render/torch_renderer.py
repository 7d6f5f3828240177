# SPDX-License-Identifier: Apache-2.0
"""The rasterizer in torch: many views of a world in one batch, on a GPU where there is one.

The same homographies as in rasterizer.py, but fragment by fragment: every quad of every view is
spread over its window, fragments outside of it or transparent fall away, and of those that land on
one pixel the nearest is kept. Outlines are softened by rendering larger and averaging.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.simulation.render.torch_air import with_air
from perception_nodes.simulation.render.torch_scene import LEVELS, TorchScene
from perception_nodes.simulation.scene.quads import DECAL

__all__ = ['TorchViews', 'render_views', 'views_flow']

NEAR_M = 0.3
_MOST_FRAGMENTS = 8_000_000
_FAR_SKY = 0


@dataclass(frozen=True)
class TorchViews:
    """B views of H x W pixels.

    Attributes
    ----------
    rgb : uint8 B 3 H W without flaws. inverse_depth : float32 B H W 1/m, 0 = sky.
    quad : int64 B H W, -1 = sky. labels : uint8 B H W. instances : int64 B H W.
    world_from_camera : float32 B 4 4. k : float32 B 3 3 px. time_s : float32 B.
    """

    rgb: Tensor
    inverse_depth: Tensor
    quad: Tensor
    labels: Tensor
    instances: Tensor
    world_from_camera: Tensor
    k: Tensor
    time_s: Tensor


def render_views(
    scene: TorchScene, world_from_camera: Tensor, k: Tensor, time_s: Tensor, height: int,
    width: int, *, supersampling: int = 2,
) -> TorchViews:
    """Render a batch of views of one world.

    Parameters
    ----------
    world_from_camera : B 4 4 of optical frames. k : B 3 3 px. time_s : B.
    supersampling : colours are rendered so many times larger and averaged; 1 = hard outlines.
    """
    rays = _Rays(scene, world_from_camera, k, time_s)
    inverse_depth, quad, colour, label = _rasterize(rays, height, width)
    if supersampling > 1:
        s = float(supersampling)
        larger = torch.tensor(
            [[s, 0, (s - 1) / 2], [0, s, (s - 1) / 2], [0, 0, 1]], device=scene.device
        )
        fine = _Rays(scene, world_from_camera, larger @ k, time_s)
        size = (height * supersampling, width * supersampling)
        fine_inverse, _, colour, _ = _rasterize(fine, *size)
        colour = with_air(scene, fine.turn(), colour, fine_inverse)
        colour = F.avg_pool2d(colour, supersampling)
    else:
        colour = with_air(scene, rays.turn(), colour, inverse_depth)
    instances = torch.where(quad >= 0, scene.instance[quad.clamp_min(0)], 0)
    return TorchViews(
        colour.round().clamp(0, 255).to(torch.uint8), inverse_depth, quad, label, instances,
        world_from_camera, k, time_s,
    )


class _Rays:
    """Quads as seen by B cameras: places, windows and limits of inverse depth."""

    def __init__(
        self, scene: TorchScene, world_from_camera: Tensor, k: Tensor, time_s: Tensor
    ) -> None:
        self.scene, self.k, self.world_from_camera = scene, k, world_from_camera
        camera_from_world = torch.linalg.inv(world_from_camera)
        poses = (camera_from_world[:, None] @ scene.poses(time_s))[:, scene.part]
        seen = torch.einsum('bnij,nkj->bnki', poses[..., :3, :3], scene.corners)
        seen = seen + poses[..., None, :3, 3]
        self.seen = seen
        edges = torch.stack([seen[..., 1, :] - seen[..., 0, :], seen[..., 3, :] - seen[..., 0, :],
                             seen[..., 0, :]], -1)
        matrix = (k[:, None] @ edges).double()
        good = torch.linalg.det(matrix).abs() > 1e-9
        unit = torch.eye(3, device=matrix.device, dtype=matrix.dtype)
        matrix = torch.where(good[..., None, None], matrix, unit)
        self.place_from_pixel = torch.linalg.inv(matrix)
        distance = seen.mean(-2).norm(dim=-1)
        self.shown = good & (seen[..., 2] > NEAR_M).any(-1) & (distance < scene.far_m)

    def turn(self) -> Tensor:
        """Give directions in the world of homogeneous pixels, float32 B 3 3."""
        return self.world_from_camera[:, :3, :3] @ torch.linalg.inv(self.k)

    def windows(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Columns and rows [x0, x1) x [y0, y1) that each quad may cover, int64 B N."""
        after = self.seen.roll(-1, -2)
        z, z_after = self.seen[..., 2], after[..., 2]
        # What spans the outline in front of the camera: corners there, and where edges come in.
        comes_in = (z > NEAR_M) != (z_after > NEAR_M)
        share = torch.where(comes_in, (NEAR_M - z) / (z_after - z), 0)[..., None]
        points = torch.cat([self.seen, self.seen + share * (after - self.seen)], -2)
        there = torch.cat([z > NEAR_M, comes_in], -1)[..., None]
        pixel = points @ self.k[:, None].transpose(-1, -2)
        pixel = pixel[..., :2] / points[..., 2:].clamp_min(NEAR_M)
        low = torch.where(there, pixel, torch.inf).amin(-2).floor()
        high = torch.where(there, pixel, -torch.inf).amax(-2).ceil() + 1
        x0, x1 = low[..., 0].clamp(0, width), high[..., 0].clamp(0, width)
        y0, y1 = low[..., 1].clamp(0, height), high[..., 1].clamp(0, height)
        return x0.long(), x1.long(), y0.long(), y1.long()


def _rasterize(
    rays: _Rays, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inverse depth, quad, colour float32 B 3 H W (0 = sky) and label of every pixel."""
    scene, batch = rays.scene, rays.seen.shape[0]
    x0, x1, y0, y1 = rays.windows(height, width)
    area = torch.where(rays.shown, (x1 - x0).clamp_min(0) * (y1 - y0).clamp_min(0), 0)
    nearest = torch.zeros(batch * height * width, device=scene.device)
    winner = torch.full_like(nearest, -1, dtype=torch.int64)
    shade = torch.ones_like(nearest)
    # Solid things first, then the decals (shadows) that lie on what is seen.
    for decals in (False, True):
        chosen = (scene.order == DECAL) == decals
        flat = torch.nonzero((area * chosen).reshape(-1)).squeeze(1)
        for part in _shares(area.reshape(-1)[flat]):
            quads = flat[part]
            _add_fragments(rays, quads, (x0, x1, y0, y1), (height, width), nearest, winner,
                           shade if decals else None)
    return _resolve(rays, nearest, winner, shade, height, width)


def _shares(areas: Tensor) -> list[slice]:
    """Cut a list of windows so that no piece has too many fragments."""
    total = areas.cumsum(0)
    if not len(total):
        return []
    pieces = int(total[-1] // _MOST_FRAGMENTS) + 1
    marks = torch.searchsorted(
        total, torch.arange(1, pieces, device=total.device) * _MOST_FRAGMENTS
    ).tolist()
    ends = [0, *marks, len(total)]
    return [slice(a, b) for a, b in pairwise(ends) if b > a]


def _add_fragments(
    rays: _Rays, quads: Tensor, windows: tuple[Tensor, ...], size: tuple[int, int],
    nearest: Tensor, winner: Tensor, shade: Tensor | None,
) -> None:
    """Spread quads (flat indices of B N) over their windows; keep what is nearest."""
    height, width = size
    count = rays.shown.shape[1]
    x0, x1, y0, y1 = (w.reshape(-1)[quads] for w in windows)
    wide = x1 - x0
    areas = wide * (y1 - y0)
    which = torch.repeat_interleave(torch.arange(len(quads), device=quads.device), areas)
    inside = torch.arange(len(which), device=quads.device) - (areas.cumsum(0) - areas)[which]
    x, y = x0[which] + inside % wide[which], y0[which] + inside // wide[which]
    flat = quads[which]
    u, v, w = _places(rays, flat, x, y)
    # w <= 0 is behind the camera: there a plane is a ghost.
    kept = (w > 1e-6) & (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1) & (w < 1 / NEAR_M)
    flat, x, y, u, v, w = (t[kept] for t in (flat, x, y, u, v, w))
    pixel = (flat // count) * (height * width) + y * width + x
    opaque = rays.scene.opaque[rays.scene.surface[flat % count]]
    if shade is None:
        # Behind what is solid everywhere no texture needs to be looked at.
        nearest.scatter_reduce_(0, pixel[opaque], w[opaque], 'amax')
        ahead = w >= nearest[pixel]
        flat, x, y, u, v, w, pixel, opaque = (
            t[ahead] for t in (flat, x, y, u, v, w, pixel, opaque)
        )
    opacity, thin = torch.full_like(w, 255), ~opaque
    opacity[thin] = _sample(rays, *(t[thin] for t in (flat, x, y, u, v)))[:, 3]
    if shade is not None:
        on = (w - nearest[pixel]).abs() < 0.02 * nearest[pixel]
        shade.scatter_reduce_(0, pixel[on], 1 - opacity[on] / 255, 'prod')
        return
    solid = opacity >= 128
    pixel, w, flat = pixel[solid], w[solid], flat[solid]
    nearest.scatter_reduce_(0, pixel, w, 'amax')
    won = w >= nearest[pixel]
    # Of equals the larger index, so that the result does not depend on the order of writing.
    stale = torch.zeros_like(nearest, dtype=torch.bool)
    stale[pixel[won]] = True
    winner.masked_fill_(stale, -1)
    winner.scatter_reduce_(0, pixel[won], flat[won], 'amax')


def _places(rays: _Rays, flat: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Place (u, v) on the quad, 0..1, and inverse depth w of fragments."""
    rows = rays.place_from_pixel.reshape(-1, 3, 3)[flat]
    found = rows[..., 0] * x[:, None] + rows[..., 1] * y[:, None] + rows[..., 2]
    w = found[:, 2]
    safe = torch.where(w.abs() < 1e-12, 1e-12, w)
    return (found[:, 0] / safe).float(), (found[:, 1] / safe).float(), w.float()


def _sample(
    rays: _Rays, flat: Tensor, x: Tensor, y: Tensor, u: Tensor, v: Tensor
) -> Tensor:
    """Texture of fragments, float32 F 4, bilinear on the copy that fits the pixel's size."""
    scene = rays.scene
    surface = scene.surface[flat % rays.shown.shape[1]]
    matrix = rays.place_from_pixel.reshape(-1, 3, 3)[flat].float()
    w = matrix[:, 2, 0] * x + matrix[:, 2, 1] * y + matrix[:, 2, 2]
    size = torch.stack([scene.columns[surface, 0], scene.rows[surface, 0]], -1)
    place = torch.stack([u, v], -1)
    step = (matrix[:, :2, :2] - place[..., None] * matrix[:, 2:, :2]) / w[:, None, None]
    step = step * size[..., None]
    area = torch.linalg.det(step).abs().clamp_min(1e-12)
    longest = step.square().sum(-1).amax(-1).clamp_min(1e-12).sqrt()
    level = (0.5 * (area.sqrt() * longest).log2() - 0.3).round().clamp(0, LEVELS - 1).long()
    rows, columns = scene.rows[surface, level], scene.columns[surface, level]
    at_x = (u * columns - 0.5).clamp_min(0)
    at_y = (v * rows - 0.5).clamp_min(0)
    left, top = at_x.floor(), at_y.floor()
    fx, fy = (at_x - left)[:, None], (at_y - top)[:, None]
    left, top = left.long(), top.long()
    right, bottom = torch.minimum(left + 1, columns - 1), torch.minimum(top + 1, rows - 1)
    first = scene.first[surface, level]

    def texel(row: Tensor, column: Tensor) -> Tensor:
        return scene.texels[first + row * columns + column].float()

    upper = texel(top, left) * (1 - fx) + texel(top, right) * fx
    lower = texel(bottom, left) * (1 - fx) + texel(bottom, right) * fx
    return upper * (1 - fy) + lower * fy


def _resolve(
    rays: _Rays, nearest: Tensor, winner: Tensor, shade: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Look up colour and label of what won every pixel."""
    scene, batch = rays.scene, rays.seen.shape[0]
    count = rays.shown.shape[1]
    hit = torch.nonzero(winner >= 0).squeeze(1)
    flat = winner[hit]
    inside = hit % (height * width)
    x, y = inside % width, inside // width
    u, v, _ = _places(rays, flat, x, y)
    texel = _sample(rays, flat, x, y, u, v)
    colour = torch.zeros(batch * height * width, 3, device=scene.device)
    colour[hit] = texel[:, :3] * shade[hit, None] + 12 * (1 - shade[hit, None])
    quad = torch.full_like(winner, -1)
    quad[hit] = flat % count
    label = torch.full((batch * height * width,), _FAR_SKY, dtype=torch.uint8, device=scene.device)
    surface = scene.surface[quad[hit]]
    rows, columns = scene.rows[surface, 0], scene.columns[surface, 0]
    row = torch.minimum((v * rows).long(), rows - 1)
    column = torch.minimum((u * columns).long(), columns - 1)
    own = scene.first_label[surface]
    ids = scene.texel_labels[(own + row * columns + column).clamp(0, len(scene.texel_labels) - 1)]
    label[hit] = torch.where(own >= 0, ids, scene.label[quad[hit]].to(torch.uint8))
    shape = (batch, height, width)
    return (
        nearest.reshape(shape), quad.reshape(shape),
        colour.reshape(*shape, 3).permute(0, 3, 1, 2), label.reshape(shape),
    )


def views_flow(scene: TorchScene, newest: TorchViews, older: TorchViews) -> Tensor:
    """Flow since older views of the same batch, float32 B 2 H W as types.Flow; NaN behind it."""
    height, width = newest.quad.shape[1:]
    like = {'device': scene.device, 'dtype': torch.float32}
    y, x = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing='ij')
    pixel = torch.stack([x, y, torch.ones_like(x)], -1)
    ray = torch.einsum('bij,hwj->bhwi', torch.linalg.inv(newest.k), pixel)
    back = scene.poses(older.time_s) @ torch.linalg.inv(scene.poses(newest.time_s))
    older_from_world = torch.linalg.inv(older.world_from_camera)[:, None]
    change = (older_from_world @ back @ newest.world_from_camera[:, None]).float()
    part = torch.where(newest.quad >= 0, scene.part[newest.quad.clamp_min(0)], -1)
    part = torch.where(part < 0, change.shape[1] - 1, part)
    which = torch.arange(len(part), device=scene.device)[:, None, None]
    matrix = change[which, part]
    moved = (matrix[..., :3, :3] @ ray[..., None])[..., 0]
    moved = moved + newest.inverse_depth[..., None] * matrix[..., :3, 3]
    at = torch.einsum('bij,bhwj->bhwi', older.k, moved)
    at = at[..., :2] / at[..., 2:].clamp_min(1e-9)
    flow = pixel[..., :2] - at
    flow = torch.where(moved[..., 2:] > 0.05, flow, torch.nan)
    return flow.permute(0, 3, 1, 2)
