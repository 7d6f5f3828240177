# SPDX-License-Identifier: Apache-2.0
"""What a released model is made of; the exporter knows nothing else about a task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from perception_nodes.inference.model_card import TensorSpec

Calibration = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """One released model.

    Attributes
    ----------
    name : of the files NAME.onnx and NAME.json, and of the recipe in RECIPES.
    graph : (network in evaluation mode, calibration) -> the module to export, whose forward takes
        and returns tensors in the order of the specs.
    inputs, outputs : the graph's arrays, for the card.
    calibrate : (network, data root) -> what its uncertainty is calibrated with; goes into the
        graph and the card. None: nothing to calibrate.
    network_pixels : largest area the network works at.
    tolerance : largest difference between torch and ONNX Runtime that is let pass, in the unit
        of each output.
    judged_on : (data set, its folder under the data root, split or None): what the figures on the
        card are measured on.
    non_commercial : whether the terms of the training data forbid commercial use.
    """

    name: str
    task: str
    summary: str
    graph: Callable[[nn.Module, Mapping[str, Any]], nn.Module]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    network_pixels: int
    calibrate: Callable[[nn.Module, Path], Calibration] | None = None
    judged_on: tuple[tuple[str, str, str | None], ...] = ()
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    tolerance: float = 1e-3
    licence: str = 'Apache-2.0'
    non_commercial: bool = False
    opset: int = 17
    notes: Mapping[str, Any] = field(default_factory=dict)
