# SPDX-License-Identifier: Apache-2.0
"""Stereo visual odometry: two rectified images in, the vehicle's pose and its covariance out."""

from dataclasses import dataclass, replace

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
from perception_nodes.pipelines.visual_odometry.rig_offset import RigOffset
from perception_nodes.pipelines.visual_odometry.tracker import Tracked, Tracker
from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import (
    Depth,
    FloatArray,
    Image,
    Odometry,
    PerceptionError,
    Segmentation,
    StereoRig,
)


@dataclass(frozen=True)
class _FreshStart:
    """A pair that came while lost, to be followed if nothing older is found again."""

    stamp_ns: int
    tracker: Tracker


class VisualOdometryPipeline:
    """Follows features from pair to pair and adjusts the last keyframes together.

    It stands alone: disparities come from matching features across the pair. Depth with its sigma
    and a segmentation improve it when available. While lost, the result states it
    (``tracking=False`` and why), the pose goes on with the last velocity for a moment and is then
    held, its covariance grows, and every new pair is compared with the last keyframe, so that the
    path goes on where it is instead of jumping; if that is gone for good, it goes on from the pose
    that is held, with its large covariance. A late pair is dropped; a clock that went back
    (``time_order``) resets.

    Parameters
    ----------
    runner : the features model, for ``front_end='learned'``; else None.
    """

    def __init__(
        self, runner: Runner | None = None, config: VisualOdometryConfig | None = None
    ) -> None:
        self.config = config or VisualOdometryConfig()
        self.runners = () if runner is None else (runner,)
        self._front_end = _front_end(runner, self.config)
        self._base_from_camera = self.config.base_from_camera_matrix
        self.order = TimeOrder()
        self._reckoning = DeadReckoning(self._base_from_camera, self.config)
        self.reset()

    def reset(self, *, keep_pose: bool = False) -> None:
        """Forget everything; the next image is the origin of odom.

        Parameters
        ----------
        keep_pose : go on from the pose that is believed instead, with a larger covariance.
        """
        if keep_pose:
            self._reckoning.interrupted()
        else:
            self._reckoning = DeadReckoning(self._base_from_camera, self.config)
        self.order.forget()
        self._tracker: Tracker | None = None
        self._rig: StereoRig | None = None
        self._last: Odometry | None = None
        self._fresh_start: _FreshStart | None = None

    def mount(self, base_from_camera: FloatArray) -> None:
        """Set the left camera's mount, [4, 4], instead of the config's; resets the state."""
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
        self._fresh_start = None
        if self._tracker is not None:
            self._tracker.move(new_from_old, self._reckoning.covariance)

    def __call__(
        self, left: Image, right: Image, rig: StereoRig, depth: Depth | None = None,
        segmentation: Segmentation | None = None,
    ) -> Odometry:
        """Take a rectified pair.

        The same stamp again is answered as before; so is a late pair, with the newest result:
        see its ``stamp_ns``.

        Raises
        ------
        PerceptionError
            If an image has another size than the rig's.
        """
        require_size(left, rig.left, 'the left image')
        require_size(right, rig.right, 'the right image')
        stamp_ns = left.stamp_ns
        arrival = self.order.take(stamp_ns)
        if arrival is Arrival.JUMPED:
            self.reset()
            self.order.take(stamp_ns)
        if self._last is not None and arrival in (Arrival.LATE, Arrival.REPEATED):
            return self._last
        if self._rig is None or not _same_rig(self._rig, rig):
            self._rig, self._tracker, self._fresh_start = rig, None, None
            self._projection = StereoProjection.of(rig)
            self._offset = RigOffset(self.config.rig_yaw_sigma_rad, self._projection)
            self._measuring = Measuring(self._front_end, self._projection, self.config)
        pair = Pair(
            self._view(left), self._view(right), depth, segmentation,
        )
        self._last = self._advance(pair, stamp_ns)
        return self._last

    def _view(self, image: Image) -> View:
        return self._front_end.view(np.asarray(grey(image), np.uint8), image.data)

    def _advance(self, pair: Pair, stamp_ns: int) -> Odometry:
        if self._tracker is None:
            self._reckoning.unmeasured(stamp_ns)
            return self._begin(pair, stamp_ns)
        tracked = self._track(self._tracker, pair, stamp_ns)
        if isinstance(tracked, str):
            self._reckoning.unmeasured(stamp_ns)
            again = self._track_anew(pair, stamp_ns)
            if again is None:
                return self._reckoning.odometry(stamp_ns, tracking=False, reason=tracked)
            tracked = again
        self._fresh_start = None
        tracker = self._tracker
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
        """Follow, or find the last keyframe again; refuse what cannot be."""
        predicted = self._reckoning.predict(stamp_ns)
        from_keyframe = se3.inverse(predicted) @ tracker.keyframe.odom_from_camera
        result = tracker.track(
            pair, from_keyframe, guess_known=self._reckoning.moving_known,
            reach=self._reckoning.reach(stamp_ns),
        )
        reason = result if isinstance(result, str) else self._impossible(tracker, result, stamp_ns)
        if reason:
            again = tracker.relocalise(pair)
            if again is None or self._impossible(tracker, again, stamp_ns):
                return reason
            return again
        return result

    def _track_anew(self, pair: Pair, stamp_ns: int) -> Tracked | None:
        """While lost, follow the last pair instead: two pairs that agree are a new start.

        The path goes on from where the vehicle was thought to be then, with that covariance.
        """
        fresh, self._fresh_start = self._fresh_start, None
        if fresh is not None:
            moving_known = self._reckoning.moving_known
            step = self._reckoning.coasting((stamp_ns - fresh.stamp_ns) * 1e-9)
            tracked = fresh.tracker.track(pair, se3.inverse(step), guess_known=moving_known)
            if isinstance(tracked, Tracked):
                self._tracker = fresh.tracker
                self._reckoning.started(fresh.stamp_ns, fresh.tracker.keyframe)
                if not self._impossible(fresh.tracker, tracked, stamp_ns):
                    return tracked
        tracker = self._new_tracker(pair)
        if tracker.followed >= self.config.min_inliers:
            self._fresh_start = _FreshStart(stamp_ns, tracker)
        return None

    def _impossible(self, tracker: Tracker, tracked: Tracked, stamp_ns: int) -> str:
        from_keyframe = se3.inverse(tracked.motion.camera_from_reference)
        return self._reckoning.impossible(
            tracker.keyframe.odom_from_camera @ from_keyframe, stamp_ns
        )

    def _begin(self, pair: Pair, stamp_ns: int) -> Odometry:
        """Start a window at the pose that is believed now."""
        tracker = self._new_tracker(pair)
        count, wanted = tracker.followed, self.config.min_inliers
        if count < wanted:
            reason = f'only {count} features with a depth, {wanted} are wanted'
            return self._reckoning.odometry(stamp_ns, tracking=False, reason=reason)
        self._tracker = tracker
        self._reckoning.started(stamp_ns, tracker.keyframe)
        return self._reckoning.odometry(stamp_ns, inliers=count, matches=count)

    def _new_tracker(self, pair: Pair) -> Tracker:
        return Tracker(
            self._measuring, self._projection, self.config, self._offset, pair,
            self._reckoning.odom_from_camera, self._reckoning.covariance,
        )


def _front_end(runner: Runner | None, config: VisualOdometryConfig) -> FrontEnd:
    if config.front_end == 'lucas_kanade':
        return LucasKanade(sigma_floor_px=config.pixel_sigma_floor)
    if runner is None:
        raise PerceptionError(
            "front_end 'learned' needs the features model; pass it or use 'lucas_kanade'"
        )
    return LearnedFeatures(runner, sigma_floor_px=config.pixel_sigma_floor)


def _same_rig(a: StereoRig, b: StereoRig) -> bool:
    return a is b or bool(
        (a.left.width, a.left.height) == (b.left.width, b.left.height)
        and np.array_equal(a.left.p, b.left.p) and np.array_equal(a.right.p, b.right.p)
    )
