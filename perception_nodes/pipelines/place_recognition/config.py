# SPDX-License-Identifier: Apache-2.0
"""What a user may set of place recognition."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.pipelines.visual_odometry.config import OPTICAL_TO_BASE, Rows4
from perception_nodes.types import FloatArray, PerceptionError


@dataclass(frozen=True)
class PlaceRecognitionConfig:
    """Parameters of place recognition; the same names on the command line and in ROS.

    Attributes
    ----------
    base_from_camera : 4x4 pose of the camera's optical frame in base_link, row by row.
    candidates : places reported for an image, best first.
    verified : of those, how many are checked by geometry; 0 = none.
    min_similarity : cosine of the descriptors below which a place is no candidate.
    min_inliers : matches that must agree before geometry counts as agreeing.
    max_distance_m : a verified place further away than this is not believed.
    recency_s : places seen within this time in the same session are no candidates: the immediate
        past always looks alike.
    local_features : keypoints that are kept of a place.
    add_distance_m, add_turn_rad : with a pose: a new place after moving or turning this far.
    add_interval_s, add_similarity : without: after this time, if the image looks less like the
        last place than this cosine.
    unknown_scale_m : deviation of the translation where neither image had depth.
    probability : (bias, weight of the similarity, weight of log(1 + inliers)) of the logistic
        probability that a candidate is the same place; None: the model card's, or the default.
    max_places : the map refuses to grow beyond this.
    map_frame : frame of the places.
    base_frame : the vehicle's frame.
    """

    base_from_camera: Rows4 = OPTICAL_TO_BASE
    candidates: int = 5
    verified: int = 3
    min_similarity: float = 0.3
    min_inliers: int = 20
    max_distance_m: float = 15.0
    recency_s: float = 20.0
    local_features: int = 512
    add_distance_m: float = 2.0
    add_turn_rad: float = 0.5
    add_interval_s: float = 1.0
    add_similarity: float = 0.97
    unknown_scale_m: float = 3.0
    probability: tuple[float, float, float] | None = None
    max_places: int = 20000
    map_frame: str = 'map'
    base_frame: str = 'base_link'

    def __post_init__(self) -> None:
        matrix = np.asarray(self.base_from_camera, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise PerceptionError('base_from_camera must be a finite 4x4 matrix')
        if not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3):
            raise PerceptionError('base_from_camera holds no rotation: its 3x3 is not orthonormal')
        for name in ('candidates', 'local_features', 'max_places', 'max_distance_m'):
            if not getattr(self, name) > 0:
                raise PerceptionError(f'{name} must be positive, not {getattr(self, name)}')
        for name in ('verified', 'recency_s', 'add_distance_m', 'add_turn_rad', 'add_interval_s',
                     'unknown_scale_m'):
            if not getattr(self, name) >= 0:
                raise PerceptionError(f'{name} must not be negative, not {getattr(self, name)}')
        for name in ('min_similarity', 'add_similarity'):
            if not -1 <= getattr(self, name) <= 1:
                raise PerceptionError(f'{name} is a cosine, -1..1, not {getattr(self, name)}')
        if self.min_inliers < 8:
            raise PerceptionError('min_inliers below 8 cannot distinguish a place from chance')
        if self.probability is not None and not np.isfinite(self.probability).all():
            raise PerceptionError('probability holds three finite numbers')

    @property
    def base_from_camera_matrix(self) -> FloatArray:
        """float64 [4, 4]."""
        return np.asarray(self.base_from_camera, dtype=np.float64)
