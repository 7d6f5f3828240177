# SPDX-License-Identifier: Apache-2.0
"""Images of signs, signals, fences and poles, rgba."""

import cv2
import numpy as np

from perception_nodes.simulation.content.facades import shop_sign
from perception_nodes.simulation.content.materials import grain, opaque, textured
from perception_nodes.simulation.content.textures import colour
from perception_nodes.types import Array, FloatArray

__all__ = ['board_image', 'fence_image', 'pole_image', 'railing_image', 'sign_back',
           'sign_image', 'signal_image']  # fmt: skip

_RED, _BLUE, _WHITE, _BLACK = (190, 25, 30), (25, 70, 160), (235, 235, 232), (22, 22, 22)


def sign_image(rng: np.random.Generator) -> Array:
    """Draw a traffic sign, uint8 [64, 64, 4]: disc, triangle, octagon or board."""
    size, scale = 64, 16
    rgb, alpha = np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.uint8)
    kind = str(rng.choice(['disc', 'blue', 'triangle', 'give way', 'stop', 'board']))
    if kind in ('disc', 'blue', 'stop'):
        rim = _RED if kind != 'blue' else _BLUE
        cv2.circle(alpha, (32, 32), 30, 255, -1, cv2.LINE_AA)
        cv2.circle(rgb, (32, 32), 32, rim, -1)
        if kind == 'disc':
            cv2.circle(rgb, (32, 32), 22, _WHITE, -1, cv2.LINE_AA)
        _symbol(rng, rgb, _BLACK if kind == 'disc' else _WHITE)
    elif kind in ('triangle', 'give way'):
        points = np.array([[32, 3], [62, 58], [2, 58]], float)
        points = points if kind == 'triangle' else np.array([[2, 6], [62, 6], [32, 61]], float)
        inner = points.mean(0) + 0.62 * (points - points.mean(0))
        rgb[:] = _RED
        for canvas, outline, fill in ((alpha, points, 255), (rgb, inner, _WHITE)):
            cv2.fillPoly(canvas, [np.rint(outline * scale).astype(np.int32)], fill, cv2.LINE_AA, 4)
        if kind == 'triangle':
            _symbol(rng, rgb, _BLACK)
    else:
        top = int(rng.integers(0, 26))
        alpha[top : size - top] = 255
        rgb[:] = shop_sign(rng, size, size)
        cv2.rectangle(rgb, (1, top + 1), (62, 62 - top), _WHITE, 2)
    return np.dstack([rgb, alpha])


def _symbol(rng: np.random.Generator, rgb: Array, ink: tuple[int, int, int]) -> None:
    if rng.random() < 0.5:
        text = str(rng.choice(['20', '30', '40', '50', '!', 'P', '?', 'X']))
        cv2.putText(rgb, text, (32 - 9 * len(text), 42), cv2.FONT_HERSHEY_DUPLEX, 0.85, ink, 2,
                    cv2.LINE_AA)
    else:
        ends = rng.integers(20, 44, (2, 2)).tolist()
        cv2.arrowedLine(rgb, ends[0], ends[1], ink, 5, cv2.LINE_AA)


def sign_back(sign: Array) -> Array:
    """Return the grey back of a sign."""
    back = np.empty_like(sign)
    back[..., :3] = 120
    back[..., 3] = sign[:, ::-1, 3]
    return back


def signal_image(rng: np.random.Generator) -> Array:
    """Draw a traffic light, uint8 [72, 28, 4]."""
    image = np.empty((72, 28, 4), np.uint8)
    image[:] = (24, 26, 26, 255)
    lit = int(rng.integers(0, 3))
    for index, shade in enumerate([(255, 40, 30), (255, 180, 30), (60, 255, 140)]):
        on = shade if index == lit else tuple(int(0.22 * c) for c in shade)
        cv2.circle(image, (14, 12 + 24 * index), 9, (*on, 255), -1, cv2.LINE_AA)
    return image


