# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to NAME.onnx and NAME.json, refused unless ONNX Runtime agrees with torch."""

import io
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from perception_nodes.export.release import Release
from perception_nodes.files.atomic import temporary_folder
from perception_nodes.inference.model_card import ANY, ModelCard, TensorSpec, write_model
from perception_nodes.networks import NETWORKS
from perception_nodes.onnx_graph.weight_storage import store_half
from perception_nodes.training.checkpoint import load_weights
from perception_nodes.training.recipe import Recipe
from perception_nodes.types import Array, PerceptionError

CHECKED_SIZES_HW = ((360, 480), (375, 1242), (224, 288))
MOST_DIFFERENCE = 1e-3
SHIFT_PX = 8

Measure = Callable[[Path], Mapping[str, Mapping[str, float]]]


def export_release(
    release: Release, recipe: Recipe, checkpoint: Path, data_root: Path, out: Path,
    measure: Measure = lambda model: {},
) -> ModelCard:
    """Calibrate, export, compare with torch, measure, write model (big weights as fp16) and card.

    Parameters
    ----------
    measure : gives what the exported file reaches, for the card: (path of the model, its card
        beside it) -> {data set: {metric: value}}.

    Raises
    ------
    PerceptionError
        If the checkpoint is missing or of another network, the data to calibrate on is missing,
        or the ONNX file does not repeat torch within 1e-3 (see ``difference_of``). Nothing is
        written then.
    """
    network = NETWORKS[recipe.network]()
    state = load_weights(checkpoint, network, recipe.network)
    network.eval()
    with torch.inference_mode():
        calibration = release.calibrate(network, data_root) if release.calibrate else {}
    graph = release.graph(network, calibration).eval()
    content = to_onnx(release, graph)
    difference = largest_difference(release, graph, content)
    if not difference <= MOST_DIFFERENCE:
        raise PerceptionError(
            f'{release.name}: ONNX Runtime differs from torch by {difference:.2e}, more than '
            f'{MOST_DIFFERENCE:.0e}; nothing was written'
        )
    content = store_half(content)
    card = ModelCard(
        name=release.name, task=release.task, summary=release.summary, inputs=release.inputs,
        outputs=release.outputs, classes=release.classes, palette=release.palette,
        network=recipe.network, parameters=sum(p.numel() for p in network.parameters()),
        network_pixels=release.network_pixels, licence=release.licence,
        non_commercial=release.non_commercial, calibration=calibration,
        training={
            'recipe': recipe.name, 'data': recipe.data, 'data_licence': recipe.data_licence,
            'steps': state.step, 'minutes': round(state.seconds / 60, 1), 'seed': recipe.seed,
            'commit': source_commit(), 'parity_with_torch': float(f'{difference:.1e}'),
            **release.notes,
        },
    )
    with temporary_folder('perception-export') as folder:
        model = folder / f'{release.name}.onnx'
        write_model(content, card, model)
        results = measure(model)
    return write_model(content, replace(card, results=results), out / f'{release.name}.onnx')


def source_commit() -> str:
    """Commit of the checkout that this file is in; empty if it is in none."""
    command = ['git', '-C', str(Path(__file__).parent), 'rev-parse', '--short=12', 'HEAD']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def to_onnx(release: Release, graph: nn.Module) -> bytes:
    """Trace the graph with every -1 of the specs left open; weights inside the file."""
    example = next(examples(release, CHECKED_SIZES_HW[:1]))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph, tuple(torch.from_numpy(array) for array in example.values()), buffer,
            input_names=[spec.name for spec in release.inputs],
            output_names=[spec.name for spec in release.outputs],
            dynamic_axes=open_axes(release), opset_version=release.opset, dynamo=False,
        )
    return buffer.getvalue()


