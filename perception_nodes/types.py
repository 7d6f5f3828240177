# SPDX-License-Identifier: Apache-2.0
"""What crosses from one layer to another: frozen dataclasses over numpy arrays, nothing else.

Conventions, everywhere in the package
--------------------------------------
Pixels: (0, 0) is the centre of the top-left pixel, x to the right, y down.
Depth: z along the optical axis in metres. Disparity: >= 0, ``u_right = u_left - disparity``.
Transforms: ``a_from_b`` maps points of frame b into frame a, ``p_a = a_from_b @ p_b``.
Time: integer nanoseconds. An invalid value is NaN, never 0. Sigma: one standard deviation in the
unit of the estimate that it belongs to.
Frames: optical frames are x right, y down, z forward; base_link is x forward, y left, z up
(REP 103, REP 105).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception_nodes.errors import (
    BagError as BagError,
)
from perception_nodes.errors import (
    CheckpointError as CheckpointError,
)
from perception_nodes.errors import (
    ConfigError as ConfigError,
)
from perception_nodes.errors import (
    DataError as DataError,
)
from perception_nodes.errors import (
    MapError as MapError,
)
from perception_nodes.errors import (
    ModelError as ModelError,
)
from perception_nodes.errors import (
    PerceptionError as PerceptionError,
)

Array = NDArray[Any]
FloatArray = NDArray[np.floating]

UNLABELLED = 255


@dataclass(frozen=True)
class Image:
    """One image as a camera took it.

    Attributes
    ----------
    data : uint8 [H, W, 3] RGB or uint8 [H, W] mono.
    stamp_ns : time of exposure.
    frame_id : optical frame of the camera.
    """

    data: Array
    stamp_ns: int = 0
    frame_id: str = ''

    def __post_init__(self) -> None:
        shape = self.data.shape
        if self.data.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
            raise PerceptionError(
                f'an image is uint8 [H, W] or [H, W, 3], not {self.data.dtype} {list(shape)}'
            )
        if 0 in shape:
            raise PerceptionError(f'an image of shape {list(shape)} holds no pixel')

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.data.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.data.shape[1])


@dataclass(frozen=True)
class Camera:
    """A calibrated camera, the fields of sensor_msgs/CameraInfo.

    Attributes
    ----------
    k : float64 [3, 3] intrinsics of the raw image, pixels.
    d : distortion coefficients, as many as the model wants (plumb_bob 5, rational_polynomial 8,
        equidistant 4); all zero or empty means none.
    r : float64 [3, 3] rectification: ray in the rectified frame from ray in the raw frame.
    p : float64 [3, 4] projection of the rectified image; ``p[0, 3] = -fx * baseline_m`` for the
        right camera of a stereo pair, 0 else.
    """

    width: int
    height: int
    k: FloatArray
    p: FloatArray
    r: FloatArray = field(default_factory=lambda: np.eye(3))
    d: tuple[float, ...] = ()
    distortion_model: str = 'plumb_bob'
    frame_id: str = ''

    def __post_init__(self) -> None:
        for name, shape in (('k', (3, 3)), ('p', (3, 4)), ('r', (3, 3))):
            array = np.asarray(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise PerceptionError(f'camera {name} has shape {array.shape}, not {shape}')
            if not np.isfinite(array).all():
                raise PerceptionError(f'camera {name} holds values that are not finite')
            object.__setattr__(self, name, array)
        if self.width <= 0 or self.height <= 0:
            raise PerceptionError(f'camera size {self.width}x{self.height} is not positive')
        if self.k[0, 0] <= 0 or self.k[1, 1] <= 0:
            raise PerceptionError('uncalibrated camera: K[0] or K[4] is not positive')
        if self.p[0, 0] <= 0 or self.p[1, 1] <= 0:
            raise PerceptionError('unrectified camera: P[0] or P[5] is not positive')
        _require_pinhole('K', self.k)
        _require_pinhole('P', self.p[:, :3])
        if not np.allclose(self.r @ self.r.T, np.eye(3), atol=0.01) or np.linalg.det(self.r) < 0:
            raise PerceptionError('R of camera_info is no rotation')

    @staticmethod
    def pinhole(
        width: int, height: int, fx: float, fy: float, cx: float, cy: float, *,
        baseline_m: float = 0.0, frame_id: str = '',
    ) -> 'Camera':
        """Build an ideal camera of rectified images; baseline_m > 0: the right one of a pair."""
        k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        p = np.hstack([k, [[-fx * baseline_m], [0.0], [0.0]]])
        return Camera(width, height, k, p, frame_id=frame_id)

    @property
    def rectified_k(self) -> FloatArray:
        """Intrinsics of the rectified image, float64 [3, 3], pixels."""
        return self.p[:, :3]

    @property
    def distorted(self) -> bool:
        """Whether the raw image differs from the rectified one."""
        return bool(
            np.any(self.d) or not np.allclose(self.r, np.eye(3))
            or not np.allclose(self.k, self.p[:, :3])
        )

    def resized(self, width: int, height: int) -> 'Camera':
        """Scale to another image size (pixel centres kept: the field of view is the same)."""
        sx, sy = width / self.width, height / self.height
        scale = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1.0]])
        return Camera(
            width, height, scale @ self.k, scale @ self.p, self.r, self.d,
            self.distortion_model, self.frame_id,
        )


LONGEST_BASELINE_M, SHORTEST_BASELINE_M = 10.0, 1e-3
_FOCAL_GAP, _ROW_GAP = 0.01, 0.01  # of the focal length and of the image's height
_OFFSET_GAP = 0.05  # of the baseline; KITTI's own rectification leaves 0.5 percent
_SKEW = 1e-3  # of the focal length


def _require_pinhole(name: str, k: FloatArray) -> None:
    """Refuse intrinsics of another form than [f 0 c; 0 f c; 0 0 1]: nobody reads the rest."""
    skew = max(abs(k[0, 1]), abs(k[1, 0]))
    if skew > _SKEW * k[0, 0] or not np.allclose(k[2], (0.0, 0.0, 1.0), atol=1e-6):
        raise PerceptionError(
            f'{name} of camera_info is no camera matrix: it must be fx 0 cx, 0 fy cy, 0 0 1'
        )


@dataclass(frozen=True)
class StereoRig:
    """Two rectified cameras side by side; the baseline is in the right one's projection.

    A scene point at column u of the left image and u' of the right one has the disparity
    ``u - u' - cx_gap_px`` (stereo_msgs/DisparityImage), so depth = focal * baseline / disparity.
    """

    left: Camera
    right: Camera

    def __post_init__(self) -> None:
        if (self.left.width, self.left.height) != (self.right.width, self.right.height):
            raise PerceptionError(
                f'left is {self.left.width}x{self.left.height} but right is '
                f'{self.right.width}x{self.right.height}: a stereo pair has one size'
            )
        left, right = self.left.p, self.right.p
        if self.baseline_m <= 0 and left[0, 3] != 0:
            raise PerceptionError(
                f'no baseline: P[3] of the left camera_info is {left[0, 3]:g} and must be 0, '
                f'that of the right one is {right[0, 3]:g}; are left and right swapped?'
            )
        if self.baseline_m <= 0:
            raise PerceptionError(
                'no baseline: P[3] of the right camera_info must be -fx * baseline '
                f'(it is {right[0, 3]:g}); are left and right swapped?'
            )
        if not SHORTEST_BASELINE_M <= self.baseline_m <= LONGEST_BASELINE_M:
            raise PerceptionError(
                f'a baseline of {self.baseline_m:.4g} m is not believed: P[3] of the right '
                f'camera_info (it is {right[0, 3]:g}) must be -fx * baseline in pixel metres'
            )
        if max(abs(left[i, i] / right[i, i] - 1) for i in (0, 1)) > _FOCAL_GAP:
            raise PerceptionError(
                f'P of left and right have the focal lengths {left[0, 0]:.4g}, {left[1, 1]:.4g} '
                f'and {right[0, 0]:.4g}, {right[1, 1]:.4g} px: rectified images have the same '
                '(is one camera_info of another zoom or size?)'
            )
        if abs(left[1, 2] - right[1, 2]) > max(3.0, _ROW_GAP * self.left.height):
            raise PerceptionError(
                f'P[6] is {left[1, 2]:.4g} px on the left and {right[1, 2]:.4g} px on the right: '
                'rectified images share their rows'
            )
        offset_m = max(
            abs((left[1, 3] - right[1, 3]) / right[1, 1]), abs(left[2, 3] - right[2, 3])
        )
        if offset_m > _OFFSET_GAP * self.baseline_m:
            raise PerceptionError(
                f'P[7] or P[11] says that the cameras are {offset_m:.4g} m apart in height or '
                'depth: the cameras of a rectified pair stand side by side'
            )

    @property
    def focal_px(self) -> float:
        """Horizontal focal length of the rectified images, pixels."""
        return float(self.left.p[0, 0])

    @property
    def baseline_m(self) -> float:
        """Distance between the two optical centres, metres."""
        return float((self.left.p[0, 3] - self.right.p[0, 3]) / self.right.p[0, 0])

    @property
    def cx_gap_px(self) -> float:
        """Principal point of the left image minus the right one's; 0 for most rigs, pixels."""
        return float(self.left.p[0, 2] - self.right.p[0, 2])


