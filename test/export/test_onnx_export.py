# SPDX-License-Identifier: Apache-2.0
"""A model is written only if ONNX Runtime says what torch says, and then with its card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.export.network_input import network_size, to_network
from perception_nodes.export.onnx_export import (
    SHIFT_PX,
    difference_of,
    examples,
    export_release,
)
from perception_nodes.export.release import Release
from perception_nodes.inference import open_runner
from perception_nodes.inference.model_card import ANY, TensorSpec, check_model
from perception_nodes.networks import NETWORKS
from perception_nodes.training.checkpoint import FILE_NAME, TrainingState, save_checkpoint
from perception_nodes.training.recipe import Recipe
from perception_nodes.types import PerceptionError


class BrightnessGraph(nn.Module):
    """Brightness after a learned mix of the colours, at a size computed in the graph."""

    def __init__(self, network: nn.Module, lie: float = 0.0) -> None:
        super().__init__()
        self.network, self.lie = network, lie

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Float [1, h, w] and class ids [1, h, w]."""
        mixed = self.network(to_network(image, network_size(image, 64 * 96)))[:, 0]
        if torch.jit.is_tracing():
            mixed = mixed + self.lie
        return mixed, (mixed > 0).to(torch.uint8)


RECIPE = Recipe('brightness', 'mix', lambda root, seed: None, data='noise', data_licence='none')
RELEASE = Release(
    name='brightness', task='segmentation', summary='how bright it is',
    graph=lambda network, calibration: BrightnessGraph(network), network_pixels=64 * 96,
    calibrate=lambda network, root: {'offset': 0.5},
    inputs=(TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'image'),),
    outputs=(TensorSpec('brightness', 'float32', (1, ANY, ANY), '1', 'mixed'),
             TensorSpec('bright', 'uint8', (1, ANY, ANY), 'class id', 'positive')),
)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of ``mix``, a network of one 1x1 convolution."""
    torch.manual_seed(0)
    monkeypatch.setitem(NETWORKS, 'mix', lambda: nn.Conv2d(3, 1, 1))
    network = NETWORKS['mix']()
    save_checkpoint(
        tmp_path / FILE_NAME, TrainingState('brightness', 'mix', 9, 61.0), network, network,
        torch.optim.AdamW(network.parameters()),
    )
    return tmp_path / FILE_NAME


def test_model_and_card(checkpoint: Path, tmp_path: Path) -> None:
    card = export_release(RELEASE, RECIPE, checkpoint, tmp_path, tmp_path / 'models')
    assert check_model(tmp_path / 'models' / 'brightness.onnx') == card
    assert card.parameters == 4 and card.network == 'mix' and card.calibration == {'offset': 0.5}
    assert card.training['steps'] == 9 and card.training['minutes'] == 1.0
    assert card.training['parity_with_torch'] < 1e-4
    model = onnx.load(tmp_path / 'models' / 'brightness.onnx')
    onnx.checker.check_model(model, full_check=True)
    assert sorted(file.name for file in (tmp_path / 'models').iterdir()) == [
        'brightness.json', 'brightness.onnx'
    ]
    runner = open_runner(tmp_path / 'models' / 'brightness.onnx', backend='onnxruntime')
    for height, width in ((64, 96), (200, 300), (33, 40)):
        out = runner.run({'image': np.zeros((1, height, width, 3), np.uint8)})
        assert np.array_equal(out['brightness'] > 0, out['bright'] > 0)


def test_what_it_reaches_is_measured_on_the_file_and_goes_into_the_card(
    checkpoint: Path, tmp_path: Path
) -> None:
    measured: list[Path] = []

    def measure(model: Path) -> dict[str, dict[str, float]]:
        check_model(model)
        assert not (tmp_path / 'models').exists(), 'nothing is written before it is known'
        measured.append(model)
        return {'camvid val': {'miou': 0.5}}

    card = export_release(RELEASE, RECIPE, checkpoint, tmp_path, tmp_path / 'models', measure)
    assert card.results == {'camvid val': {'miou': 0.5}}
    assert check_model(tmp_path / 'models' / 'brightness.onnx') == card
    (tmp_path / 'models' / 'brightness.json').unlink()
    assert check_model(tmp_path / 'models' / 'brightness.onnx') == card, 'the file holds it, too'
    assert not measured[0].parent.exists()


def test_a_graph_that_onnx_does_not_repeat_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    lying = replace(RELEASE, graph=lambda network, calibration: BrightnessGraph(network, 2e-3))
    with pytest.raises(PerceptionError, match=r'differs from torch by 2\.0.e-03'):
        export_release(lying, RECIPE, checkpoint, tmp_path, tmp_path / 'models')
    assert not (tmp_path / 'models').exists()


def test_weights_of_another_network_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match='holds weights of mix, not of unet'):
        export_release(
            RELEASE, replace(RECIPE, network='unet'), checkpoint, tmp_path, tmp_path / 'models'
        )
    assert not (tmp_path / 'models').exists()


def test_a_missing_checkpoint_is_named(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(PerceptionError, match='no checkpoint'):
        export_release(RELEASE, RECIPE, tmp_path / 'none', tmp_path, tmp_path / 'models')


def test_differences() -> None:
    one, nan = np.array([1.0, np.nan]), np.array([1.0, 2.0])
    assert difference_of(one, one) == 0
    assert difference_of(one, nan) == np.inf
    assert difference_of(nan, nan + 0.25) == 0.2, 'a quarter of 1.25'
    ids = np.array([1, 2, 3, 4], np.uint8)
    assert difference_of(ids, np.array([1, 2, 3, 9], np.uint8)) == 0.25
    assert difference_of(one, one[:1]) == np.inf
    # Below one the difference itself counts, above it its share: 0.2 px of 200 px is 1e-3.
    assert difference_of(np.array([0.1, 200.2]), np.array([0.1, 200.0])) == pytest.approx(1e-3)
    assert difference_of(np.array([0.5]), np.array([0.25])) == 0.25


def test_of_two_images_the_second_shows_the_first_moved() -> None:
    pair = replace(RELEASE, inputs=tuple(replace(RELEASE.inputs[0], name=n) for n in 'ab'))
    for size, inputs in zip(((64, 96), (33, 40)), examples(pair, ((64, 96), (33, 40))),
                            strict=True):
        one, two = (inputs[name][0].astype(int) for name in 'ab')
        assert one.shape == two.shape == (*size, 3)
        moved = np.abs(one[:, SHIFT_PX:] - two[:, :-SHIFT_PX]).mean()
        assert 0 < moved < 0.2 * np.abs(one - two).mean()


@pytest.mark.parametrize(
    ('height', 'width', 'pixels', 'expected'),
    [
        (360, 480, 480 * 384, (352, 480)),
        (384, 480, 480 * 384, (384, 480)),
        (370, 1226, 480 * 384, (224, 768)),
        (1200, 1920, 480 * 384, (320, 512)),
        (20, 50, 480 * 384, (32, 32)),
        (100, 130, 0, (96, 128)),
    ],
)
def test_the_size_a_network_works_at(
    height: int, width: int, pixels: int, expected: tuple[int, int]
) -> None:
    size = network_size(torch.zeros(1, height, width, 3, dtype=torch.uint8), pixels)
    assert tuple(size.tolist()) == expected


def test_images_are_normalised_as_in_training() -> None:
    from perception_nodes.training.segmentation_batches import normalise

    image = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), np.uint8)
    ours = to_network(torch.from_numpy(image), torch.tensor([32, 64]))
    torch.testing.assert_close(ours, normalise(image))


def test_weights_are_inside_the_file(checkpoint: Path, tmp_path: Path) -> None:
    export_release(RELEASE, RECIPE, checkpoint, tmp_path, tmp_path)
    alone = (tmp_path / 'brightness.onnx').read_bytes()
    session = onnxruntime.InferenceSession(alone, providers=['CPUExecutionProvider'])
    assert [value.shape for value in session.get_inputs()] == [[1, 'height', 'width', 3]]