def open_axes(release: Release) -> dict[str, dict[int, str]]:
    """Name the open axes: the inputs' images share height and width."""
    axes: dict[str, dict[int, str]] = {}
    for spec in release.inputs:
        pair = ('height', 'width') if is_image(spec) else ()
        opened = [axis for axis, size in enumerate(spec.shape) if size == ANY]
        axes[spec.name] = {
            axis: pair[i] if pair else f'{spec.name}_{axis}' for i, axis in enumerate(opened)
        }
    for spec in release.outputs:
        axes[spec.name] = {
            axis: f'{spec.name}_{axis}' for axis, size in enumerate(spec.shape) if size == ANY
        }
    return axes


def is_image(spec: TensorSpec) -> bool:
    """Whether an input is uint8 [1, H, W, 3]."""
    return spec.dtype == 'uint8' and len(spec.shape) == 4


def examples(
    release: Release, sizes_hw: tuple[tuple[int, int], ...]
) -> Iterator[dict[str, Array]]:
    """Made-up inputs of several sizes: images of smooth noise, lengths near their width, else 1.

    A second image shows the first, moved and with noise of its own: where nothing matches, a
    matcher chooses by the last digit, and says nothing about the export.
    """
    rng = np.random.default_rng(0)
    images = sum(is_image(spec) for spec in release.inputs)
    for height, width in sizes_hw:
        wide = smooth_noise(rng, height, width + SHIFT_PX * images)
        inputs: dict[str, Array] = {}
        left = 0
        for spec in release.inputs:
            if is_image(spec):
                shown = wide[:, left : left + width] + rng.normal(0, 2, (height, width, 3))
                inputs[spec.name] = np.rint(shown).clip(0, 255).astype(np.uint8)[None]
                left += SHIFT_PX
            else:
                shape = [3 if size == ANY else size for size in spec.shape]
                usual = width if spec.unit == 'px' else 1
                inputs[spec.name] = (usual * rng.uniform(0.8, 1.2, shape)).astype(spec.dtype)
        yield inputs


def smooth_noise(rng: np.random.Generator, height: int, width: int) -> Array:
    """Uint8 [H, W, 3] with structure at several scales."""
    image = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64):
        coarse = rng.normal(0, 60, (cells, 2 * cells, 3)).astype(np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image / 2 + 110, 0, 255).astype(np.uint8)


def largest_difference(release: Release, graph: nn.Module, content: bytes) -> float:
    """Largest difference of any output between torch and ONNX Runtime, several sizes.

    Integer outputs (labels, indices) flip where two values tie: of them the share that differs
    counts.
    """
    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    largest = 0.0
    for inputs in examples(release, CHECKED_SIZES_HW):
        with torch.inference_mode():
            expected = graph(*(torch.from_numpy(array) for array in inputs.values()))
        expected = (expected,) if isinstance(expected, Tensor) else expected
        wanted = [tensor.numpy() for tensor in expected]
        given = session.run(None, dict(inputs))
        if release.side_by_side is not None:
            given, wanted = release.side_by_side(given, wanted)
        for mine, theirs in zip(given, wanted, strict=True):
            largest = max(largest, difference_of(mine, theirs))
    return largest


def difference_of(mine: Array, theirs: Array) -> float:
    """Largest ``|a - b| / max(1, |b|)``, or share of differing integers; inf if one is NaN.

    Rounding grows with the value: a disparity of 200 px or a depth of 80 m has no fourth decimal
    place in float32, while below one the unit itself is the measure.
    """
    if mine.shape != theirs.shape:
        return float('inf')
    if mine.dtype.kind in 'ui':
        return float(np.mean(mine != theirs)) if mine.size else 0.0
    wanted = theirs.astype(np.float64)
    gap = np.abs(mine.astype(np.float64) - wanted) / np.maximum(1, np.abs(wanted))
    gap = np.where(np.isnan(mine) & np.isnan(theirs), 0.0, gap)
    return float('inf') if np.isnan(gap).any() else float(gap.max(initial=0.0))
