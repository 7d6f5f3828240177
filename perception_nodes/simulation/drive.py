# SPDX-License-Identifier: Apache-2.0
"""A drive along a rendered street, pair by pair."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from perception_nodes.simulation.render.photometric import Appearance, exposure_for
from perception_nodes.simulation.render.stereo_view import (
    StereoSample,
    developed,
    forward_camera,
    render_pair,
    stereo_rig,
    with_flow,
)
from perception_nodes.simulation.scene.right_of_way import in_the_way
from perception_nodes.simulation.scene.street_world import StreetWorld, WorldConfig
from perception_nodes.types import FloatArray, PerceptionError, StereoRig

__all__ = ['Course', 'DriveConfig', 'course_of_drive', 'drive', 'world_of_drive']

START_STAMP_NS = 1_700_000_000_000_000_000
_START_M = 4.0
# At 20 m/s towards each other nothing passes unseen between two looks.
_LOOK_S = 0.1


@dataclass(frozen=True)
class DriveConfig:
    """How the vehicle drives.

    Attributes
    ----------
    speed_mps, rate_hz : metres and pairs a second.
    wobble : how much it sways and nods, 1 = usual, 0 = on rails.
    flaws : noise, vignetting and exposure of the cameras; False = ideal images.
    """

    speed_mps: float = 8.0
    rate_hz: float = 10.0
    wobble: float = 1.0
    flaws: bool = True

    def __post_init__(self) -> None:
        if not (self.speed_mps > 0 and self.rate_hz > 0):
            raise PerceptionError('speed_mps and rate_hz of a drive must be positive')


def world_of_drive(
    seed: int, frames: int, config: DriveConfig, world_config: WorldConfig | None = None
) -> StreetWorld:
    """Build a street that is long enough."""
    if world_config is None:
        length = frames / config.rate_hz * config.speed_mps + 60
        world_config = WorldConfig(length_m=float(np.clip(length, 120, 5000)))
    return StreetWorld(seed, world_config)


@dataclass(frozen=True, eq=False)
class Course:
    """Where the vehicle of a drive is: on its lane, swaying a little.

    Attributes
    ----------
    world : the street that it drives along. phases : float64 [4] of the swaying, radians.
    """

    world: StreetWorld
    config: DriveConfig
    phases: FloatArray

    def world_from_base(self, time_s: float) -> FloatArray:
        """Pose of the vehicle, float64 [4, 4]."""
        sway = self.config.wobble * np.sin(
            2 * np.pi * np.array([0.11, 0.9, 1.3, 0.23]) * time_s + self.phases
        )
        along = _START_M + self.config.speed_mps * time_s
        aside = self.world.lane_m + 0.18 * sway[0]
        pose = self.world.path.world_from_street(along, aside, 0.012 * sway[3])
        pose[2, 3] += 0.008 * sway[1]
        pitch, roll = 0.0035 * sway[1], 0.004 * sway[2]
        cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        tilt = np.eye(4)
        tilt[:3, :3] = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]]) @ np.array([
            [1, 0, 0], [0, cr, -sr], [0, sr, cr]
        ])
        return pose @ tilt


def course_of_drive(
    world: StreetWorld, frames: int, config: DriveConfig, phases: FloatArray
) -> Course:
    """Plan a drive; whatever the vehicle would run into on the way is taken off the street."""
    course = Course(world, config, phases)
    times_s = np.arange(0.0, frames / config.rate_hz, _LOOK_S)
    poses = np.stack([course.world_from_base(time_s) for time_s in times_s])
    return replace(course, world=world.without(in_the_way(world, poses, times_s)))


def drive(
    seed: int, frames: int, *, rig: StereoRig | None = None, config: DriveConfig | None = None,
    world: StreetWorld | None = None,
) -> Iterator[StereoSample]:
    """Drive along a street; a function of its arguments alone.

    Parameters
    ----------
    seed : of the street, the motion and the noise. frames : how many pairs.
    rig : the cameras; None: 640x384.
    world : to drive through; None: a street of this seed. A closed one is driven round and round.
        What the vehicle would run into is taken off it first.

    Yields
    ------
    Samples at the rate; odom is where the vehicle starts. From the second on they have flow.

    Raises
    ------
    PerceptionError
        If frames is not positive.
    """
    if frames < 1:
        raise PerceptionError(f'a drive has at least one frame, not {frames}')
    config, rig = config or DriveConfig(), rig or stereo_rig()
    rng = np.random.default_rng([seed, 211])
    phases = rng.uniform(0, 2 * np.pi, 4)
    course = course_of_drive(world or world_of_drive(seed, frames, config), frames, config, phases)
    base_from_camera = forward_camera(1.5, 0.8, rig.baseline_m / 2, 0.01)
    cameras = None
    start_from_world = np.linalg.inv(course.world_from_base(0.0))
    older = None
    for index in range(frames):
        time_s = index / config.rate_hz
        world_from_base = course.world_from_base(time_s)
        sample = render_pair(
            course.world, rig, world_from_base, base_from_camera=base_from_camera, time_s=time_s,
            stamp_ns=START_STAMP_NS + round(time_s * 1e9),
            odom_from_base=start_from_world @ world_from_base,
        )
        if older is not None:
            flow, occluded = with_flow(course.world, sample, older)
            sample = replace(sample, flow_px=flow, flow_occluded=occluded)
        older = sample.left_view
        if config.flaws and cameras is None:
            cameras = _cameras(rng, exposure_for(sample.left.data, 82.0))
        yield developed(sample, _exposed(cameras, time_s, phases), seed * 100_003 + index)


def _cameras(rng: np.random.Generator, exposure: float) -> tuple[Appearance, Appearance]:
    """Draw a pair of good cameras that differ a little."""
    gamma = float(rng.uniform(0.9, 1.1))
    fall, noise = float(rng.uniform(0.1, 0.3)), float(rng.uniform(1.5, 4.0))
    left, right = (
        Appearance(
            gain=tuple(float(g) for g in exposure * (1 + rng.normal(0, 0.015, 3))), gamma=gamma,
            sharpening=0.4, contrast=1.05, vignetting=fall, noise=noise,
        )
        for _ in range(2)
    )
    return left, right


def _exposed(
    cameras: tuple[Appearance, Appearance] | None, time_s: float, phases: FloatArray
) -> tuple[Appearance, Appearance] | None:
    """Let the exposure wander, as automatic ones do, alike in both cameras."""
    if cameras is None:
        return None
    change = 1 + 0.06 * np.sin(2 * np.pi * 0.21 * time_s + phases[0])
    left, right = (
        replace(camera, gain=tuple(float(g * change) for g in camera.gain)) for camera in cameras
    )
    return left, right
