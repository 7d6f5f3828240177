# SPDX-License-Identifier: Apache-2.0
"""Stereo visual odometry: two rectified images in, the vehicle's pose and its covariance out."""

from dataclasses import replace

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.inference.runner import Runner
from perception_nodes.pipelines.images import grey, require_size
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.pipelines.visual_odometry.dead_reckoning import DeadReckoning
from perception_nodes.pipelines.visual_odometry.front_end import FrontEnd, View
from perception_nodes.pipelines.visual_odometry.learned import LearnedFeatures
from perception_nodes.pipelines.visual_odometry.lucas_kanade import LucasKanade
from perception_nodes.pipelines.visual_odometry.measuring import Measuring, Pair
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.tracker import Tracked, Tracker
from perception_nodes.types import (
    Depth,
    FloatArray,
    Image,
    Odometry,
    PerceptionError,
    Segmentation,
    StereoRig,
)


class VisualOdometryPipeline:
    """Follows features from pair to pair and adjusts the last keyframes together.

    It stands alone: disparities come from matching features across the pair. Depth with its sigma
    and a segmentation improve it when they are offered. While lost, the result says so
    (``tracking=False`` and why), the pose goes on with the last velocity for a moment and is then
    held, its covariance grows, and every new pair is compared with the last keyframe, so that the
    path goes on where it is instead of jumping. Time that goes back resets.

    Parameters
    ----------
    runner : the features model, for ``front_end='learned'``; else None.
    """

    def __init__(
        self, runner: Runner | None = None, config: VisualOdometryConfig | None = None
    ) -> None:
        self.config = config or VisualOdometryConfig()
        self._front_end = _front_end(runner, self.config)
        self._base_from_camera = self.config.base_from_camera_matrix
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next image is the origin of odom."""
        self._reckoning = DeadReckoning(self._base_from_camera, self.config)
        self._tracker: Tracker | None = None
        self._rig: StereoRig | None = None
        self._last: Odometry | None = None
        self._lost_since_ns: int | None = None

    def mount(self, base_from_camera: FloatArray) -> None:
        """Say where the left camera sits, [4, 4], other than config says; forgets everything."""
        rows = tuple(tuple(float(entry) for entry in row) for row in base_from_camera)
        self.config = replace(self.config, base_from_camera=rows)
        self._base_from_camera = self.config.base_from_camera_matrix
        self.reset()

    def set_pose(self, odom_from_base: FloatArray, covariance: FloatArray | None = None) -> None:
        """Say where the vehicle is now; what it sees is followed on from there.

        Parameters
        ----------
        odom_from_base : [4, 4]. covariance : [6, 6] of (x y z, rotation X Y Z) in odom; None: 0.

        Raises
        ------
        PerceptionError
            If they are not finite, or no pose and covariance.
        """
        new_from_old = self._reckoning.set_pose(odom_from_base, covariance)
        if self._tracker is not None:
            self._tracker.move(new_from_old, self._reckoning.covariance)

    def __call__(
        self, left: Image, right: Image, rig: StereoRig, depth: Depth | None = None,
        segmentation: Segmentation | None = None,
    ) -> Odometry:
        """Take a rectified pair; the same stamp again is answered as before.

        Raises
        ------
        PerceptionError
            If an image has another size than the rig says.
        """
        require_size(left, rig.left, 'the left image')
        require_size(right, rig.right, 'the right image')
        stamp_ns = left.stamp_ns
        if self._last is not None and stamp_ns < self._last.stamp_ns:
            self.reset()
        if self._last is not None and stamp_ns == self._last.stamp_ns:
            return self._last
        if self._rig is None or not _same_rig(self._rig, rig):
            self._rig, self._tracker = rig, None
            self._projection = StereoProjection.of(rig)
            self._measuring = Measuring(self._front_end, self._projection, self.config)
        pair = Pair(
            self._view(left), self._view(right), depth, segmentation,
        )
        self._last = self._advance(pair, stamp_ns)
        return self._last

    def _view(self, image: Image) -> View:
        return self._front_end.view(np.asarray(grey(image), np.uint8), image.data)

    def _advance(self, pair: Pair, stamp_ns: int) -> Odometry:
        tracker = self._tracker
        if tracker is None:
            self._reckoning.unmeasured(stamp_ns)
            return self._begin(pair, stamp_ns)
        tracked = self._track(tracker, pair, stamp_ns)
        if isinstance(tracked, str):
            return self._lost(pair, stamp_ns, tracked)
        self._lost_since_ns = None
        self._reckoning.measured(
            stamp_ns, tracker.keyframe, se3.inverse(tracked.motion.camera_from_reference),
            tracked.motion.covariance,
        )
        tracker.accept(pair, tracked)
        if tracker.keyframe_wanted:
            tracker.add_keyframe(self._reckoning.odom_from_camera, self._reckoning.covariance)
            self._reckoning.corrected(tracker.keyframe)
        return self._reckoning.odometry(
            stamp_ns, inliers=tracked.inliers, matches=tracked.matches
        )

    def _track(self, tracker: Tracker, pair: Pair, stamp_ns: int) -> Tracked | str:
        """Follow; when lost also look for the last keyframe; refuse what cannot be."""
        predicted = self._reckoning.predict(stamp_ns)
        from_keyframe = se3.inverse(predicted) @ tracker.keyframe.odom_from_camera
        result = tracker.track(pair, from_keyframe, guess_known=self._reckoning.moving_known)
        reason = result if isinstance(result, str) else self._impossible(tracker, result, stamp_ns)
        if reason:
            again = tracker.relocalise(pair)
            if again is None or self._impossible(tracker, again, stamp_ns):
                return reason
            return again
        return result

    def _impossible(self, tracker: Tracker, tracked: Tracked, stamp_ns: int) -> str:
        from_keyframe = se3.inverse(tracked.motion.camera_from_reference)
        return self._reckoning.impossible(
            tracker.keyframe.odom_from_camera @ from_keyframe, stamp_ns
        )

    def _begin(self, pair: Pair, stamp_ns: int) -> Odometry:
        """Start a window at the pose that is believed now."""
        tracker = Tracker(
            self._measuring, self._projection, self.config, pair,
            self._reckoning.odom_from_camera, self._reckoning.covariance,
        )
        count, wanted = tracker.followed, self.config.min_inliers
        if count < wanted:
            self._tracker = None
            reason = f'only {count} features with a depth, {wanted} are wanted'
            return self._reckoning.odometry(stamp_ns, tracking=False, reason=reason)
        self._tracker, self._lost_since_ns = tracker, None
        self._reckoning.started(stamp_ns)
        return self._reckoning.odometry(stamp_ns, inliers=count, matches=count)

    def _lost(self, pair: Pair, stamp_ns: int, reason: str) -> Odometry:
        """Coast, then hold; after a while start anew from there."""
        if self._lost_since_ns is None:
            self._lost_since_ns = stamp_ns
        self._reckoning.unmeasured(stamp_ns)
        if (stamp_ns - self._lost_since_ns) * 1e-9 > self.config.restart_s:
            return self._begin(pair, stamp_ns)
        return self._reckoning.odometry(stamp_ns, tracking=False, reason=reason)


def _front_end(runner: Runner | None, config: VisualOdometryConfig) -> FrontEnd:
    if config.front_end == 'lucas_kanade':
        return LucasKanade(sigma_floor_px=config.pixel_sigma_floor)
    if runner is None:
        raise PerceptionError(
            "front_end 'learned' needs the features model; give it or use 'lucas_kanade'"
        )
    return LearnedFeatures(runner, sigma_floor_px=config.pixel_sigma_floor)


def _same_rig(a: StereoRig, b: StereoRig) -> bool:
    return a is b or bool(
        (a.left.width, a.left.height) == (b.left.width, b.left.height)
        and np.array_equal(a.left.p, b.left.p) and np.array_equal(a.right.p, b.right.p)
    )
