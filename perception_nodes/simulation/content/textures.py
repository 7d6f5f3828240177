# SPDX-License-Identifier: Apache-2.0
"""Procedural textures with the statistics of images: power-law spectra, edges at every scale.

The base is the dead-leaves model (A. Lee, D. Mumford, J. Huang, "Occlusion models for natural
images", IJCV 2001): shapes that hide each other, sizes by a power law; fractal noise, stripes,
walls, marks and gradients join it. Every texture is a function of (kind, index) alone.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = [
    'KINDS',
    'cloud',
    'colour',
    'draw_texture',
    'fractal_noise',
    'image_texture',
    'palette',
    'texture',
]  # fmt: skip

SIZE_PX = 512
VARIANTS = 16
_IMAGE_ENDINGS = ('.png', '.jpg', '.jpeg', '.ppm', '.bmp')


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, coarsest: int = 3,
    persistence: float = 0.6,
) -> FloatArray:
    """Sum octaves of smooth noise: a spectrum that falls by a power law.

    Parameters
    ----------
    height, width : pixels.
    coarsest : cells of the first octave across the image.
    persistence : amplitude of an octave over that of the coarser one; 0.5 falls like 1/f^2
        in power per octave, 1 is white.

    Returns
    -------
    float32 [height, width], zero mean, unit deviation.
    """
    total = np.zeros((height, width), np.float32)
    amplitude, cells = 1.0, coarsest
    while cells < max(height, width):
        rows = max(2, round(cells * height / max(height, width)))
        columns = max(2, round(cells * width / max(height, width)))
        grid = rng.standard_normal((rows, columns), np.float32)
        total += amplitude * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        amplitude, cells = amplitude * persistence, cells * 2
    total += amplitude * rng.standard_normal((height, width), np.float32)
    normal: FloatArray = (total - total.mean()) / max(float(total.std()), 1e-6)
    return normal


def colour(rng: np.random.Generator) -> FloatArray:
    """Draw a colour as things outdoors have it, mostly dull; float32 [3], 0..255."""
    hue, saturation = rng.uniform(0, 180), 255 * rng.beta(1.2, 3.5)
    value = rng.uniform(15, 245)
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def palette(rng: np.random.Generator, count: int, spread: float = 45.0) -> FloatArray:
    """Draw colours that belong together, float32 [count, 3], 0..255."""
    shades = colour(rng) + rng.normal(0, spread, (count, 1))
    shades = shades + rng.normal(0, spread / 4, (count, 3))
    return shades.clip(0, 255).astype(np.float32)


def cloud(rng: np.random.Generator) -> Array:
    """Fractal noise between two colours."""
    noise = fractal_noise(rng, SIZE_PX, SIZE_PX, persistence=rng.uniform(0.45, 0.9))
    return _mix(0.5 + 0.3 * noise, colour(rng), colour(rng))


def leaves(rng: np.random.Generator) -> Array:
    """Dead leaves: discs and polygons that hide each other."""
    image = np.empty((SIZE_PX, SIZE_PX, 3), np.uint8)
    image[:] = colour(rng)
    shades = palette(rng, 12, 60) if rng.random() < 0.5 else np.stack(
        [colour(rng) for _ in range(12)]
    )
    smallest = rng.uniform(2, 8)
    radii = np.minimum(smallest / np.sqrt(1 - rng.random(500)), 150)
    centres = rng.integers(0, SIZE_PX, (len(radii), 2))
    polygons = rng.random() < 0.6
    for radius, centre in zip(radii, centres, strict=True):
        shade = shades[rng.integers(len(shades))].tolist()
        if polygons:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
            points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], -1)
            cv2.fillPoly(image, [points.astype(np.int32)], shade, cv2.LINE_AA)
        else:
            cv2.circle(image, centre.tolist(), round(radius), shade, -1, cv2.LINE_AA)
    return _grained(rng, image, rng.uniform(0, 12))


def stripes(rng: np.random.Generator) -> Array:
    """Bars of uneven width, a second set across now and then."""
    image = _bars(rng)
    if rng.random() < 0.4:
        across = _bars(rng).transpose(1, 0, 2)
        image = cv2.addWeighted(image, 0.5, np.ascontiguousarray(across), 0.5, 0)
    return _grained(rng, image, rng.uniform(2, 15))


def wall(rng: np.random.Generator) -> Array:
    """Bricks, slabs or tiles with joints."""
    rows, columns = int(rng.integers(10, 60)), int(rng.integers(6, 40))
    base, joint = colour(rng), colour(rng)
    shade = base + rng.normal(0, rng.uniform(3, 25), (rows, columns, 1)) * np.ones(3)
    image = cv2.resize(
        shade.clip(0, 255).astype(np.uint8), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_NEAREST
    )
    height, width = SIZE_PX / rows, SIZE_PX / columns
    shift = float(rng.choice([0.0, 0.5]))
    for row in range(rows):
        top = round(row * height)
        if shift and row % 2:
            band = image[top : round(top + height)]
            band[:] = np.roll(band, round(shift * width), axis=1)
        cv2.line(image, (0, top), (SIZE_PX, top), joint.tolist(), 1, cv2.LINE_AA)
        for column in range(columns + 1):
            x = round((column + shift * (row % 2)) * width)
            cv2.line(image, (x, top), (x, round(top + height)), joint.tolist(), 1, cv2.LINE_AA)
    return _grained(rng, image, rng.uniform(4, 14))


def marks(rng: np.random.Generator) -> Array:
    """Lines of marks that look like writing, on paper of little contrast."""
    image = _mix(0.5 + 0.1 * fractal_noise(rng, SIZE_PX, SIZE_PX), colour(rng), colour(rng))
    line, ink = int(rng.integers(12, 60)), colour(rng)
    fonts = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_DUPLEX)
    for row in range(line, SIZE_PX + line, line):
        if rng.random() < 0.2:
            ink = colour(rng)
        text = ''.join(map(chr, rng.integers(33, 126, 60)))
        at = (int(rng.integers(-30, 60)), row)
        font = fonts[rng.integers(len(fonts))]
        thick = max(1, line // 18)
        cv2.putText(image, text, at, font, line / 34, ink.tolist(), thick, cv2.LINE_AA)
    return _grained(rng, image, rng.uniform(1, 8))


def gradient(rng: np.random.Generator) -> Array:
    """Almost nothing: two colours that run into each other, a few lines."""
    x, y = np.meshgrid(np.linspace(-1, 1, SIZE_PX), np.linspace(-1, 1, SIZE_PX))
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + 0.35 * (x * np.cos(angle) + y * np.sin(angle))
    image = _mix(ramp.astype(np.float32), colour(rng), colour(rng))
    for _ in range(int(rng.integers(0, 10))):
        ends = rng.integers(0, SIZE_PX, (2, 2)).tolist()
        cv2.line(image, ends[0], ends[1], colour(rng).tolist(), int(rng.integers(1, 5)),
                 cv2.LINE_AA)
    return _grained(rng, image, rng.uniform(0.5, 5))


def foliage(rng: np.random.Generator) -> Array:
    """Leaves and their shadows: many small blobs, light on top of dark."""
    image = _mix(0.4 + 0.2 * fractal_noise(rng, SIZE_PX, SIZE_PX), np.zeros(3), colour(rng))
    shades = palette(rng, 16, 50)
    spots = rng.integers(0, SIZE_PX, (1500, 2))
    for index, spot in enumerate(spots):
        shade = (shades[index % 16] * (0.35 + 0.65 * index / len(spots))).tolist()
        axes = rng.integers(2, 9, 2).tolist()
        cv2.ellipse(image, spot.tolist(), axes, float(rng.uniform(0, 180)), 0, 360, shade, -1)
    return _grained(rng, image, 6)


KINDS: dict[str, Callable[[np.random.Generator], Array]] = {
    'leaves': leaves, 'cloud': cloud, 'stripes': stripes, 'wall': wall, 'marks': marks,
    'gradient': gradient, 'foliage': foliage,
}  # fmt: skip


@lru_cache(maxsize=len(KINDS) * VARIANTS)
def texture(kind: str, index: int) -> Array:
    """Return a texture of a kind, uint8 [512, 512, 3] RGB; not to be written to."""
    rng = np.random.default_rng([71, list(KINDS).index(kind), index])
    image = KINDS[kind](rng)
    image.setflags(write=False)
    return image


def image_texture(rng: np.random.Generator, folder: Path) -> Array:
    """Take an image of a folder, uint8 [H, W, 3] RGB.

    Raises
    ------
    PerceptionError
        If the folder holds no image or the drawn one cannot be read.
    """
    names = _images(Path(folder))
    return _read_image(names[int(rng.integers(len(names)))])


def draw_texture(
    rng: np.random.Generator, height: int, width: int, folder: Path | None = None,
    image_share: float = 0.6,
) -> Array:
    """Cut a random part out of a random texture, scaled, turned and recoloured.

    Parameters
    ----------
    folder : images to take textures from too. picture_share : how often, 0..1.

    Returns
    -------
    uint8 [height, width, 3] RGB.
    """
    if folder is not None and rng.random() < image_share:
        source = image_texture(rng, folder)
    else:
        kinds = list(KINDS)
        source = texture(kinds[rng.integers(len(kinds))], int(rng.integers(VARIANTS)))
    scale = np.exp(rng.uniform(np.log(0.7), np.log(2.5)))
    angle = rng.normal(0, 15) + float(rng.choice([0, 0, 0, 90]))
    middle = rng.uniform(0.2, 0.8, 2) * [source.shape[1], source.shape[0]]
    transform = cv2.getRotationMatrix2D(middle.tolist(), angle, scale)
    transform[:, 2] += [width / 2 - middle[0], height / 2 - middle[1]]
    part = cv2.warpAffine(source, transform, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    if rng.random() < 0.3:
        part = np.ascontiguousarray(part[..., rng.permutation(3)])
    gain, bias = rng.uniform(0.5, 1.3), rng.uniform(-30, 40)
    return cv2.convertScaleAbs(cv2.max(part, 1), alpha=gain, beta=max(bias, -gain))


@lru_cache(maxsize=8)
def _images(folder: Path) -> tuple[Path, ...]:
    names = sorted(p for p in folder.rglob('*') if p.suffix.lower() in _IMAGE_ENDINGS)
    if not names:
        raise PerceptionError(f'{folder} holds no image (png, jpg, ppm, bmp) for textures')
    return tuple(names)


@lru_cache(maxsize=128)
def _read_image(path: Path) -> Array:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PerceptionError(f'{path} is not an image that can be read')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _mix(share: FloatArray, dark: FloatArray, light: FloatArray) -> Array:
    share = share.clip(0, 1)[..., None]
    return np.rint(dark * (1 - share) + light * share).astype(np.uint8)


def _grained(rng: np.random.Generator, image: Array, sigma: float) -> Array:
    noise = fractal_noise(rng, *image.shape[:2], coarsest=16, persistence=0.8)
    return (image + sigma * noise[..., None]).clip(0, 255).astype(np.uint8)


def _bars(rng: np.random.Generator) -> Array:
    edges = np.cumsum(rng.integers(2, int(rng.integers(6, 60)), SIZE_PX))
    which = np.searchsorted(edges, np.arange(SIZE_PX))
    shades = palette(rng, SIZE_PX, rng.uniform(15, 60)).astype(np.uint8)
    row = cv2.GaussianBlur(shades[which][None], (0, 0), 0.7)
    return np.repeat(row, SIZE_PX, axis=0)