@dataclass(frozen=True)
class Segmentation:
    """Classes of an image's pixels.

    Attributes
    ----------
    labels : uint8 [H, W] class ids, 255 = unlabelled.
    confidence : float32 [H, W], calibrated probability of the label, 0..1.
    entropy : float32 [H, W], predictive entropy over log(classes), 0..1 (total uncertainty).
    mutual_information : float32 [H, W], its epistemic part in the same unit; None if not sampled.
    """

    stamp_ns: int
    frame_id: str
    labels: Array
    confidence: FloatArray
    entropy: FloatArray
    mutual_information: FloatArray | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Depth:
    """Distance along the optical axis with its one-sigma.

    Attributes
    ----------
    camera : the rectified camera of exactly this depth image's size.
    depth_m, sigma_m : float32 [H, W] metres, NaN invalid.
    disparity_px, disparity_sigma_px : float32 [H, W] pixels, NaN invalid; None from one camera.
        ``u_left - u_right - (cx_left - cx_right)``, so depth = focal * baseline / disparity.
    baseline_m : 0 from one camera.
    """

    stamp_ns: int
    frame_id: str
    camera: Camera
    depth_m: FloatArray
    sigma_m: FloatArray
    disparity_px: FloatArray | None = None
    disparity_sigma_px: FloatArray | None = None
    baseline_m: float = 0.0


