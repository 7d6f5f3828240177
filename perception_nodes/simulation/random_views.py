# SPDX-License-Identifier: Apache-2.0
"""Stereo pairs for training: many streets, days, cameras, seen from where a vehicle may be."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from perception_nodes.simulation.render.photometric import (
    Appearance,
    develop,
    exposure_for,
    random_appearance,
)
from perception_nodes.simulation.render.stereo_view import (
    LEFT_FRAME,
    RIGHT_FRAME,
    StereoSample,
    developed,
    forward_camera,
    render_pair,
    with_flow,
)
from perception_nodes.simulation.render.view import render_view
from perception_nodes.simulation.scene.street_world import StreetWorld, WorldConfig
from perception_nodes.types import Array, Camera, FloatArray, Image, PerceptionError, StereoRig

__all__ = ['DrawnView', 'ViewConfig', 'draw_view', 'random_views']

_TRIES = 4
_SHORTEST_M = 27.0
_TOO_NEAR_M, _TOO_NEAR_SHARE = 2.2, 0.08


@dataclass(frozen=True)
class ViewConfig:
    """What is drawn at random.

    Attributes
    ----------
    height, width : pixels. views_per_world : pairs seen of one street before the next is built.
    focal_per_width : lowest and highest focal length over image width.
    camera_height_m, pitch_rad, yaw_rad : lowest and highest. baseline_m : lowest and highest.
    step_s : lowest and highest time since the older view that flow starts from.
    flow : render that older view too (costs half as much again).
    flaws : strength of noise, exposure, blur, vignetting; 0 = ideal images.
    """

    height: int = 256
    width: int = 512
    views_per_world: int = 12
    focal_per_width: tuple[float, float] = (0.55, 1.3)
    camera_height_m: tuple[float, float] = (1.1, 2.1)
    pitch_rad: tuple[float, float] = (-0.06, 0.1)
    yaw_rad: tuple[float, float] = (-0.25, 0.25)
    baseline_m: tuple[float, float] = (0.1, 0.6)
    step_s: tuple[float, float] = (0.03, 0.12)
    flow: bool = True
    flaws: float = 0.6

    def __post_init__(self) -> None:
        if self.height < 32 or self.width < 32 or self.views_per_world < 1:
            raise PerceptionError('views are at least 32x32 px, at least one a world')


def random_views(
    seed: int, config: ViewConfig | None = None, world_config: WorldConfig | None = None, *,
    start: int = 0,
) -> Iterator[StereoSample]:
    """Yield samples without end, from number start on; each is a function of the arguments."""
    config = config or ViewConfig()
    number, first = divmod(start, config.views_per_world)
    while True:
        rng = np.random.default_rng([seed, 307, number])
        draw = world_config or WorldConfig(
            length_m=120.0, traffic=float(rng.uniform(0.5, 2.0)), trees=float(rng.uniform(0, 1.6))
        )
        world = StreetWorld(int(rng.integers(1 << 31)), draw)
        for index in range(first, config.views_per_world):
            rng = np.random.default_rng([seed, 308, number, index])
            yield _look(rng, world, config, number * config.views_per_world + index)
        number, first = number + 1, 0


@dataclass(frozen=True)
class DrawnView:
    """Where and when a pair is taken: poses float64 [4, 4] of optical frames, k [3, 3] pixels."""

    world_from_left: FloatArray
    world_from_right: FloatArray
    world_from_older: FloatArray
    base_from_camera: FloatArray
    rig: StereoRig
    k: FloatArray
    baseline_m: float
    time_s: float
    step_s: float


def draw_view(rng: np.random.Generator, world: StreetWorld, config: ViewConfig) -> DrawnView:
    """Draw a camera on the road and its motion since a moment ago."""
    rig, base_from_camera = _camera(rng, config)
    time_s, step_s = float(rng.uniform(0, 6)), float(rng.uniform(*config.step_s))
    world_from_base, speed = _place(rng, world, config, time_s)
    left = world_from_base @ base_from_camera
    aside = np.eye(4)
    aside[0, 3] = rig.baseline_m
    older = world_from_base @ _drift(rng, speed * step_s) @ base_from_camera
    return DrawnView(
        left, left @ aside, older, base_from_camera, rig, rig.left.rectified_k, rig.baseline_m,
        time_s, step_s,
    )


def _look(
    rng: np.random.Generator, world: StreetWorld, config: ViewConfig, index: int
) -> StereoSample:
    for _ in range(_TRIES):
        view = draw_view(rng, world, config)
        world_from_base = view.world_from_left @ np.linalg.inv(view.base_from_camera)
        sample = render_pair(
            world, view.rig, world_from_base, base_from_camera=view.base_from_camera,
            time_s=view.time_s, stamp_ns=index,
        )
        if (sample.left_view.inverse_depth > 1 / _TOO_NEAR_M).mean() < _TOO_NEAR_SHARE:
            break
    appearances = _appearances(rng, sample.left.data, config.flaws)
    noise_seed = int(rng.integers(1 << 31))
    sample = developed(sample, appearances, noise_seed)
    if not config.flow:
        return sample
    older = render_view(
        world, view.world_from_older, view.k, config.height, config.width,
        view.time_s - view.step_s,
    )
    flow, occluded = with_flow(world, sample, older)
    image = older.rgb
    if appearances is not None:
        # The same camera a moment ago: only its noise and a breath of exposure differ.
        gain = np.exp(rng.normal(0, 0.03)) * np.array(appearances[0].gain)
        how = replace(appearances[0], gain=tuple(gain.tolist()))
        image = develop(np.random.default_rng([noise_seed, 2]), image, how)
    before = Image(image, index, view.rig.left.frame_id)
    return replace(sample, flow_px=flow, flow_occluded=occluded, older=before)


def _camera(rng: np.random.Generator, config: ViewConfig) -> tuple[StereoRig, FloatArray]:
    focal = config.width * float(rng.uniform(*config.focal_per_width))
    baseline = float(rng.uniform(*config.baseline_m))
    cx = (config.width - 1) / 2 + rng.normal(0, 0.02) * config.width
    cy = (config.height - 1) / 2 + rng.normal(-0.02, 0.04) * config.height
    left, right = (
        Camera.pinhole(config.width, config.height, focal, focal, float(cx), float(cy),
                       baseline_m=b, frame_id=frame)
        for b, frame in ((0.0, LEFT_FRAME), (baseline, RIGHT_FRAME))
    )
    height = float(rng.uniform(*config.camera_height_m))
    pitch = float(rng.uniform(*config.pitch_rad))
    return StereoRig(left, right), forward_camera(height, 0.0, 0.0, pitch)


def _place(
    rng: np.random.Generator, world: StreetWorld, config: ViewConfig, time_s: float
) -> tuple[FloatArray, float]:
    """Draw world_from_base on the road, clear of traffic if that can be had, and the speed."""
    if world.path.length_m < _SHORTEST_M:
        raise PerceptionError(
            f'views need a street of {_SHORTEST_M:g} m at least, not {world.path.length_m:.1f} m'
        )
    pose = np.eye(4)
    for _ in range(8):
        along = float(rng.uniform(2, world.path.length_m - 25))
        reach = world.style.road_half_m - 0.8
        aside = float(np.clip(world.lane_m + rng.normal(0, 0.8), -reach, reach))
        yaw = float(rng.uniform(*config.yaw_rad)) if rng.random() < 0.5 else rng.normal(0, 0.03)
        pose = world.path.world_from_street(along, aside, float(yaw))
        ahead = pose[:2, 3] + 2.5 * pose[:2, 0]
        if world.clear_of_traffic(ahead, time_s, 3.5):
            break
    roll = rng.normal(0, 0.02)
    c, s = np.cos(roll), np.sin(roll)
    tilt = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])
    return pose @ tilt, float(rng.uniform(0, 16))


def _drift(rng: np.random.Generator, length_m: float) -> FloatArray:
    """Pose of the older base in the newest: back along x, turned a little."""
    yaw, pitch, roll = rng.normal(0, [0.02, 0.004, 0.004])
    back = np.eye(4)
    back[:3, :3] += np.array([[0, -yaw, pitch], [yaw, 0, -roll], [-pitch, roll, 0]])
    back[:3, :3] = np.linalg.qr(back[:3, :3])[0] * np.sign(np.diag(np.linalg.qr(back[:3, :3])[1]))
    back[:3, 3] = [-length_m, rng.normal(0, 0.03), rng.normal(0, 0.01)]
    return back


def _appearances(
    rng: np.random.Generator, image: Array, strength: float
) -> tuple[Appearance, Appearance] | None:
    """Draw two cameras that are mostly alike, exposed for what they see."""
    if strength <= 0:
        return None
    both = random_appearance(rng, strength)
    level = rng.uniform(60, 125)
    bright = exposure_for(image, float(level))
    left, right = (
        replace(
            both, sharpening=both.sharpening + 0.3,
            gain=tuple(float(g * bright * f) for g, f in zip(
                both.gain, np.exp(rng.normal(0, 0.03 * strength, 3)), strict=True)),
        )
        for _ in range(2)
    )
    return left, right
