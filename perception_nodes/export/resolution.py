# SPDX-License-Identifier: Apache-2.0
"""A released model that works at another area: NAME_250k.onnx with its card."""

import dataclasses
from pathlib import Path

from perception_nodes.inference.model_card import load_model, write_model
from perception_nodes.inference.onnx_file import split_card
from perception_nodes.onnx_graph.working_resolution import with_network_pixels
from perception_nodes.types import PerceptionError


def export_resolution(model: str | Path, pixels: int, out: str | Path) -> Path:
    """Write a model whose images are brought to another area; its measured results go.

    Parameters
    ----------
    model : the ONNX file, its card beside it. pixels : most that it shall work at.
    out : folder for the new file.

    Raises
    ------
    PerceptionError
        If the model's area is no constant that can be changed. Nothing is written then.
    """
    card, content = load_model(model)
    content, _ = split_card(content)
    try:
        changed = with_network_pixels(content, pixels)
    except PerceptionError as error:
        raise PerceptionError(f'{model}: {error}') from None
    name = f'{card.name}_{round(pixels / 1000)}k'
    path = Path(out) / f'{name}.onnx'
    made = {**card.training, 'made_from': card.sha256}
    write_model(changed, dataclasses.replace(
        card, name=name, network_pixels=pixels, results={}, training=made,
    ), path)
    return path
