# SPDX-License-Identifier: Apache-2.0
"""The card beside every ONNX file: what the model is, what it was trained on, what it reached.

Released models are ``models/NAME.onnx`` with ``models/NAME.json``. The graph takes what the camera
gives and returns final maps of the camera's size; the arrays of each task are these (``H W`` any
size, ``T`` dropout samples, ``N`` keypoints; images are uint8 RGB, mono is repeated):

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
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perception_nodes.files import write_atomically
from perception_nodes.types import PerceptionError

SCHEMA = 1
ANY = -1
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
            raise PerceptionError('a tensor of a model card has no name')
        if self.dtype not in DTYPES:
            raise PerceptionError(f'tensor {self.name!r} has dtype {self.dtype!r}, not {DTYPES}')
        shape = tuple(ANY if size is None else int(size) for size in self.shape)
        if any(size < 1 and size != ANY for size in shape):
            raise PerceptionError(f'tensor {self.name!r} has the impossible shape {list(shape)}')
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
        object.__setattr__(self, 'inputs', tuple(self.inputs))
        object.__setattr__(self, 'outputs', tuple(self.outputs))
        object.__setattr__(self, 'classes', tuple(str(name) for name in self.classes))
        object.__setattr__(self, 'palette', tuple(_colour(entry) for entry in self.palette))
        if self.schema != SCHEMA:
            raise PerceptionError(
                f'model card {self.name!r} has schema {self.schema}, this version reads {SCHEMA}'
            )
        if not self.name or not self.task:
            raise PerceptionError('a model card needs a name and a task')
        if self.precision not in ('fp32', 'fp16', 'int8'):
            raise PerceptionError(
                f'model card {self.name!r}: precision {self.precision!r} is not fp32, fp16 or int8'
            )
        if self.palette and len(self.palette) != len(self.classes):
            raise PerceptionError(
                f'model card {self.name!r} has {len(self.classes)} classes '
                f'but {len(self.palette)} colours'
            )
        for kind, specs in (('input', self.inputs), ('output', self.outputs)):
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names):
                raise PerceptionError(f'model card {self.name!r} names an {kind} twice: {names}')

    def input(self, name: str) -> TensorSpec:
        """Input of that name; PerceptionError if there is none."""
        return _by_name(self, self.inputs, name, 'input')

    def output(self, name: str) -> TensorSpec:
        """Output of that name; PerceptionError if there is none."""
        return _by_name(self, self.outputs, name, 'output')


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
    PerceptionError
        If the file is missing, is no JSON, or a field is missing, unknown or of the wrong type.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise PerceptionError(f'model card {path}, beside the .onnx, is missing') from None
    except (OSError, ValueError) as error:
        raise PerceptionError(f'model card {path} cannot be read: {error}') from None
    try:
        return card_from_json(content)
    except PerceptionError as error:
        raise PerceptionError(f'{path}: {error}') from None


def card_from_json(content: object) -> ModelCard:
    """Build a card from parsed JSON; PerceptionError names the field that is wrong."""
    if not isinstance(content, dict):
        raise PerceptionError('a model card is a JSON object')
    known = {entry.name: entry for entry in dataclasses.fields(ModelCard)}
    unknown = sorted(set(content) - set(known))
    missing = sorted({'schema', 'name', 'task', 'inputs', 'outputs', 'sha256'} - set(content))
    if missing or unknown:
        raise PerceptionError(f'model card fields missing: {missing}, unknown: {unknown}')
    for name, value in content.items():
        if not isinstance(value, _JSON_TYPES[name]) or (
            isinstance(value, bool) != (name == 'non_commercial')
        ):
            raise PerceptionError(f'model card field {name!r} has the wrong type: {value!r:.60}')
    tensors = {name: tuple(map(_spec, content[name])) for name in ('inputs', 'outputs')}
    return ModelCard(**{**content, **tensors})


def write_card(card: ModelCard, path: str | Path) -> None:
    """Write a card as JSON, under a temporary name first, so that no reader sees half of it."""
    text = json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False) + '\n'
    write_atomically(Path(path), text.encode('utf-8'))


def check_model(onnx_path: str | Path) -> ModelCard:
    """Read the card beside an ONNX file and check that the file is the one it describes."""
    return load_model(onnx_path)[0]


def load_model(onnx_path: str | Path) -> tuple[ModelCard, bytes]:
    """Read a model file once: its checked card and its bytes.

    Raises
    ------
    PerceptionError
        If the file or its card is missing or unreadable, or the hashes differ.
    """
    path = Path(onnx_path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PerceptionError(f'model file {path} is missing') from None
    except OSError as error:
        raise PerceptionError(f'model file {path} cannot be read: {error.strerror}') from None
    card = read_card(card_path(path))
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise PerceptionError(
            f'model file {path} is not the one its card describes (sha256 {digest[:12]}..., card '
            f'{card.sha256[:12] or "empty"}...): cut short or changed; fetch or export it again'
        )
    return card, content


_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    'schema': int, 'name': str, 'task': str, 'inputs': list, 'outputs': list, 'summary': str,
    'classes': list, 'palette': list, 'network': str, 'parameters': int, 'network_pixels': int,
    'precision': str, 'licence': str, 'non_commercial': bool, 'training': dict, 'results': dict,
    'calibration': dict, 'sha256': str,
}


def _spec(content: object) -> TensorSpec:
    if not isinstance(content, dict) or not isinstance(content.get('shape'), list):
        raise PerceptionError(f'a tensor is an object with name, dtype and shape: {content!r:.80}')
    try:
        return TensorSpec(**{**content, 'shape': tuple(content['shape'])})
    except (TypeError, ValueError):
        raise PerceptionError(f'a tensor has wrong fields: {content!r:.80}') from None


def _colour(entry: object) -> tuple[int, int, int]:
    values = tuple(entry) if isinstance(entry, (list, tuple)) else ()
    if len(values) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in values):
        raise PerceptionError(f'a palette colour is three integers 0..255, not {entry!r:.40}')
    return values


def _by_name(
    card: ModelCard, specs: tuple[TensorSpec, ...], name: str, kind: str
) -> TensorSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    raise PerceptionError(
        f'model {card.name!r} has no {kind} {name!r}, only {[spec.name for spec in specs]}'
    )
