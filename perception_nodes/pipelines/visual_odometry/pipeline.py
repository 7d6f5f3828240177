# SPDX-License-Identifier: Apache-2.0
"""Stereo visual odometry: two rectified images in, the vehicle's pose and its covariance out."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.inference.runner import Runner
from perception_nodes.pipelines.images import grey, require_size
from perception_nodes.pipelines.visual_odometry import mask, relocalise, stereo
from perception_nodes.pipelines.visual_odometry.adjustment import adjust
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.pipelines.visual_odometry.dead_reckoning import DeadReckoning
from perception_nodes.pipelines.visual_odometry.front_end import FrontEnd, View
from perception_nodes.pipelines.visual_odometry.lucas_kanade import LucasKanade
from perception_nodes.pipelines.visual_odometry.motion import (
    Motion,
    Sightings,
    refine_motion,
    sample_motion,
)
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.row_search import coarse_disparity
from perception_nodes.pipelines.visual_odometry.window import Window
from perception_nodes.types import (
    Array,
    Depth,
    FloatArray,
    Image,
    Odometry,
    PerceptionError,
    Segmentation,
    StereoRig,
)


@dataclass(frozen=True)
class _Pair:
    """What one call brought."""

    left: View
    right: View
    depth: Depth | None
    segmentation: Segmentation | None

    @property
    def size(self) -> tuple[int, int]:
        return self.left.grey.shape[1], self.left.grey.shape[0]


@dataclass
class _Tracks:
    """Features that are being followed: landmark index [n], pixel [n, 2] in ``view``."""

    view: View
    index: Array
    points_px: FloatArray
    keyframe_points_px: FloatArray
    keyframe_count: int


@dataclass(frozen=True)
class _Seen:
    """Tracks found in the newest pair: which of them, and their measurement (u, v, disparity)."""

    rows: Array
    measured_px: FloatArray
    covariance_px2: FloatArray
    sightings: Sightings


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
        self._rig: StereoRig | None = None
        self._forget_features()
        self._last: Odometry | None = None
        self._lost_since_ns: int | None = None

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
        shift = self._reckoning.set_pose(odom_from_base, covariance)
        if self._window is not None:
            for keyframe in self._window.keyframes:
                keyframe.odom_from_camera = shift @ keyframe.odom_from_camera
                keyframe.covariance = self._reckoning.covariance.copy()

    def __call__(
        self, left: Image, right: Image, rig: StereoRig, depth: Depth | None = None,
        segmentation: Segmentation | None = None,
    ) -> Odometry:
        """Take a rectified pair, oldest first.

        Raises
        ------
        PerceptionError
            If an image has another size than the rig says.
        """
        require_size(left, rig.left, 'the left image')
        require_size(right, rig.right, 'the right image')
        stamp_ns = self._stamp_ns = left.stamp_ns
        if self._last is not None and stamp_ns < self._last.stamp_ns:
            self.reset()
        if self._last is not None and stamp_ns == self._last.stamp_ns:
            return self._last
        if self._rig is None or not _same_rig(self._rig, rig):
            self._rig, self._projection = rig, StereoProjection.of(rig)
            self._forget_features()
        pair = _Pair(
            self._front_end.view(grey(left), left.data),
            self._front_end.view(grey(right), right.data), depth, segmentation,
        )
        self._last = self._advance(pair, stamp_ns)
        return self._last

    def _advance(self, pair: _Pair, stamp_ns: int) -> Odometry:
        predicted = self._reckoning.predict(stamp_ns)
        if self._window is None or self._tracks is None:
            return self._begin(pair, stamp_ns)
        if self._lost_since_ns is None:
            motion, seen, reason = self._follow(pair, predicted)
        else:
            motion, seen, reason = self._recover(pair, predicted)
        if motion is None or seen is None:
            return self._lost(pair, stamp_ns, reason)
        self._lost_since_ns = None
        keyframe = self._window.keyframes[-1]
        self._reckoning.measured(
            stamp_ns, keyframe, se3.inverse(motion.camera_from_reference), motion.covariance
        )
        matches, inliers = len(seen.rows), int(motion.inliers.sum())
        self._keep(pair, seen, motion)
        if self._keyframe_wanted():
            self._new_keyframe(pair)
        return self._reckoning.odometry(stamp_ns, inliers=inliers, matches=matches)

    # -- following -----------------------------------------------------------------------------

    def _follow(
        self, pair: _Pair, predicted: FloatArray
    ) -> tuple[Motion | None, _Seen | None, str]:
        """Find the tracks in the newest pair and the motion since the last keyframe."""
        window, tracks = self._window, self._tracks
        assert window is not None and tracks is not None
        if not len(tracks.index):
            return None, None, 'no features to follow'
        landmarks, covariance = window.in_newest(tracks.index)
        keyframe = window.keyframes[-1]
        from_keyframe = se3.inverse(predicted) @ keyframe.odom_from_camera
        expected, _, _ = self._projection.predict(landmarks, from_keyframe)
        guess = expected[:, :2] if self._reckoning.moving_known else tracks.points_px
        seen = self._measure(pair, tracks, guess, expected[:, 2], landmarks, covariance)
        if len(seen.rows) < self.config.min_inliers and self._reckoning.moving_known:
            seen = self._measure(
                pair, tracks, tracks.points_px, expected[:, 2], landmarks, covariance
            )
        return self._solve(seen, from_keyframe)

    def _measure(
        self, pair: _Pair, tracks: _Tracks, guess_px: FloatArray, disparity_px: FloatArray,
        landmarks: FloatArray, landmark_covariance: FloatArray,
    ) -> _Seen:
        """Find tracks again, in time and across the pair."""
        found = self._front_end.follow(tracks.view, tracks.points_px, pair.left, guess_px)
        rows = np.flatnonzero(found.valid)
        points = found.points_px[rows]
        measured, covariance = self._with_disparity(
            pair, points, found.covariance_px2[rows], disparity_px[rows]
        )
        weights = self._weights(pair, points)
        corrected = measured - np.array([0, 0, self._offset_px])
        sightings = Sightings(
            landmarks[rows], landmark_covariance[rows], corrected, covariance, weights
        )
        return _Seen(rows, measured, covariance, sightings)

    def _with_disparity(
        self, pair: _Pair, points_px: FloatArray, covariance_px2: FloatArray, guess_px: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Measurements (u, v, disparity) [n, 3] and covariance [n, 3, 3]; NaN: no disparity."""
        disparity, variance = stereo.match_across(
            self._front_end, pair.left, pair.right, points_px, guess_px, self._projection,
            self.config.max_epipolar_px,
        )
        if pair.depth is not None:
            offered = stereo.sample_depth(pair.depth, points_px, self._projection, *pair.size)
            disparity, variance = stereo.join((disparity, variance), offered)
        covariance = np.zeros((len(points_px), 3, 3))
        covariance[:, :2, :2] = covariance_px2
        covariance[:, 2, 2] = np.where(np.isfinite(variance), variance, 1.0)
        return np.concatenate([points_px, disparity[:, None]], axis=1), covariance

    def _weights(self, pair: _Pair, points_px: FloatArray) -> FloatArray:
        if pair.segmentation is None:
            return np.ones(len(points_px))
        config = self.config
        return mask.feature_weights(
            pair.segmentation, points_px, *pair.size, mover_classes=config.mover_classes,
            mover_weight=config.mover_weight, ignored_classes=config.ignored_classes,
        )

    def _solve(
        self, seen: _Seen, predicted: FloatArray
    ) -> tuple[Motion | None, _Seen | None, str]:
        """Estimate the motion and refuse one that cannot be."""
        wanted = self.config.min_inliers
        if len(seen.rows) < wanted:
            return None, None, f'only {len(seen.rows)} features found again, {wanted} are wanted'
        start = sample_motion(seen.sightings, self._projection, predicted, self.config.seed)
        motion = refine_motion(seen.sightings, self._projection, start)
        if motion is None:
            return None, None, 'the features do not fix a motion'
        inliers = int(motion.inliers.sum())
        if inliers < max(wanted, 0.25 * len(seen.rows)):
            return None, None, f'only {inliers} of {len(seen.rows)} features agree on one motion'
        pose = self._keyframe_pose @ se3.inverse(motion.camera_from_reference)
        reason = self._reckoning.impossible(pose, self._stamp_ns)
        return (None, None, reason) if reason else (motion, seen, '')

    def _keep(self, pair: _Pair, seen: _Seen, motion: Motion) -> None:
        """Go on with the inliers."""
        tracks = self._tracks
        assert tracks is not None
        rows = seen.rows[motion.inliers]
        tracks.view = pair.left
        tracks.index = tracks.index[rows]
        tracks.keyframe_points_px = tracks.keyframe_points_px[rows]
        tracks.points_px = seen.measured_px[motion.inliers, :2]
        self._measured = seen.measured_px[motion.inliers]
        self._covariance = seen.covariance_px2[motion.inliers]

    # -- keyframes -----------------------------------------------------------------------------

    def _begin(self, pair: _Pair, stamp_ns: int) -> Odometry:
        """Start a window at the pose that is believed now."""
        self._window = Window(
            self.config.window, self._projection, self.config.disparity_offset_prior_px
        )
        self._window.add_keyframe(
            self._reckoning.odom_from_camera, self._reckoning.covariance,
            np.zeros(0, dtype=int), np.zeros((0, 3)), np.zeros((0, 3, 3)),
        )
        self._tracks = _Tracks(
            pair.left, np.zeros(0, dtype=int), np.zeros((0, 2)), np.zeros((0, 2)), 0
        )
        self._add_features(pair)
        self._keyframe_pair = pair
        count = len(self._tracks.index)
        if count < self.config.min_inliers:
            reason = f'only {count} features with a depth, {self.config.min_inliers} are wanted'
            self._forget_features()
            self._reckoning.unmeasured(stamp_ns)
            return self._reckoning.odometry(stamp_ns, tracking=False, reason=reason)
        self._lost_since_ns = None
        self._reckoning.started(stamp_ns)
        return self._reckoning.odometry(stamp_ns, inliers=count, matches=count)

    def _keyframe_wanted(self) -> bool:
        tracks = self._tracks
        assert tracks is not None
        if len(tracks.index) < self.config.keyframe_kept * tracks.keyframe_count:
            return True
        moved = np.linalg.norm(tracks.points_px - tracks.keyframe_points_px, axis=1)
        return bool(np.median(moved) > self.config.keyframe_parallax_px)

    def _new_keyframe(self, pair: _Pair) -> None:
        window, tracks = self._window, self._tracks
        assert window is not None and tracks is not None
        window.add_keyframe(
            self._reckoning.odom_from_camera, self._reckoning.covariance, tracks.index,
            self._measured, self._covariance,
        )
        self._add_features(pair)
        adjust(window)
        self._reckoning.corrected(window.keyframes[-1])
        tracks.index = window.shrink(tracks.index)[tracks.index]
        self._keyframe_pair = pair

    def _add_features(self, pair: _Pair) -> None:
        """Detect where nothing is followed, and take what has a disparity."""
        window, tracks = self._window, self._tracks
        assert window is not None and tracks is not None
        missing = self.config.max_features - len(tracks.index)
        if missing > 0:
            points = self._front_end.detect(pair.left, tracks.points_px, missing)
            weights = self._weights(pair, points)
            points, weights = points[weights > 0], weights[weights > 0]
            measured, covariance = self._with_disparity(
                pair, points, np.tile(np.eye(2) * self.config.pixel_sigma_floor**2,
                                      (len(points), 1, 1)),
                self._coarse(pair, points),
            )
            good = np.isfinite(measured[:, 2])
            index = window.add_landmarks(measured[good], covariance[good], weights[good])
            tracks.index = np.concatenate([tracks.index, index])
            tracks.points_px = np.concatenate([tracks.points_px, measured[good, :2]])
        tracks.keyframe_points_px = tracks.points_px.copy()
        tracks.keyframe_count = len(tracks.index)

    def _coarse(self, pair: _Pair, points_px: FloatArray) -> FloatArray:
        """Disparities to start from: the depth image's, else a search along the row."""
        guess = np.full(len(points_px), np.nan)
        if pair.depth is not None:
            guess = stereo.sample_depth(pair.depth, points_px, self._projection, *pair.size)[0]
        unknown = np.flatnonzero(np.isnan(guess))
        widest = self.config.max_disparity_fraction * pair.size[0]
        guess[unknown] = coarse_disparity(
            pair.left.half, pair.right.half, points_px[unknown], widest
        )
        return guess

    # -- lost ----------------------------------------------------------------------------------

    def _recover(
        self, pair: _Pair, predicted: FloatArray
    ) -> tuple[Motion | None, _Seen | None, str]:
        """Compare with the last pair that was understood, then with the last keyframe."""
        motion, seen, reason = self._follow(pair, predicted)
        if motion is not None:
            return motion, seen, reason
        return self._relocalise(pair, reason)

    def _relocalise(
        self, pair: _Pair, reason: str
    ) -> tuple[Motion | None, _Seen | None, str]:
        window, tracks = self._window, self._tracks
        assert window is not None and tracks is not None
        start = relocalise.motion_by_descriptors(
            self._keyframe_pair.left, self._keyframe_pair.right, pair.left, self._projection,
            min_inliers=self.config.min_inliers,
            max_disparity_px=self.config.max_disparity_fraction * pair.size[0],
        )
        if start is None:
            return None, None, reason
        landmarks, covariance = window.in_newest(tracks.index)
        expected, _, _ = self._projection.predict(landmarks, start)
        seen = self._measure(pair, tracks, expected[:, :2], expected[:, 2], landmarks, covariance)
        return self._solve(seen, start)

    def _lost(self, pair: _Pair, stamp_ns: int, reason: str) -> Odometry:
        """Coast, then hold; after a while start anew from there."""
        if self._lost_since_ns is None:
            self._lost_since_ns = stamp_ns
        self._reckoning.unmeasured(stamp_ns)
        if (stamp_ns - self._lost_since_ns) * 1e-9 > self.config.restart_s:
            self._forget_features()
            return self._begin(pair, stamp_ns)
        return self._reckoning.odometry(stamp_ns, tracking=False, reason=reason)

    def _forget_features(self) -> None:
        self._window: Window | None = None
        self._tracks: _Tracks | None = None

    @property
    def _keyframe_pose(self) -> FloatArray:
        assert self._window is not None
        return self._window.keyframes[-1].odom_from_camera

    @property
    def _offset_px(self) -> float:
        return self._window.disparity_offset_px if self._window is not None else 0.0


def _front_end(runner: Runner | None, config: VisualOdometryConfig) -> FrontEnd:
    if config.front_end == 'lucas_kanade':
        return LucasKanade(sigma_floor_px=config.pixel_sigma_floor)
    if runner is None:
        raise PerceptionError(
            "front_end 'learned' needs the features model; give it or use 'lucas_kanade'"
        )
    from perception_nodes.pipelines.visual_odometry.learned import LearnedFeatures
    return LearnedFeatures(runner, sigma_floor_px=config.pixel_sigma_floor)


def _same_rig(a: StereoRig, b: StereoRig) -> bool:
    return a is b or bool(
        (a.left.width, a.left.height) == (b.left.width, b.left.height)
        and np.array_equal(a.left.p, b.left.p) and np.array_equal(a.right.p, b.right.p)
    )
