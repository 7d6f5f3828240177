# SPDX-License-Identifier: Apache-2.0
"""What an engine is made for. Two engines with one key are interchangeable, all others are not."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from perception_nodes.inference.model_card import ANY, ModelCard
from perception_nodes.inference.tensorrt.gpu import Gpu
from perception_nodes.inference.tensorrt.library import RTX_CAPABILITIES, TensorrtLibrary
from perception_nodes.types import ModelError, PerceptionError

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
AMPERE_PLUS = '8.0+'
MOST_SHOWN = 8


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on.

    Attributes
    ----------
    name : of the model, for people and file names.
    model_sha256 : of the fp32 or int8 ONNX file that it was made from.
    flavour, version : of the TensorRT that built it; '10.x' if later versions load it as well.
    compute_capability : '8.9', or '8.0+' with hardware compatibility.
    gpu_name : of the very GPU it was tuned on; empty if any of that capability runs it.
    precision : fp32, fp16 or int8.
    shapes : of every input, in the card's order.
    options : build options that change the engine.
    """

    name: str
    model_sha256: str
    flavour: str
    version: str
    compute_capability: str
    gpu_name: str
    precision: str
    shapes: Shapes
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r'[0-9]{1,3}\.[0-9]{1,3}\+?', self.compute_capability):
            raise ModelError(f'{self.compute_capability!r:.40} is no compute capability')

    @property
    def digest(self) -> str:
        """Hex sha256 over all fields."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def file_name(self) -> str:
        """Name in the cache folder: readable first, unique by its end."""
        return f'{re.sub(r"[^A-Za-z0-9_.-]", "_", self.name)}-{self.digest[:16]}.engine'

    def serves(self, wanted: 'EngineKey') -> bool:
        """Whether an engine of this key can do the work of another one, however it was built."""
        same = ('name', 'model_sha256', 'flavour', 'precision', 'shapes')
        if any(getattr(self, field) != getattr(wanted, field) for field in same):
            return False
        if self.version not in (wanted.version, _major(wanted.version)):
            return False
        if self.compute_capability == AMPERE_PLUS:
            return float(wanted.compute_capability.rstrip('+')) >= float(AMPERE_PLUS.rstrip('+'))
        return (self.compute_capability == wanted.compute_capability
                and self.gpu_name in ('', wanted.gpu_name))

    def difference(self, other: 'EngineKey') -> str:
        """Say in a few words how another engine differs from this one; '' if it does not."""
        for field, words in _WORDS.items():
            mine, its = getattr(self, field), getattr(other, field)
            if mine != its:
                return f'{words} {_short(its)}, not {_short(mine)}'
        return ''


_WORDS = {
    'name': 'model', 'model_sha256': 'another model file:', 'flavour': 'library',
    'version': 'TensorRT version', 'compute_capability': 'GPU of compute capability',
    'gpu_name': 'GPU', 'precision': 'precision', 'shapes': 'input shapes', 'options': 'options',
}


def make_key(
    card: ModelCard, library: TensorrtLibrary, gpu: Gpu | None, *, target: str = 'current',
    precision: str, shapes: Mapping[str, tuple[int, ...]], options: tuple[str, ...] = (),
) -> EngineKey:
    """Key of the engine that this model needs on a target.

    Parameters
    ----------
    target : 'current' for the GPU of this machine, or 'sm89' and the like to build ahead.
    shapes : of every input, all sizes given.

    Raises
    ------
    PerceptionError
        If the library cannot build for the target.
    """
    capability = target_capability(target, gpu)
    name = ''
    if library.flavour == 'tensorrt':
        if gpu is None or gpu.compute_capability != capability:
            raise PerceptionError(
                f'tensorrt builds on the GPU it is for; for {target} on another machine '
                'install tensorrt-rtx-cu13'
            )
        name = gpu.name
    elif capability not in RTX_CAPABILITIES:
        raise PerceptionError(
            f'tensorrt_rtx builds for compute {", ".join(RTX_CAPABILITIES)}, not {capability}'
        )
    if 'hardware_compatible' in options:
        name, capability = '', AMPERE_PLUS
    fixed = tuple((spec.name, tuple(shapes[spec.name])) for spec in card.inputs)
    version = _major(library.version) if 'version_compatible' in options else library.version
    return EngineKey(card.name, card.sha256, library.flavour, version, capability, name,
                     precision, fixed, options)


def ampere_and_later() -> tuple[str, ...]:
    """Compute capabilities of the RTX library that a hardware-compatible engine is for."""
    least = float(AMPERE_PLUS.rstrip('+'))
    return tuple(known for known in RTX_CAPABILITIES if float(known) >= least)


def target_capability(target: str, gpu: Gpu | None) -> str:
    """Compute capability of 'current' or of 'sm89'."""
    if target == 'current':
        if gpu is None:
            raise PerceptionError(
                'this machine has no NVIDIA GPU: name the one to build for, as in --gpu sm89'
            )
        return gpu.compute_capability
    match = re.fullmatch(r'sm_?(\d{1,2})(\d)', target.lower())
    if match is None:
        raise PerceptionError(f'GPU {target!r} is neither current nor of the form sm89')
    return f'{match[1]}.{match[2]}'


def shapes_for_size(
    card: ModelCard, width: int, height: int, samples: int = 1
) -> dict[str, tuple[int, ...]]:
    """Input shapes of a model for a camera.

    Parameters
    ----------
    width, height : of the images, pixels: they are the uint8 [1, any, any, 3].
    samples : size of every other open axis (rows of dropout masks).
    """
    if width < 1 or height < 1 or samples < 1:
        raise PerceptionError(f'size {width}x{height} with {samples} samples is not positive')
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in card.inputs:
        if spec.dtype == 'uint8' and len(spec.shape) == 4:
            shapes[spec.name] = (1, height, width, 3)
        else:
            shapes[spec.name] = tuple(samples if size == ANY else size for size in spec.shape)
    return shapes


def _major(version: str) -> str:
    return f'{version.split(".")[0]}.x'


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return ' '.join(
            f'{_short(item[0])}={"x".join(map(str, item[1]))}' if isinstance(item, tuple)
            else _short(item) for item in value[:MOST_SHOWN]
        ) or 'none'
    # A file says it, and it goes into a line.
    text = ''.join(c if c.isprintable() else '?' for c in str(value))
    return f'{text[:12]}...' if len(text) >= 64 else text or 'any'
