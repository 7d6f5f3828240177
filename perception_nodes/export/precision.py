# SPDX-License-Identifier: Apache-2.0
"""A released fp32 model in another precision: NAME_fp16.onnx or NAME_int8.onnx with its card.

fp16 follows the rules of ``inference.half_precision``, int8 those of ``export.quantisation``.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception_nodes.evaluation.model_inputs import InputFrame, model_inputs, read_input_frames
from perception_nodes.export.quantisation import quantise
from perception_nodes.inference.model_card import ModelCard, load_model, write_model
from perception_nodes.inference.onnx_file import split_card
from perception_nodes.onnx_graph.half_precision import half_model
from perception_nodes.types import Array, PerceptionError

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
    calibration : bag or folder of images that int8 measures the ranges on.
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
    content, _ = split_card(content)
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
        lowered, layers, left_float = quantise(content, inputs)
        made['int8_calibration'] = {
            'source': Path(calibration).name, 'frames': len(inputs), 'layers': layers,
            'layers_left_float': left_float,
        }
    name = f'{card.name}_{precision}'
    path = Path(out) / f'{name}.onnx'
    write_model(lowered, dataclasses.replace(
        card, name=name, precision=precision, results={}, training={**card.training, **made},
    ), path)
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
