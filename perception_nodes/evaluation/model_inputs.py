# SPDX-License-Identifier: Apache-2.0
"""Recorded frames as a model's inputs: to calibrate int8 on, and to measure speed with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.inference.model_card import ANY, ModelCard
from perception_nodes.pipelines.perception import StereoFrame
from perception_nodes.types import Array, Image, PerceptionError

IMAGES = ('.png', '.jpg', '.jpeg', '.ppm', '.bmp')


@dataclass(frozen=True)
class InputFrame:
    """What one moment offers to a model.

    Attributes
    ----------
    left : uint8 [H, W, 3] RGB; right: of the same size, None from one camera.
    focal_px : horizontal focal length; the width where it is not known.
    """

    left: Array
    right: Array | None
    focal_px: float

    def resized(self, width: int, height: int) -> 'InputFrame':
        """Scale to another size."""
        def scale(image: Array) -> Array:
            return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

        right = None if self.right is None else scale(self.right)
        return InputFrame(scale(self.left), right, self.focal_px * width / self.left.shape[1])


def read_input_frames(source: str | Path) -> Iterator[InputFrame]:
    """Frames of a bag, or images of a folder in the order of their names.

    A folder with the folders ``left`` and ``right`` holds pairs (equal names).

    Raises
    ------
    PerceptionError
        If it is neither, or an image cannot be read.
    """
    source = Path(source)
    if (source / 'left').is_dir() and (source / 'right').is_dir():
        for path in _images(source / 'left'):
            left, right = _read(path), _read(source / 'right' / path.name)
            if left.shape != right.shape:
                raise PerceptionError(f'{path.name}: left and right differ in size')
            yield InputFrame(left, right, left.shape[1])
    elif source.is_dir() and (images := _images(source)):
        for path in images:
            image = _read(path)
            yield InputFrame(image, None, image.shape[1])
    else:
        yield from _bag_frames(source)


def model_inputs(
    card: ModelCard, frames: Sequence[InputFrame], samples: int = 1
) -> Iterator[dict[str, Array]]:
    """Arrays of a model's inputs, by their names in the table of ``inference.model_card``.

    The first frame has no older one: a model of two moments starts at the second. Dropout masks
    are all ones.

    Parameters
    ----------
    samples : size of open axes other than an image's (rows of dropout masks).

    Raises
    ------
    PerceptionError
        If the model wants what the frames do not have.
    """
    pairs = any(spec.name == 'image0' for spec in card.inputs)
    for index, frame in enumerate(frames):
        if pairs and index == 0:
            continue
        offered = {
            'image': frame.left, 'left': frame.left, 'right': frame.right, 'image1': frame.left,
            'image0': frames[index - 1].left if index else None,
        }
        inputs: dict[str, Array] = {}
        for spec in card.inputs:
            image = offered.get(spec.name)
            if image is not None:
                inputs[spec.name] = np.ascontiguousarray(image)[None]
            elif spec.dtype == 'float32':
                shape = [samples if size == ANY else size for size in spec.shape]
                value = frame.focal_px if spec.name == 'focal_px' else 1.0
                inputs[spec.name] = np.full(shape, value, np.float32)
            else:
                raise PerceptionError(
                    f'model {card.name!r} wants {spec.name!r}, which these frames do not have'
                )
        yield inputs


def _bag_frames(source: Path) -> Iterator[InputFrame]:
    with open_bag(source) as bag:
        for frame in BagFrames(bag, find_cameras(bag)):
            if isinstance(frame, StereoFrame):
                yield InputFrame(_rgb(frame.left), _rgb(frame.right), frame.rig.focal_px)
            else:
                focal_px = frame.image.width if frame.camera is None else frame.camera.p[0, 0]
                yield InputFrame(_rgb(frame.image), None, float(focal_px))


def _rgb(image: Image) -> Array:
    return image.data if image.data.ndim == 3 else np.repeat(image.data[..., None], 3, axis=2)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)


def _read(path: Path) -> Array:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PerceptionError(f'image {path} is missing or cannot be read')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
