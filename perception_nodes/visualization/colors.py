# SPDX-License-Identifier: Apache-2.0
"""Results as images for eyes: uint8 RGB [H, W, 3]."""

import colorsys
from functools import lru_cache

import cv2
import numpy as np

from perception_nodes.types import UNLABELLED, Array, FloatArray, Image, Segmentation

Palette = tuple[tuple[int, int, int], ...]

# Steps between the hues red, yellow, green, cyan, blue, magenta (and back to red) of the colour
# circle of S. Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011:
# more steps where the eye tells more hues apart.
_WHEEL = (
    (15, (255, 0, 0)), (6, (255, 255, 0)), (4, (0, 255, 0)), (11, (0, 255, 255)),
    (13, (0, 0, 255)), (6, (255, 0, 255)),
)

# Black would read as sure.
_UNKNOWN = 128


def class_palette(classes: int) -> Palette:
    """Make colours that are far apart for this many classes."""
    return tuple(
        tuple(  # type: ignore[misc]
            round(255 * part)
            for part in colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.75, 0.95)
        )
        for index in range(classes)
    )


def class_color(labels: Array, palette: Palette = ()) -> Array:
    """Colour class ids; unlabelled (255) is black.

    Parameters
    ----------
    labels : uint8 [H, W].
    palette : colour of each id; empty = one is made.
    """
    table = np.zeros((256, 3), np.uint8)
    colours = np.array(palette or class_palette(UNLABELLED), np.uint8)
    table[:len(colours)] = colours
    return table.take(labels, axis=0)


def overlay(
    image: Image, segmentation: Segmentation, palette: Palette = (), opacity: float = 0.5
) -> Array:
    """Lay the classes' colours over the image; unlabelled pixels show the image alone.

    Parameters
    ----------
    opacity : share of the class colour, 0..1.
    """
    base = _rgb(image)
    colours = class_color(segmentation.labels, palette)
    mixed = cv2.addWeighted(colours, opacity, base, 1.0 - opacity, 0.0)
    unlabelled = segmentation.labels == UNLABELLED
    if unlabelled.any():
        mixed[unlabelled] = base[unlabelled]
    return np.asarray(mixed)


def depth_color(
    depth_m: FloatArray, near_m: float | None = None, far_m: float | None = None
) -> Array:
    """Colour depth on a logarithmic scale: near is red, far is blue, invalid is black.

    Parameters
    ----------
    depth_m : [H, W] metres, NaN invalid.
    near_m, far_m : ends of the scale; None = the 2nd and 98th percentile of this image.
    """
    depth = np.asarray(depth_m, np.float32)
    valid = np.isfinite(depth) & (depth > 0.0)
    if not valid.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    low, high = np.percentile(depth[valid], (2.0, 98.0))
    near = low if near_m is None else near_m
    far = max(high if far_m is None else far_m, near * 1.001)
    with np.errstate(invalid='ignore', divide='ignore'):
        share = np.log(far / depth) / np.log(far / near)
    return _colormap(share, valid, cv2.COLORMAP_TURBO)


def sigma_color(sigma: FloatArray, highest: float | None = None) -> Array:
    """Colour a one-sigma, whatever its unit: dark is sure, bright is not, invalid is grey.

    Parameters
    ----------
    sigma : [H, W], NaN invalid.
    highest : value of the brightest colour; None = the 98th percentile of this image.
    """
    values = np.asarray(sigma, np.float32)
    valid = np.isfinite(values)
    top = highest
    if top is None:
        top = float(np.percentile(values[valid], 98.0)) if valid.any() else 1.0
    coloured = _colormap(values / max(top, 1e-12), valid, cv2.COLORMAP_INFERNO)
    coloured[~valid] = _UNKNOWN
    return coloured


def flow_color(flow_px: FloatArray, longest_px: float | None = None) -> Array:
    """Colour flow as Baker et al. do: hue is the direction, saturation the length.

    Parameters
    ----------
    flow_px : [H, W, 2] displacement (x, y), NaN invalid (black).
    longest_px : length of the full colour; None = the 99th percentile of this image. Longer ones
        are darkened.
    """
    flow = np.asarray(flow_px, np.float32)
    length, angle_rad = cv2.cartToPolar(
        np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1])
    )
    valid = np.isfinite(length)
    if not valid.any():
        return np.zeros((*length.shape, 3), np.uint8)
    longest = float(np.percentile(length[valid], 99.0)) if longest_px is None else longest_px
    table = _flow_table()
    directions, lengths = table.shape[:2]
    scale = (lengths - 2) / max(longest, 1e-6)
    radius = np.minimum(np.where(valid, length, 0.0) * scale + 0.5, lengths - 1)
    turn = np.where(valid, angle_rad, 0.0) * ((directions - 1) / (2.0 * np.pi)) + 0.5
    index = turn.astype(np.int32) * lengths + radius.astype(np.int32)
    coloured = table.reshape(-1, 3).take(index, axis=0)
    coloured[~valid] = 0
    return np.asarray(coloured)


def color_wheel() -> FloatArray:
    """Hues of the circle, float32 [55, 3] RGB 0..255, each step linear between its two ends."""
    ends = [colour for _, colour in _WHEEL]
    parts = [
        np.linspace(ends[i], ends[(i + 1) % len(ends)], steps, endpoint=False)
        for i, (steps, _) in enumerate(_WHEEL)
    ]
    return np.concatenate(parts).astype(np.float32)


@lru_cache(maxsize=1)
def _flow_table() -> Array:
    """Colours by direction (a full turn) and length, uint8 [433, 257, 3].

    Lengths 0 to 255 run from white to the full hue; 256 stands for all longer ones.
    """
    wheel = color_wheel()
    place = np.linspace(0.0, len(wheel) - 1, 8 * (len(wheel) - 1) + 1)
    first = np.minimum(place.astype(np.int32), len(wheel) - 2)
    part = (place - first)[:, None]
    hue = ((1.0 - part) * wheel[first] + part * wheel[first + 1])[:, None]
    share = np.linspace(0.0, 1.0, 256)[:, None]
    within = 255.0 - share * (255.0 - hue)
    return np.asarray(np.rint(np.concatenate([within, 0.75 * hue], axis=1)), np.uint8)


def _rgb(image: Image) -> Array:
    if image.data.ndim == 3:
        return np.ascontiguousarray(image.data)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image.data), cv2.COLOR_GRAY2RGB))


def _colormap(share: FloatArray, valid: Array, colours: int) -> Array:
    """Map 0..1 through one of OpenCV's colour maps; black where not valid."""
    level = np.asarray(np.clip(np.where(valid, share, 0.0), 0.0, 1.0) * 255.0, np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(level, colours), cv2.COLOR_BGR2RGB)
    coloured[~valid] = 0
    return np.asarray(coloured)