@dataclass(frozen=True)
class Flow:
    """Motion in the image, on the grid of the newest image.

    Attributes
    ----------
    previous_stamp_ns : stamp of the image that the motion starts from.
    flow_px : float32 [H, W, 2], displacement (x, y) that brought the scene point to this pixel
        since the previous image: it was at ``p - flow_px[p]`` there; NaN invalid.
    sigma_px : float32 [H, W], one sigma of each component, pixels.
    """

    stamp_ns: int
    frame_id: str
    previous_stamp_ns: int
    flow_px: FloatArray
    sigma_px: FloatArray


@dataclass(frozen=True)
class Odometry:
    """Where the vehicle is since the start, and how fast it moves.

    Attributes
    ----------
    frame_id : parent frame (odom); child_frame_id: the vehicle's (base_link).
    odom_from_base : float64 [4, 4].
    pose_covariance : float64 [6, 6] of (x y z, rotation about X Y Z), as geometry_msgs orders it.
    twist : float64 [6] linear m/s and angular rad/s in the child frame.
    twist_covariance : float64 [6, 6].
    tracking : False while lost; ``reason`` states why.
    inliers, matches : feature counts behind the estimate.
    """

    stamp_ns: int
    frame_id: str
    child_frame_id: str
    odom_from_base: FloatArray
    pose_covariance: FloatArray
    twist: FloatArray
    twist_covariance: FloatArray
    tracking: bool = True
    reason: str = ''
    inliers: int = 0
    matches: int = 0


@dataclass(frozen=True)
class PlaceMatch:
    """One candidate place for an image.

    Attributes
    ----------
    place_id : index in the map; place_stamp_ns: when it was recorded.
    map_from_place : float64 [4, 4] pose of base_link when the place was recorded.
    similarity : cosine of the descriptors, -1..1; probability: calibrated, 0..1.
    inliers : matches that survive geometric verification; 0 if it was not tried.
    place_from_base : float64 [4, 4] pose of base_link now in the place's base_link; None unless
        verified. covariance : float64 [6, 6] of it, None likewise.
    """

    place_id: int
    place_stamp_ns: int
    map_from_place: FloatArray
    similarity: float
    probability: float
    inliers: int = 0
    place_from_base: FloatArray | None = None
    covariance: FloatArray | None = None

    @property
    def verified(self) -> bool:
        """Whether geometry agreed."""
        return self.place_from_base is not None


@dataclass(frozen=True)
class PlaceMatches:
    """The candidate places of one image, best first.

    Attributes
    ----------
    matches : candidates. added_place_id : of this image's new place, None if it made none.
    map_frame : frame of the places; base_frame: the vehicle's.
    """

    stamp_ns: int
    frame_id: str
    matches: tuple[PlaceMatch, ...]
    added_place_id: int | None = None
    map_frame: str = 'map'
    base_frame: str = 'base_link'
