# SPDX-License-Identifier: Apache-2.0
"""The card beside every ONNX file: what the model is, what it was trained on, what it reached.

Released models are ``models/NAME.onnx`` with ``models/NAME.json``. A card belongs to exactly one
file, whose hash it names. The file itself holds its card, too, so that no interruption parts them;
NAME.json is the copy that people read and may add to. If it names another hash (an export was
killed between the two, or only the .onnx was copied), the card inside is taken.

The graph takes the camera's image and returns final maps of the camera's size; the arrays of
each task are these (``H W`` any size, ``T`` dropout samples, ``N`` keypoints; images are uint8
RGB, mono is repeated):

==================  =========================================  ===================================
task                inputs                                     outputs
==================  =========================================  ===================================
segmentation        image u8 [1,H,W,3]                         labels u8 [1,H,W]
                    dropout_masks f32 [T,C]                    confidence, entropy,
                                                               mutual_information f32 [1,H,W] 0..1
                                                               probabilities f32 [1,K,h,w] coarse
stereo_depth        left, right u8 [1,H,W,3]                   disparity_px, sigma_px f32 [1,H,W]
mono_depth          image u8 [1,H,W,3], focal_px f32 [1]       depth_m, sigma_m f32 [1,H,W]
optical_flow        image0 (older), image1 u8 [1,H,W,3]        flow_px f32 [1,H,W,2] on the grid of
                                                               image1 (see types.Flow),
                                                               sigma_px f32 [1,H,W]
features            image u8 [1,H,W,3]                         keypoints_px f32 [1,N,2] (x, y),
                                                               scores f32 [1,N],
                                                               descriptors f32 [1,N,D] unit length
place_recognition   image u8 [1,H,W,3]                         descriptor f32 [1,D] unit length
==================  =========================================  ===================================

A row of ``dropout_masks`` multiplies the head's channels: 0 or 1 / (1 - p), or all ones for no
dropout; mutual information is over the rows, so it is 0 with one row.
"""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perception_nodes.files.atomic import FileKind, check_replaceable, read_file, write_atomically
from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.inference.onnx_file import check_graph, split_card, with_card
from perception_nodes.types import ModelError, PerceptionError

SCHEMA = 1
ANY = -1
MOST_CARD_BYTES = 4 << 20
MOST_SIZE = 1 << 31
DTYPES = ('uint8', 'int32', 'int64', 'float16', 'float32', 'bool')


