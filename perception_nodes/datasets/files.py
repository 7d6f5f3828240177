# SPDX-License-Identifier: Apache-2.0
"""The file formats of the data sets: images, 16-bit PNG, PFM, FLO, lists and matrices."""

from pathlib import Path

import cv2
import numpy as np

from perception_nodes.files.atomic import read_file, write_atomically
from perception_nodes.files.coded_images import decode_coded
from perception_nodes.types import Array, DataError, FloatArray, PerceptionError

__all__ = [
    'list_files',
    'read_flo',
    'read_gray',
    'read_gray_image',
    'read_kitti_map',
    'read_matrix',
    'read_pfm',
    'read_png16',
    'read_rgb',
    'read_text',
    'require_folder',
    'write_flo',
]

_FLO_MAGIC = 202021.25
_FLO_UNKNOWN = 1e9
_MAX_SIDE = 1 << 15
MOST_BYTES = 1 << 30
MOST_TEXT_BYTES = 64 << 20


def require_folder(root: Path, *parts: str, layout: str) -> Path:
    """Return ``root/parts``, or say that the root is not of this layout."""
    folder = Path(root, *parts)
    if not folder.is_dir():
        raise DataError(
            f'{root} is not a {layout} folder: {folder} is missing; give its root with --root'
        )
    return folder


def list_files(folder: Path, pattern: str) -> tuple[Path, ...]:
    """Files of a folder by name pattern, sorted; at least one, else DataError."""
    found = tuple(sorted(folder.glob(pattern)))
    if not found:
        raise DataError(f'{folder} holds no {pattern}')
    return found


def read_rgb(path: Path) -> Array:
    """Read an image as uint8 RGB [H, W, 3]."""
    image, is_rgb = _decode(path)
    image = _eight_bit(image)
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., :3] if is_rgb else image[..., 2::-1])


def read_gray(path: Path) -> Array:
    """Read a one-channel 8-bit image (labels, masks) as it is, uint8 [H, W]."""
    image, _ = _decode(path)
    if image.dtype != np.uint8 or image.ndim != 2:
        raise DataError(f'{path}: wanted 8-bit one-channel, found {_kind(image)}')
    return image


def read_gray_image(path: Path) -> Array:
    """Read a mask that may be stored in colour, uint8 [H, W]."""
    image, _ = _decode(path)
    image = _eight_bit(image)
    return image if image.ndim == 2 else cv2.cvtColor(read_rgb(path), cv2.COLOR_RGB2GRAY)


def read_png16(path: Path, channels: int = 1) -> Array:
    """Read a 16-bit PNG, uint16 [H, W] or [H, W, channels] in the file's order (R, G, B)."""
    image, _ = _decode(path)
    shape_fits = image.ndim == 2 if channels == 1 else image.shape[2:] == (channels,)
    if image.dtype != np.uint16 or not shape_fits:
        raise DataError(
            f'{path}: wanted 16-bit with {channels} channel(s), found {_kind(image)}'
        )
    return image if channels == 1 else np.ascontiguousarray(image[..., ::-1])


def read_kitti_map(path: Path) -> FloatArray:
    """Read KITTI's disparity or depth PNG: value / 256, 0 = none -> NaN; float32 [H, W]."""
    values: FloatArray = read_png16(path).astype(np.float32) / np.float32(256.0)
    values[values == 0] = np.nan
    return values


def read_pfm(path: Path) -> FloatArray:
    """Read a one-channel PFM, rows from the top; inf stays inf; float32 [H, W].

    Format: header lines ``Pf``, ``width height``, ``scale`` (negative: little endian), then rows
    from the bottom.
    """
    data = _bytes(path)
    header = data.split(b'\n', 3)
    try:
        kind, (width, height), scale = header[0].strip(), map(int, header[1].split()), header[2]
        order = '<f4' if float(scale) < 0 else '>f4'
    except (ValueError, IndexError):
        raise DataError(f'{path}: not a PFM file (broken header)') from None
    if kind != b'Pf' or not (0 < width < _MAX_SIDE and 0 < height < _MAX_SIDE):
        raise DataError(f'{path}: not a one-channel PFM file')
    if len(header[3]) != width * height * 4:
        raise DataError(
            f'{path}: {len(header[3])} bytes of data, {width * height * 4} wanted: cut short?'
        )
    rows = np.frombuffer(header[3], order).reshape(height, width)
    return np.ascontiguousarray(rows[::-1], dtype=np.float32)


def read_flo(path: Path) -> FloatArray:
    """Read Middlebury's .flo: float32 [H, W, 2] (x, y) pixels; above 1e9 = none -> NaN."""
    data = _bytes(path)
    if len(data) < 12 or np.frombuffer(data[:4], '<f4')[0] != np.float32(_FLO_MAGIC):
        raise DataError(f'{path}: not a .flo file (its tag is not PIEH)')
    width, height = (int(side) for side in np.frombuffer(data[4:12], '<i4'))
    if not (0 < width < _MAX_SIDE and 0 < height < _MAX_SIDE):
        raise DataError(f'{path}: {width}x{height} is no image size')
    if len(data) != 12 + width * height * 8:
        raise DataError(
            f'{path}: {len(data) - 12} bytes of data, {width * height * 8} wanted: cut short?'
        )
    flow = np.frombuffer(data[12:], '<f4').reshape(height, width, 2).astype(np.float32)
    flow[(np.abs(flow) > _FLO_UNKNOWN).any(axis=-1) | ~np.isfinite(flow).all(axis=-1)] = np.nan
    return flow


def write_flo(path: Path, flow_px: FloatArray) -> None:
    """Write Middlebury's .flo; NaN becomes the format's "unknown" (1e10)."""
    height, width = flow_px.shape[:2]
    values = np.where(np.isfinite(flow_px), flow_px, 1e10).astype('<f4')
    head = np.array([_FLO_MAGIC], '<f4').tobytes() + np.array([width, height], '<i4').tobytes()
    write_atomically(path, head + values.tobytes())


def read_matrix(path: Path, rows: int, columns: int) -> FloatArray:
    """Read a text matrix, float64 [rows, columns], all finite."""
    try:
        numbers = np.array(_bytes(path).split(), dtype=np.float64)
    except ValueError:
        raise DataError(f'{path}: not a matrix of numbers') from None
    if numbers.size != rows * columns or not np.isfinite(numbers).all():
        raise DataError(f'{path}: wanted {rows}x{columns} finite numbers')
    return numbers.reshape(rows, columns)


def read_text(path: Path) -> str:
    """Read a text file of a data set: a list, a calibration."""
    try:
        return _bytes(path, MOST_TEXT_BYTES).decode('utf-8')
    except UnicodeDecodeError:
        raise DataError(f'{path}: not a text file') from None


def _bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    try:
        return read_file(path, 'file', most_bytes)
    except PerceptionError as error:
        raise DataError(str(error)) from None


def _decode(path: Path) -> tuple[Array, bool]:
    """Pixels of a whole JPEG or PNG as they are stored, and whether colours are in order RGB."""
    try:
        return decode_coded(_bytes(path))
    except DataError:
        raise
    except PerceptionError as error:
        raise DataError(f'{path}: {error}') from None


def _eight_bit(image: Array) -> Array:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def _kind(image: Array) -> str:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return f'{image.dtype} with {channels} channel(s)'
