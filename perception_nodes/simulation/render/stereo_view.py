# SPDX-License-Identifier: Apache-2.0
"""A calibrated stereo camera in a rendered street: images and what is true of them."""

from dataclasses import dataclass, replace

import numpy as np

from perception_nodes.simulation.render.photometric import Appearance, develop
from perception_nodes.simulation.render.view import (
    View,
    labels_of,
    occluded_in,
    render_view,
    scene_flow,
)
from perception_nodes.simulation.scene.street_world import StreetWorld
from perception_nodes.types import Array, Camera, FloatArray, Image, StereoRig

__all__ = ['StereoSample', 'developed', 'forward_camera', 'render_pair', 'stereo_rig', 'with_flow']

LEFT_FRAME, RIGHT_FRAME = 'stereo_left_optical_frame', 'stereo_right_optical_frame'


@dataclass(frozen=True)
class StereoSample:
    """A pair with its exact ground truth, all on the left image's grid.

    Attributes
    ----------
    left, right : uint8 [H, W, 3] RGB with stamps.
    depth_m : float32 [H, W] along the optical axis; NaN = sky.
    disparity_px : float32 [H, W], 0 = sky; also where the right image does not see the point.
    labels : uint8 [H, W] CamVid's 11 classes, 255 = unlabelled.
    instances : int32 [H, W], 0 = ground and sky.
    occluded : bool [H, W] not visible in the right image.
    odom_from_base : float64 [4, 4]; base_from_camera : float64 [4, 4] of the left camera.
    flow_px : float32 [H, W, 2] since the sample before (types.Flow), NaN if the point was behind
        the camera; flow_occluded : bool [H, W] not visible there. None in the first sample.
    left_view : the geometry behind it, for flow to come.
    older : the left camera's image that the flow starts from, if that is no sample itself.
    """

    left: Image
    right: Image
    rig: StereoRig
    depth_m: FloatArray
    disparity_px: FloatArray
    labels: Array
    instances: Array
    occluded: Array
    stamp_ns: int
    odom_from_base: FloatArray
    base_from_camera: FloatArray
    left_view: View
    flow_px: FloatArray | None = None
    flow_occluded: Array | None = None
    older: Image | None = None


def stereo_rig(
    width: int = 640, height: int = 384, focal_px: float = 430.0, baseline_m: float = 0.4
) -> StereoRig:
    """Return an ideal rectified pair whose principal point is a little above the middle."""
    cx, cy = (width - 1) / 2, (height - 1) / 2 - 0.02 * height
    left, right = (
        Camera.pinhole(width, height, focal_px, focal_px, cx, cy, baseline_m=b, frame_id=frame)
        for b, frame in ((0.0, LEFT_FRAME), (baseline_m, RIGHT_FRAME))
    )
    return StereoRig(left, right)


def forward_camera(
    height_m: float = 1.5, forward_m: float = 0.0, left_m: float = 0.0, pitch_rad: float = 0.0
) -> FloatArray:
    """Pose base_from_camera of a camera that looks ahead; pitch > 0 looks down. base is on ground.
    """
    c, s = np.cos(pitch_rad), np.sin(pitch_rad)
    # Columns: the camera's x (right), y (down), z (forward) in the base frame.
    return np.array([
        [0, -s, c, forward_m], [-1, 0, 0, left_m], [0, -c, -s, height_m], [0, 0, 0, 1.0]
    ])


def render_pair(
    world: StreetWorld, rig: StereoRig, world_from_base: FloatArray, *,
    base_from_camera: FloatArray | None = None, time_s: float = 0.0, stamp_ns: int = 0,
    odom_from_base: FloatArray | None = None,
) -> StereoSample:
    """Take a pair at a place and time.

    Parameters
    ----------
    base_from_camera : of the left camera; None: 1.5 m above the base, looking ahead.
    odom_from_base : the pose stored with the sample; None: world_from_base.

    Returns
    -------
    Ideal images (see developed) and the ground truth.
    """
    if base_from_camera is None:
        base_from_camera = forward_camera()
    k, (height, width) = rig.left.rectified_k, (rig.left.height, rig.left.width)
    world_from_left = world_from_base @ base_from_camera
    aside = np.eye(4)
    aside[0, 3] = rig.baseline_m
    left, right = (
        render_view(world, pose, k, height, width, time_s)
        for pose in (world_from_left, world_from_left @ aside)
    )
    labels, instances = labels_of(world, left)
    disparity = left.inverse_depth * np.float32(rig.focal_px * rig.baseline_m)
    with np.errstate(divide='ignore'):
        depth = np.where(left.inverse_depth > 0, 1 / left.inverse_depth, np.float32(np.nan))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return StereoSample(
        Image(left.rgb, stamp_ns, rig.left.frame_id),
        Image(right.rgb, stamp_ns, rig.right.frame_id), rig, depth.astype(np.float32),
        disparity, labels, instances, occluded_in(right, x - disparity, y, left.inverse_depth),
        stamp_ns, world_from_base if odom_from_base is None else odom_from_base,
        base_from_camera, left,
    )


def developed(
    sample: StereoSample, appearances: tuple[Appearance, Appearance] | None, noise_seed: int = 0
) -> StereoSample:
    """Return the sample as two cameras take it; None: without any flaw."""
    if appearances is None:
        return sample
    left, right = (
        replace(image, data=develop(np.random.default_rng([noise_seed, side, 7]), image.data, how))
        for side, (image, how) in enumerate(zip((sample.left, sample.right), appearances,
                                                strict=True))
    )
    return replace(sample, left=left, right=right)


def with_flow(
    world: StreetWorld, sample: StereoSample, older: View
) -> tuple[FloatArray, Array]:
    """Flow of a sample's left image since an older view, and what was not visible there."""
    flow, older_inverse_depth = scene_flow(world, sample.left_view, older)
    height, width = sample.labels.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    occluded = occluded_in(older, x - flow[..., 0], y - flow[..., 1], older_inverse_depth)
    return flow, occluded