@dataclass(frozen=True)
class TensorSpec:
    """One array that goes in or comes out.

    Attributes
    ----------
    name : name of the graph's input or output.
    dtype : numpy name, one of DTYPES.
    shape : sizes; -1 (ANY) where any size will do.
    unit : unit of the values ('px', 'm', '1', 'class id', ...).
    meaning : one line for people.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    unit: str = ''
    meaning: str = ''

    def __post_init__(self) -> None:
        if not self.name:
            raise ModelError('a tensor of a model card has no name')
        if self.dtype not in DTYPES:
            raise ModelError(f'tensor {self.name!r} has dtype {self.dtype!r}, not {DTYPES}')
        shape = tuple(self.shape)
        if any(not (0 < size < MOST_SIZE or size == ANY) for size in shape):
            raise ModelError(f'tensor {self.name!r} has the impossible shape {list(shape)}')
        object.__setattr__(self, 'shape', shape)


@dataclass(frozen=True)
class ModelCard:
    """What a model file is; equal to the JSON beside it, field by field.

    Attributes
    ----------
    name, task : released name and task (a row of the table above, or a new one).
    inputs, outputs : the graph's arrays.
    summary : one line for people.
    classes, palette : class names in the order of their ids, and a colour (R, G, B) 0..255 each.
    network, parameters : key of ``networks.NETWORKS``; number of trained values.
    network_pixels : largest area the graph works at inside, pixels; 0 = the input's own size.
    precision : what the weights are stored in: fp32, fp16, int8.
    licence : SPDX name of the weights' licence.
    non_commercial : whether the training data forbids commercial use.
    training : recipe, data sets with their licences, steps, commit, seed.
    results : measured figures, ``{data set: {metric: value}}``.
    calibration : what the uncertainty was calibrated with and the coverage it reached.
    sha256 : hex digest of the ONNX file; a file with another one is refused.
    schema : version of this layout.
    """

    name: str
    task: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    summary: str = ''
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    network: str = ''
    parameters: int = 0
    network_pixels: int = 0
    precision: str = 'fp32'
    licence: str = 'Apache-2.0'
    non_commercial: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ''
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for name in ('inputs', 'outputs', 'classes'):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, 'palette', tuple(tuple(colour) for colour in self.palette))
        if self.schema != SCHEMA:
            raise ModelError(
                f'model card {self.name!r} has schema {self.schema}, this version reads {SCHEMA}'
            )
        if not self.name or not self.task:
            raise ModelError('a model card needs a name and a task')
        if self.precision not in ('fp32', 'fp16', 'int8'):
            raise ModelError(
                f'model card {self.name!r}: precision {self.precision!r} is not fp32, fp16 or int8'
            )
        if self.parameters < 0 or not 0 <= self.network_pixels < MOST_SIZE:
            raise ModelError(
                f'model card {self.name!r} has {self.parameters} parameters and '
                f'{self.network_pixels} network_pixels: these cannot be'
            )
        if self.palette and len(self.palette) != len(self.classes):
            raise ModelError(
                f'model card {self.name!r} has {len(self.classes)} classes '
                f'but {len(self.palette)} colours'
            )
        if any(not 0 <= value <= 255 for colour in self.palette for value in colour):
            raise ModelError(
                f'model card {self.name!r}: a palette colour is three integers 0..255'
            )
        for kind, specs in (('input', self.inputs), ('output', self.outputs)):
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names):
                raise ModelError(f'model card {self.name!r} names an {kind} twice: {names}')

    def input(self, name: str) -> TensorSpec:
        """Input of that name; ModelError if there is none."""
        return _by_name(self, self.inputs, name, 'input')

    def numbers(self, name: str, count: int) -> tuple[float, ...] | None:
        """Numbers of the calibration; None if there are none of that name.

        Raises
        ------
        ModelError
            If they are not that many finite numbers.
        """
        value = self.calibration.get(name)
        if value is None:
            return None
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        if len(values) != count or any(
            not isinstance(entry, int | float) or isinstance(entry, bool)
            or not math.isfinite(entry) for entry in values
        ):
            raise ModelError(
                f'model card {self.name!r}: calibration {name!r} is not {count} finite numbers'
            )
        return tuple(float(entry) for entry in values)

    def output(self, name: str) -> TensorSpec:
        """Output of that name; ModelError if there is none."""
        return _by_name(self, self.outputs, name, 'output')


CARD_FILE = FileKind('model card', lambda head: b'"task"' in head and b'"inputs"' in head)


def card_path(onnx_path: str | Path) -> Path:
    """Where the card of an ONNX file is: the same name, ending in .json."""
    return Path(onnx_path).with_suffix('.json')


def file_sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_card(path: str | Path) -> ModelCard:
    """Read and check a card.

    Raises
    ------
    ModelError
        If the file is missing, is no JSON, or a field is missing, unknown or of the wrong type.
    """
    path = Path(path)
    try:
        return card_from_json(read_file(path, 'model card', MOST_CARD_BYTES))
    except PerceptionError as error:
        text = str(error)
        raise ModelError(text if str(path) in text else f'model card {path}: {text}') from None


def card_from_json(content: bytes | str) -> ModelCard:
    """Build a card from JSON; ModelError names the field that is wrong."""
    try:
        fields = decode_json(content, dict[str, Any])
        card = decode_json(content, ModelCard)
    except ModelError:
        raise
    except PerceptionError as error:
        raise ModelError(f'it is no model card: {error}') from None
    unknown = _unknown(fields, ModelCard)
    for tensor in (*fields.get('inputs', ()), *fields.get('outputs', ())):
        unknown += _unknown(tensor, TensorSpec)
    missing = sorted({'schema', 'name', 'task', 'inputs', 'outputs', 'sha256'} - set(fields))
    if missing or unknown:
        raise ModelError(f'model card fields missing: {missing}, unknown: {unknown}')
    return card


def card_to_json(card: ModelCard) -> str:
    """Lay a card out for people; what is not finite becomes null."""
    return to_json(card, indent=1) + '\n'


def write_card(card: ModelCard, path: str | Path) -> None:
    """Write a card as JSON beside its model, all or nothing; only a card is replaced."""
    write_atomically(Path(path), card_to_json(card).encode(), CARD_FILE)


def write_model(graph: bytes, card: ModelCard, path: str | Path) -> ModelCard:
    """Write a model with its card inside, then the card's copy beside it.

    Whenever the process dies, there is the old model or the new one, whole.

    Parameters
    ----------
    graph : the serialised ONNX model. path : NAME.onnx.

    Returns
    -------
    the card with the hash of the file.

    Raises
    ------
    ModelError
        If a file of that name is there and is no model with a card, or cannot be written.
    """
    path = Path(path)
    check_replaceable(card_path(path), CARD_FILE)
    if path.exists() and not card_path(path).exists() and not split_card(path.read_bytes())[1]:
        raise ModelError(f'{path} is there and has no card: it is left as it is; remove it first')
    graph, _ = split_card(graph)
    content = with_card(graph, card_to_json(dataclasses.replace(card, sha256='')))
    written = dataclasses.replace(card, sha256=hashlib.sha256(content).hexdigest())
    write_atomically(path, content)
    write_atomically(card_path(path), card_to_json(written).encode())
    return written


def check_model(onnx_path: str | Path) -> ModelCard:
    """Find the card of an ONNX file and check that the file is the one it describes.

    Raises
    ------
    ModelError
        As :meth:`load_model`, but for the graph, which is not looked at.
    """
    return _read(Path(onnx_path))[0]


def load_model(onnx_path: str | Path) -> tuple[ModelCard, bytes]:
    """Read a model file once: its checked card and its bytes.

    Raises
    ------
    ModelError
        If the file is missing or unreadable, neither it nor NAME.json holds a card of just these
        bytes, or the graph holds what must not reach a backend (see onnx_file).
    """
    card, content = _read(Path(onnx_path))
    try:
        check_graph(content)
    except PerceptionError as error:
        raise ModelError(f'model file {onnx_path}: {error}') from None
    return card, content


def _read(path: Path) -> tuple[ModelCard, bytes]:
    try:
        content = read_file(path, 'model file')
    except PerceptionError as error:
        raise ModelError(str(error)) from None
    return _card_of(path, content, hashlib.sha256(content).hexdigest()), content


def _card_of(path: Path, content: bytes, digest: str) -> ModelCard:
    _, inside = split_card(content)
    try:
        beside = read_card(card_path(path))
        if beside.sha256 == digest:
            return beside
        text = (
            f'model file {path} is not the one its card describes (sha256 {digest[:12]}..., card '
            f'{beside.sha256[:12] or "empty"}...): cut short or changed; fetch or export it again'
        )
    except PerceptionError as error:
        text = str(error)
    if inside:
        return dataclasses.replace(card_from_json(inside), sha256=digest)
    raise ModelError(text)


def _unknown(content: object, kind: type) -> list[str]:
    known = {entry.name for entry in dataclasses.fields(kind)}
    return sorted(set(content) - known) if isinstance(content, dict) else []


def _by_name(
    card: ModelCard, specs: tuple[TensorSpec, ...], name: str, kind: str
) -> TensorSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    raise ModelError(
        f'model {card.name!r} has no {kind} {name!r}, only {[spec.name for spec in specs]}'
    )
