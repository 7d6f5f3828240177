# SPDX-License-Identifier: Apache-2.0
"""Bends ideal images as a lens would, for cameras whose images are not rectified yet."""

import cv2
import numpy as np

from perception_nodes.geometry.camera import undistort_points
from perception_nodes.geometry.warp import pixel_grid
from perception_nodes.types import Array, Camera, PerceptionError

__all__ = ['through_lens']


def through_lens(image: Array, camera: Camera) -> Array:
    """Return the raw image that a distorted camera takes of what an ideal image shows.

    Parameters
    ----------
    image : uint8 [H, W] or [H, W, 3] of the rectified camera (``camera.p``), any scene.
    camera : with distortion and rectification; of the image's size.

    Returns
    -------
    uint8 of the same shape; black where the ideal image does not reach.

    Raises
    ------
    PerceptionError
        If the sizes differ.
    """
    if image.shape[:2] != (camera.height, camera.width):
        raise PerceptionError(
            f'the image is {image.shape[1]}x{image.shape[0]} but the camera '
            f'{camera.width}x{camera.height}'
        )
    raw = pixel_grid(camera.height, camera.width)
    ideal = np.nan_to_num(undistort_points(camera, raw), nan=-1e4).astype(np.float32)
    return cv2.remap(image, ideal, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
