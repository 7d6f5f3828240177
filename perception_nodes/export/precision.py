# SPDX-License-Identifier: Apache-2.0
"""A released fp32 model in another precision: NAME_fp16.onnx or NAME_int8.onnx with its card.

fp16 follows the rules of ``inference.half_precision``. int8 quantises the same convolutions (not
the heads, not what computes a soft-argmax, a variance or a grid) with ONNX Runtime's static
quantiser in the form that TensorRT reads: QuantizeLinear and DequantizeLinear in the graph, signed
and symmetric, weights a scale per channel, biases left in float.
"""

import dataclasses
import hashlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime import quantization

from perception_nodes.bags.model_inputs import InputFrame, model_inputs, read_input_frames
from perception_nodes.inference.atomic_file import write_atomically
from perception_nodes.inference.half_precision import half_model, half_nodes
from perception_nodes.inference.model_card import ModelCard, load_model, write_card
from perception_nodes.inference.weight_storage import restore_full
from perception_nodes.types import Array, PerceptionError

QUANTISED = ('Conv', 'ConvTranspose', 'Gemm')
CALIBRATION_FRAMES = 24
LARGEST_WIDTH = 640


def export_precision(
    model: str | Path, precision: str, out: str | Path, calibration: str | Path | None = None,
    frames: int = CALIBRATION_FRAMES,
) -> Path:
    """Write a model in another precision, its card beside it.

    Parameters
    ----------
    model : the fp32 ONNX file, its card beside it.
    precision : 'fp16' or 'int8'.
    out : folder for NAME_fp16.onnx or NAME_int8.onnx.
    calibration : bag or folder of pictures that int8 measures the ranges on.
    frames : how many of them, spread evenly.

    Returns
    -------
    path of the new ONNX file.

    Raises
    ------
    PerceptionError
        If the model is not fp32, or int8 has no frames to measure on. Nothing is written then.
    """
    card, content = load_model(model)
    if precision not in ('fp16', 'int8'):
        raise PerceptionError(f'precision {precision!r} is neither fp16 nor int8')
    if card.precision != 'fp32':
        raise PerceptionError(f'{model} is {card.precision} already: give the fp32 model')
    made: dict[str, Any] = {'made_from': card.sha256}
    if precision == 'fp16':
        lowered = half_model(content)
    else:
        if calibration is None:
            raise PerceptionError('int8 needs --calibration BAG|FOLDER: frames of your own camera')
        inputs = calibration_inputs(card, calibration, frames)
        lowered = quantise(content, inputs)
        made['int8_calibration'] = {'source': Path(calibration).name, 'frames': len(inputs)}
    name = f'{card.name}_{precision}'
    path = Path(out) / f'{name}.onnx'
    new_card = dataclasses.replace(
        card, name=name, precision=precision, sha256=hashlib.sha256(lowered).hexdigest(),
        results={}, training={**card.training, **made},
    )
    write_atomically(path, lowered)
    write_card(new_card, path.with_suffix('.json'))
    return path


def calibration_inputs(
    card: ModelCard, source: str | Path, count: int
) -> list[Mapping[str, Array]]:
    """Up to `count` input sets spread evenly over a bag or folder; images at most 640 wide.

    A model of two moments gets neighbouring frames.
    """
    frames: list[InputFrame] = []
    for frame in read_input_frames(source):
        height, width = frame.left.shape[:2]
        scale = min(1.0, LARGEST_WIDTH / width)
        frames.append(frame.resized(round(width * scale), round(height * scale))
                      if scale < 1 else frame)
    inputs = list(model_inputs(card, frames))
    if not inputs:
        raise PerceptionError(f'{source} holds no frames that model {card.name!r} can use')
    step = max(1, len(inputs) // count)
    return list(inputs[::step][:count])


def quantise(model: bytes, inputs: Iterable[Mapping[str, Array]]) -> bytes:
    """Quantise the convolutions of a serialised fp32 model that may be lowered."""
    proto = onnx.load_model_from_string(model)
    restore_full(proto)
    proto = onnx.shape_inference.infer_shapes(proto)
    _name_nodes(proto)
    chosen = set(half_nodes(proto))
    nodes = [node.name for node in proto.graph.node
             if node.op_type in QUANTISED and node.output[0] in chosen]
    if not nodes:
        raise PerceptionError('the model has no convolution that may be quantised')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'int8.onnx'
        level = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it warns of what it need not: shapes are inferred
        try:
            quantization.quantize_static(
                proto, path, _Reader(inputs),
                quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_quantize=nodes, op_types_to_quantize=list(QUANTISED),
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={'ActivationSymmetric': True, 'WeightSymmetric': True,
                               'QuantizeBias': False},
            )
        finally:
            logging.root.setLevel(level)
        return path.read_bytes()


class _Reader(quantization.CalibrationDataReader):
    """Hands the quantiser one set of inputs after the other."""

    def __init__(self, inputs: Iterable[Mapping[str, Array]]) -> None:
        self._inputs: Iterator[Mapping[str, Array]] = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        """Give the next set, None at the end."""
        following = next(self._inputs, None)
        return None if following is None else dict(following)


def _name_nodes(proto: onnx.ModelProto) -> None:
    """Give every node a name of its own: the quantiser chooses nodes by name."""
    seen: set[str] = set()
    for index, node in enumerate(proto.graph.node):
        if not node.name or node.name in seen:
            node.name = f'{node.op_type}_{index}'
        seen.add(node.name)
