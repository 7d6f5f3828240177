# SPDX-License-Identifier: Apache-2.0
"""What a released model is made of; the exporter knows nothing else about a task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from perception_nodes.inference.model_card import TensorSpec
from perception_nodes.types import Array

Calibration = dict[str, Any]
SideBySide = Callable[[Sequence[Array], Sequence[Array]], tuple[list[Array], ...]]


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
    evaluated_on : (data set, its folder under the data root, split or None) of the card's
        figures.
    compared_with : recipes whose last evaluations the card shows too, where they were trained.
    side_by_side : puts the outputs of two runs in one order, where the graph gives rows that may
        change places (keypoints whose scores tie).
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
    evaluated_on: tuple[tuple[str, str, str | None], ...] = ()
    compared_with: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    licence: str = 'Apache-2.0'
    non_commercial: bool = False
    opset: int = 17
    side_by_side: SideBySide | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
