# SPDX-License-Identifier: Apache-2.0
"""Place recognition: an image in, the places of the map that it may show out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import require_size, rgb_batch
from perception_nodes.pipelines.place_recognition.config import PlaceRecognitionConfig
from perception_nodes.pipelines.place_recognition.local_features import (
    Keypoints,
    LearnedLocalFeatures,
    LocalFeatures,
    OrbLocalFeatures,
    match,
)
from perception_nodes.pipelines.place_recognition.map_file import Makers, read_map, write_map
from perception_nodes.pipelines.place_recognition.place_map import NOWHERE, Place, PlaceMap
from perception_nodes.pipelines.place_recognition.verification import Agreement, Side, verify
from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import (
    Camera,
    Depth,
    FloatArray,
    Image,
    PerceptionError,
    PlaceMatch,
    PlaceMatches,
)

DEFAULT_PROBABILITY = (-9.0, 6.0, 1.6)
SURE = 0.9  # a match this probable locates odom in the map


@dataclass(frozen=True)
class _Look:
    """One image's own keypoints with their depth, made when first wanted."""

    keypoints: Keypoints
    depth_m: FloatArray
    sigma_m: FloatArray
    k: FloatArray


class PlaceRecognitionPipeline:
    """Compares each image with a map of places, and lets the map grow.

    Parameters
    ----------
    runner : the place_recognition model (descriptor [1, D], unit length).
    features_runner : the features model, for verification; None: ORB.
    """

    def __init__(
        self, runner: Runner, config: PlaceRecognitionConfig | None = None,
        features_runner: Runner | None = None,
    ) -> None:
        self.config = config or PlaceRecognitionConfig()
        self._runner = for_task(runner, 'place_recognition')
        self.runners = (runner,) if features_runner is None else (runner, features_runner)
        self._features: LocalFeatures = (
            OrbLocalFeatures() if features_runner is None
            else LearnedLocalFeatures(features_runner)
        )
        self._makers = Makers(
            f'{runner.card.name} {runner.card.sha256[:16]}'.strip(), self._features.name
        )
        self._weights = probability_weights(self.config, runner)
        self._base_from_camera = self.config.base_from_camera_matrix
        self._map = PlaceMap()
        self._order = TimeOrder()
        self._last_added: Place | None = None

    def mount(self, base_from_camera: FloatArray) -> None:
        """Set the camera's mount, [4, 4], instead of the config's; the map stays."""
        rows = tuple(tuple(float(entry) for entry in row) for row in base_from_camera)
        self.config = replace(self.config, base_from_camera=rows)
        self._base_from_camera = self.config.base_from_camera_matrix

    @property
    def places(self) -> int:
        """How many places the map holds."""
        return len(self._map.places)

    def reset(self, *, keep_pose: bool = False) -> None:
        """Begin a new session: odometry starts anew. The map stays (``clear`` empties it).

        Parameters
        ----------
        keep_pose : the clock went back but odometry goes on where it was: so does the session.
        """
        self._order.forget()
        if not keep_pose:
            self._last_added = None
            self._map.begin_session()

    def clear(self) -> None:
        """Forget all places."""
        self._map = PlaceMap()
        self._last_added = None

    def save(self, path: str | Path) -> None:
        """Write the map, all or nothing.

        Raises
        ------
        PerceptionError
            If the file cannot be written.
        """
        write_map(self._map, self._makers, Path(path))

    def load(self, path: str | Path) -> None:
        """Take a saved map in place of this one, which stays if the file is bad.

        Raises
        ------
        PerceptionError
            If the file is missing, cut, or made by other models.
        """
        self._map = read_map(Path(path), self._makers)
        self._last_added = None

    def __call__(
        self, image: Image, camera: Camera, depth: Depth | None = None,
        odom_from_base: FloatArray | None = None,
    ) -> PlaceMatches:
        """Compare an image with the map, and add it if it is new.

        Parameters
        ----------
        camera : of this rectified image. depth : of it, any size; makes poses metric.
        odom_from_base : [4, 4] pose by odometry.

        Raises
        ------
        PerceptionError
            If image and camera differ in size, or the model returns no finite descriptor.
        """
        require_size(image, camera, 'the image')
        if self._order.take(image.stamp_ns) is Arrival.JUMPED:
            self.reset()
            self._order.take(image.stamp_ns)
        pose = _usable(odom_from_base)
        descriptor = self._describe(image)
        nearest = self._map.nearest(
            descriptor, self.config.candidates, self.config.min_similarity,
            stamp_ns=image.stamp_ns, recency_ns=int(self.config.recency_s * 1e9),
        )
        wanted = self._wanted(image.stamp_ns, descriptor, pose)
        look = None
        if wanted or (nearest and self.config.verified):
            look = self._look(image, camera, depth)
        matches = [
            self._candidate(place_id, similarity, look if rank < self.config.verified else None)
            for rank, (place_id, similarity) in enumerate(nearest)
        ]
        matches.sort(key=lambda candidate: -candidate.probability)
        self._localise(matches, pose)
        added = None
        if wanted and look is not None and not self._known_already(matches):
            added = self._add(image.stamp_ns, descriptor, pose, look)
        return PlaceMatches(
            image.stamp_ns, image.frame_id, tuple(matches), added, self.config.map_frame,
            self.config.base_frame,
        )

    def _describe(self, image: Image) -> FloatArray:
        output = self._runner.run({'image': rgb_batch(image)}, ('descriptor',))
        descriptor = np.asarray(output['descriptor'], np.float32).reshape(-1)
        norm = float(np.linalg.norm(descriptor))
        if not np.isfinite(norm) or norm < 1e-6:
            raise PerceptionError('the place recognition model gave no finite descriptor')
        return np.asarray(descriptor / np.float32(norm))

    def _look(self, image: Image, camera: Camera, depth: Depth | None) -> _Look:
        keypoints = self._features.describe(image, self.config.local_features)
        count = len(keypoints.points_px)
        depth_m, sigma_m = np.full(count, np.nan), np.full(count, np.nan)
        if depth is not None and count:
            rows, columns = depth.depth_m.shape
            scale = np.array([columns / image.width, rows / image.height])
            at = np.rint((keypoints.points_px + 0.5) * scale - 0.5).astype(int)
            x, y = np.clip(at[:, 0], 0, columns - 1), np.clip(at[:, 1], 0, rows - 1)
            depth_m, sigma_m = depth.depth_m[y, x], depth.sigma_m[y, x]
        return _Look(
            keypoints, depth_m.astype(np.float64), sigma_m.astype(np.float64), camera.rectified_k
        )

    def _candidate(self, place_id: int, similarity: float, look: _Look | None) -> PlaceMatch:
        """Describe one candidate, verified if a look is given."""
        place = self._map.places[place_id]
        agreement = Agreement(0)
        if look is not None:
            agreement = self._verify(place, look)
        place_from_base = covariance = None
        if agreement.then_from_now is not None and agreement.covariance is not None:
            place_from_base, covariance = self._in_base(
                agreement.then_from_now, agreement.covariance
            )
            if np.linalg.norm(place_from_base[:3, 3]) > self.config.max_distance_m:
                place_from_base = covariance = None
        inliers = agreement.inliers
        return PlaceMatch(
            place_id, place.stamp_ns, self._map.map_from_base(place_id), similarity,
            self._probability(similarity, inliers if place_from_base is not None else 0),
            inliers, place_from_base, covariance,
        )

    def _verify(self, place: Place, look: _Look) -> Agreement:
        then = Keypoints(place.points_px, place.local_descriptors)
        i_now, i_then = match(look.keypoints, then, self._features.min_similarity)
        return verify(
            Side(place.points_px[i_then].astype(np.float64), place.depth_m[i_then],
                 place.sigma_m[i_then], place.k),
            Side(look.keypoints.points_px[i_now], look.depth_m[i_now], look.sigma_m[i_now],
                 look.k),
            self.config.min_inliers, self.config.unknown_scale_m,
        )

    def _in_base(
        self, then_from_now: FloatArray, covariance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Move a relative pose of cameras to base_link; covariance of (x y z, X Y Z) there."""
        base_from_camera = self._base_from_camera
        place_from_base = base_from_camera @ then_from_now @ se3.inverse(base_from_camera)
        to_base = se3.adjoint(base_from_camera)
        turn = np.kron(np.eye(2), place_from_base[:3, :3]) @ to_base
        return place_from_base, turn @ covariance @ turn.T

    def _probability(self, similarity: float, inliers: int) -> float:
        bias, by_similarity, by_inliers = self._weights
        logit = bias + by_similarity * similarity + by_inliers * np.log1p(inliers)
        return float(1.0 / (1.0 + np.exp(-np.clip(logit, -50, 50))))

    def _localise(self, matches: list[PlaceMatch], pose: FloatArray | None) -> None:
        """Place a later session's odom in the map by its first sure match."""
        if self._map.localised or pose is None or not matches:
            return
        best = matches[0]
        if best.place_from_base is None or best.probability < SURE:
            return
        if np.isfinite(best.map_from_place).all():
            self._map.localise(best.map_from_place @ best.place_from_base @ se3.inverse(pose))

    def _wanted(self, stamp_ns: int, descriptor: FloatArray, pose: FloatArray | None) -> bool:
        """Whether enough has changed since the last place that was added."""
        config, last = self.config, self._last_added
        if self.places >= config.max_places:
            return False
        if last is None:
            return True
        if pose is not None and np.isfinite(last.odom_from_base).all():
            motion = se3.inverse(last.odom_from_base) @ pose
            far = float(np.linalg.norm(motion[:3, 3])) >= config.add_distance_m
            return far or se3.rotation_angle_rad(motion) >= config.add_turn_rad
        if (stamp_ns - last.stamp_ns) * 1e-9 < config.add_interval_s:
            return False
        return float(last.descriptor @ descriptor) < config.add_similarity

    def _known_already(self, matches: list[PlaceMatch]) -> bool:
        """Whether the map has a place right here."""
        if not matches or matches[0].place_from_base is None or matches[0].probability < SURE:
            return False
        spread = matches[0].covariance
        if spread is None or spread[0, 0] > self.config.add_distance_m**2:
            return False  # found by rotation alone: where exactly, nobody knows
        moved = matches[0].place_from_base
        near = float(np.linalg.norm(moved[:3, 3])) < 0.5 * self.config.add_distance_m
        return near and se3.rotation_angle_rad(moved) < 0.5 * self.config.add_turn_rad

    def _add(
        self, stamp_ns: int, descriptor: FloatArray, pose: FloatArray | None, look: _Look
    ) -> int:
        place = Place(
            stamp_ns, self._map.session, NOWHERE if pose is None else pose, descriptor,
            look.keypoints.points_px.astype(np.float32),
            look.keypoints.descriptors.astype(np.float16),
            look.depth_m.astype(np.float32), look.sigma_m.astype(np.float32), look.k,
        )
        self._last_added = place
        return self._map.add(place)


def probability_weights(
    config: PlaceRecognitionConfig, runner: Runner
) -> tuple[float, float, float]:
    """Take the logistic weights of the config, else of the model card, else the default."""
    if config.probability is not None:
        return config.probability
    carded = runner.card.numbers('probability', 3)
    return DEFAULT_PROBABILITY if carded is None else (carded[0], carded[1], carded[2])


def _usable(pose: FloatArray | None) -> FloatArray | None:
    """Take a pose only if it is one."""
    if pose is None:
        return None
    matrix = np.asarray(pose, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise PerceptionError(f'odom_from_base is a 4x4 matrix, not {matrix.shape}')
    return matrix if np.isfinite(matrix).all() else None
