# SPDX-License-Identifier: Apache-2.0
"""What the readers yield: frozen samples, one kind for each sort of ground truth."""

from dataclasses import dataclass

from perception_nodes.types import Array, Camera, DataError, FloatArray, Image, StereoRig

__all__ = [
    'DepthImage',
    'DriveFrame',
    'FlowPair',
    'LabelledImage',
    'PlaceImage',
    'PosedImage',
    'StereoPair',
]


@dataclass(frozen=True)
class LabelledImage:
    """An image and its classes: labels uint8 [H, W], 255 = unlabelled."""

    name: str
    image: Image
    labels: Array

    def __post_init__(self) -> None:
        _one_size(self.name, 'labels', self.labels, self.image)


@dataclass(frozen=True)
class StereoPair:
    """A rectified pair and the left image's disparity.

    Attributes
    ----------
    disparity_px : float32 [H, W], NaN where there is no truth.
    visible : bool [H, W], seen by both cameras (all of KITTI's disp_noc, Middlebury's mask = 255).
    """

    name: str
    left: Image
    right: Image
    rig: StereoRig
    disparity_px: FloatArray
    visible: Array

    def __post_init__(self) -> None:
        _one_size(self.name, 'right image', self.right.data, self.left)
        _one_size(self.name, 'disparity', self.disparity_px, self.left)
        _one_size(self.name, 'visibility', self.visible, self.left)


@dataclass(frozen=True)
class DepthImage:
    """An image and its depth, float32 [H, W] metres along the optical axis, NaN = no truth."""

    name: str
    image: Image
    camera: Camera
    depth_m: FloatArray

    def __post_init__(self) -> None:
        _one_size(self.name, 'depth', self.depth_m, self.image)


@dataclass(frozen=True)
class FlowPair:
    """Two images and the flow of the data set: on the grid of the FIRST image, to the second.

    Attributes
    ----------
    first, second : images in order of time.
    forward_flow_px : float32 [H, W, 2]; the scene point at p of the first image is at
        ``p + forward_flow_px[p]`` in the second; NaN = no truth.
    """

    name: str
    first: Image
    second: Image
    forward_flow_px: FloatArray

    def __post_init__(self) -> None:
        _one_size(self.name, 'second image', self.second.data, self.first)
        _one_size(self.name, 'flow', self.forward_flow_px, self.first)


@dataclass(frozen=True)
class PosedImage:
    """An image with its depth and where its camera was.

    Attributes
    ----------
    depth_m : float32 [H, W] metres, NaN = none; not registered to the colour image in 7-Scenes.
    world_from_camera : float64 [4, 4].
    """

    name: str
    image: Image
    camera: Camera
    depth_m: FloatArray
    world_from_camera: FloatArray


@dataclass(frozen=True)
class DriveFrame:
    """A rectified pair of a drive, where it was taken, and what a LiDAR saw.

    Attributes
    ----------
    world_from_left : float64 [4, 4], pose of the left camera.
    depth_m : float32 [H, W] metres on the left image's grid, NaN = none; None = no scan.
    """

    name: str
    left: Image
    right: Image
    rig: StereoRig
    world_from_left: FloatArray
    depth_m: FloatArray | None

    def __post_init__(self) -> None:
        _one_size(self.name, 'right image', self.right.data, self.left)
        if self.depth_m is not None:
            _one_size(self.name, 'depth', self.depth_m, self.left)


@dataclass(frozen=True)
class PlaceImage:
    """One image of a walk, in visiting order."""

    name: str
    image: Image


def _one_size(name: str, what: str, array: Array, image: Image) -> None:
    if array.shape[:2] != (image.height, image.width):
        raise DataError(
            f'{name}: {what} is {array.shape[1]}x{array.shape[0]} but the image is '
            f'{image.width}x{image.height}'
        )