def pole_image(rng: np.random.Generator, shade: FloatArray) -> Array:
    """Draw a round post, uint8 [128, 8, 4]: lighter on one side."""
    round_tone = np.interp(np.arange(8), [0, 2, 7], [*rng.permutation([0.0, 0.25]).tolist(), -0.3])
    tone = round_tone[None, :] + 0.06 * grain(rng, 128, 8, 'rough')
    return opaque(textured(shade, tone.astype(np.float32)))


def fence_image(rng: np.random.Generator, width_m: float, height_m: float) -> Array:
    """Draw a fence at 64 px a metre: railings, mesh or boards."""
    height, width = round(height_m * 64), round(width_m * 64)
    kind = str(rng.choice(['railings', 'boards', 'rails', 'mesh']))
    shade = {'boards': np.array([120, 92, 66]) * rng.uniform(0.5, 1.4)}.get(kind, colour(rng) * .6)
    tone = 0.1 * grain(rng, height, width, 'natural')
    alpha = np.zeros((height, width), np.uint8)
    columns, rows = np.arange(width), np.arange(height)
    if kind == 'boards':
        alpha[:] = 255
        step = int(rng.integers(8, 14))
        tone[:, columns % step < 2] -= 0.45
        tone += 0.1 * np.sin(43758.5 * np.sin(columns // step * 12.9))[None, :]
    elif kind == 'railings':
        alpha[:, columns % int(rng.integers(7, 12)) < 2] = 255
        for level in (0.03, 0.9):
            alpha[np.abs(rows - level * height) < 2.5] = 255
    elif kind == 'rails':
        alpha[:, columns % int(rng.integers(70, 140)) < 6] = 255
        for level in np.linspace(0.06, 0.7, int(rng.integers(2, 4))):
            alpha[np.abs(rows - level * height) < 3.5] = 255
    else:
        lines = (columns[None, :] + rows[:, None]) % 7 == 0
        alpha[lines | ((columns[None, :] - rows[:, None]) % 7 == 0)] = 255
        alpha[:, columns % 150 < 5] = 255
    image = textured(shade, tone.astype(np.float32))
    return np.dstack([image, alpha])


def railing_image(rng: np.random.Generator, width_m: float, height_m: float) -> Array:
    """Draw a guard rail at 64 px a metre: thin bars in frames of two metres."""
    height, width = round(height_m * 64), round(width_m * 64)
    alpha = np.zeros((height, width), np.uint8)
    columns, rows = np.arange(width), np.arange(height)
    alpha[:, columns % int(rng.integers(6, 9)) < rng.integers(1, 3)] = 255
    alpha[height - 8 :] = 0
    alpha[:, columns % 128 < 4] = 255
    for level in (2.0, height - 10.0):
        alpha[np.abs(rows - level) < 2.5] = 255
    shade = np.full(3, rng.uniform(50, 150)) if rng.random() < 0.7 else colour(rng) * 0.35
    tone = 0.1 * grain(rng, height, width, 'natural')
    return np.dstack([textured(shade, tone.astype(np.float32)), alpha])


def board_image(rng: np.random.Generator, width_m: float, height_m: float) -> Array:
    """Paint a board for a shop or a pub, opaque, at 64 px a metre."""
    height, width = round(height_m * 64), round(width_m * 64)
    board = np.empty((height, width, 3), np.uint8)
    board[:] = colour(rng) * rng.uniform(0.3, 1.1)
    for _ in range(int(rng.integers(1, 4))):
        line = min(height - 8, int(rng.integers(12, 30)))
        top = int(rng.integers(4, max(5, height - line - 4)))
        board[top : top + line, 4 : width - 4] = shop_sign(rng, width - 8, line)
    cv2.rectangle(board, (0, 0), (width - 1, height - 1), (colour(rng) * 0.5).tolist(), 3)
    return opaque(board)
