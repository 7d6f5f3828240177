# SPDX-License-Identifier: Apache-2.0
"""One look at a world: colours, depth, classes and objects of every pixel, all exact."""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.simulation.render.rasterizer import draw_quads
from perception_nodes.simulation.scene.street_world import StreetWorld
from perception_nodes.types import UNLABELLED, Array, FloatArray

__all__ = ['View', 'occluded_in', 'render_view', 'scene_flow']

SKY = 0
_TOLERANCE = 0.02


@dataclass(frozen=True)
class View:
    """What a camera sees at a moment.

    Attributes
    ----------
    rgb : uint8 [H, W, 3] before the camera's own flaws.
    inverse_depth : float32 [H, W] 1/m along the optical axis, 0 = sky.
    quad : int16 [H, W] index of the visible quad, -1 = sky.
    k : float64 [3, 3] pixels. world_from_camera : float64 [4, 4], optical frame. time_s : seconds.
    """

    rgb: Array
    inverse_depth: FloatArray
    quad: Array
    k: FloatArray
    world_from_camera: FloatArray
    time_s: float


def render_view(
    world: StreetWorld, world_from_camera: FloatArray, k: FloatArray, height: int, width: int,
    time_s: float = 0.0,
) -> View:
    """Look at a world with a camera without distortion (z forward, x right, y down)."""
    camera_from_world = np.linalg.inv(world_from_camera)
    sky = world.sky.seen(camera_from_world, k, height, width)
    buffers = draw_quads(world.quads, world.corners_at(time_s), camera_from_world, k, sky)
    rgb = _hazy(buffers.rgb, buffers.inverse_depth, world.light.visibility_m, world.light.horizon)
    return View(rgb, buffers.inverse_depth, buffers.quad, k, world_from_camera, time_s)


def labels_of(world: StreetWorld, view: View) -> tuple[Array, Array]:
    """Class ids uint8 [H, W] (255 unlabelled) and instance ids int32 [H, W] (0 = none)."""
    labels = np.array([quad.label for quad in world.quads] + [SKY], np.uint8)[view.quad]
    instances = np.array([quad.instance for quad in world.quads] + [0], np.int32)[view.quad]
    corners = None
    for index in np.unique(view.quad):
        if index < 0 or world.quads[index].surface.labels is None:
            continue
        corners = world.corners_at(view.time_s) if corners is None else corners
        here = view.quad == index
        labels[here] = _texel_labels(world, view, int(index), corners[index], here)
    return labels, instances


def _texel_labels(
    world: StreetWorld, view: View, index: int, corners: FloatArray, here: Array
) -> Array:
    ids = world.quads[index].surface.labels
    if ids is None:
        return np.full(int(here.sum()), UNLABELLED, np.uint8)
    camera_from_world = np.linalg.inv(view.world_from_camera)
    seen = corners @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    edges = np.stack([seen[1] - seen[0], seen[3] - seen[0], seen[0]], -1)
    y, x = np.nonzero(here)
    u, v, w = np.linalg.inv(view.k @ edges) @ np.stack([x, y, np.ones_like(x)])
    column = np.floor(u / w * ids.shape[1]).astype(int).clip(0, ids.shape[1] - 1)
    row = np.floor(v / w * ids.shape[0]).astype(int).clip(0, ids.shape[0] - 1)
    return np.asarray(ids[row, column])


def scene_flow(
    world: StreetWorld, view: View, older: View
) -> tuple[FloatArray, FloatArray]:
    """Where every point of a view was in an older one.

    Returns
    -------
    flow_px : float32 [H, W, 2] in the convention of types.Flow; NaN if the point was behind the
        older camera. The sky moves as the camera turns.
    older_inverse_depth : float32 [H, W] 1/m, of the same points in the older camera; 0 = sky.
    """
    height, width = view.quad.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    rays = np.stack([(x - view.k[0, 2]) / view.k[0, 0], (y - view.k[1, 2]) / view.k[1, 1],
                     np.ones_like(x)], -1)
    older_from_world = np.linalg.inv(older.world_from_camera)
    still = older_from_world @ view.world_from_camera
    inverse = view.inverse_depth.astype(np.float64)[..., None]
    # Homogeneous: the point is ray / inverse_depth, and only its direction is needed.
    moved = rays @ still[:3, :3].T + inverse * still[:3, 3]
    parts = np.array([quad.part for quad in world.quads] + [-1], np.int16)[view.quad]
    for part in np.unique(parts[parts >= 0]):
        motion, here = world.motions[part], parts == part
        back = motion.world_from_part(older.time_s) @ np.linalg.inv(
            motion.world_from_part(view.time_s)
        )
        change = older_from_world @ back @ view.world_from_camera
        moved[here] = rays[here] @ change[:3, :3].T + inverse[here] * change[:3, 3]
    ahead = np.maximum(moved[..., 2], 1e-9)
    at_x = moved[..., 0] / ahead * older.k[0, 0] + older.k[0, 2]
    at_y = moved[..., 1] / ahead * older.k[1, 1] + older.k[1, 2]
    flow = np.stack([x - at_x, y - at_y], -1).astype(np.float32)
    flow[moved[..., 2] < 0.05] = np.nan
    return flow, (inverse[..., 0] / ahead).astype(np.float32)


def occluded_in(
    other: View, at_x: FloatArray, at_y: FloatArray, expected_inverse_depth: FloatArray
) -> Array:
    """Find which points are not visible in another view, bool [H, W].

    Parameters
    ----------
    at_x, at_y : float32 [H, W] where they would appear there, pixels; NaN counts as not visible.
    expected_inverse_depth : float32 [H, W] 1/m of the points in the other camera.
    """
    height, width = other.quad.shape
    x, y = np.nan_to_num(at_x, nan=-1e6), np.nan_to_num(at_y, nan=-1e6)
    occluded = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    # Seen if nothing stands before it at one of the four pixels around.
    farthest = cv2.erode(other.inverse_depth, np.ones((2, 2), np.uint8), anchor=(0, 0))
    column = np.floor(x).astype(int).clip(0, width - 1)
    row = np.floor(y).astype(int).clip(0, height - 1)
    allowed = expected_inverse_depth * (1 + _TOLERANCE) + 1e-3
    return occluded | (farthest[row, column] > allowed)


def _hazy(rgb: Array, inverse_depth: FloatArray, visibility_m: float, air: FloatArray) -> Array:
    """Swallow contrast with distance (Koschmieder); the sky has its colour already."""
    with np.errstate(divide='ignore'):
        left = np.exp(np.float32(-1 / visibility_m) / inverse_depth)
    left = np.where(inverse_depth > 0, left, np.float32(1))
    veil = np.empty_like(rgb)
    veil[:] = air.clip(0, 255)
    return cv2.blendLinear(rgb, veil, left, 1 - left)
