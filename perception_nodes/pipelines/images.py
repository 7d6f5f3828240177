# SPDX-License-Identifier: Apache-2.0
"""What every pipeline does to an image before its model sees it, and what it checks on the way."""

import cv2
import numpy as np

from perception_nodes.types import Array, Camera, Image, PerceptionError


def rgb_batch(image: Image) -> Array:
    """Return the array that a released model takes.

    Parameters
    ----------
    image : RGB, or mono that is repeated into three channels.

    Returns
    -------
    uint8 [1, H, W, 3], contiguous; the image's own memory where it is RGB already.
    """
    data = image.data
    if data.ndim == 2:
        data = cv2.cvtColor(np.ascontiguousarray(data), cv2.COLOR_GRAY2RGB)
    return np.ascontiguousarray(data)[None]


def grey(image: Image) -> Array:
    """Return the image without its colour.

    Parameters
    ----------
    image : RGB or mono.

    Returns
    -------
    uint8 [H, W].
    """
    if image.data.ndim == 2:
        return np.ascontiguousarray(image.data)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image.data), cv2.COLOR_RGB2GRAY))


def require_size(image: Image, camera: Camera, name: str) -> None:
    """Refuse an image that its camera_info does not describe.

    Raises
    ------
    PerceptionError
        If the sizes differ.
    """
    if (image.width, image.height) != (camera.width, camera.height):
        raise PerceptionError(
            f'{name} is {image.width}x{image.height} but its camera_info says '
            f'{camera.width}x{camera.height}'
        )


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a setting outside ``low <= value <= high``; NaN is outside.

    Raises
    ------
    PerceptionError
        Naming the setting, its value and its range.
    """
    if not low <= value <= high:
        raise PerceptionError(f'{name} is {value:g}; it must lie between {low:g} and {high:g}')
