# SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from perception_nodes.inference import open_runner
from perception_nodes.inference.model_card import card_path, file_sha256
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.types import PerceptionError

FLAT = np.full((1, 10, 14, 3), (30, 60, 90), np.uint8)


@pytest.mark.parametrize('size', [(10, 14), (7, 5)])
def test_the_graph_is_run_at_any_size(blur_model: Path, size: tuple[int, int]) -> None:
    runner = OnnxRunner(blur_model)
    image = np.full((1, *size, 3), (30, 60, 90), np.uint8)
    result = runner.run({'image': image})
    assert result['mean'].shape == result['grey'].shape == (1, *size)
    assert result['mean'].dtype == np.float32
    np.testing.assert_allclose(result['mean'], 2 * 60 / 255, rtol=1e-6)
    assert (result['grey'] == 60).all()
    assert 'cpu' in runner.backend


def test_only_the_named_outputs_and_any_memory_layout(blur_model: Path) -> None:
    runner = open_runner(blur_model, backend='onnxruntime', threads=2)
    image = np.random.default_rng(0).integers(0, 256, (1, 14, 10, 3), np.uint8)
    turned = np.swapaxes(image, 1, 2)
    assert not turned.flags.c_contiguous
    result = runner.run({'image': turned}, ['grey'])
    assert list(result) == ['grey']
    np.testing.assert_array_equal(
        result['grey'], runner.run({'image': np.ascontiguousarray(turned)})['grey']
    )


@pytest.mark.parametrize(('inputs', 'told'), [
    ({}, r"missing \['image'\]"),
    ({'image': FLAT, 'extra': FLAT}, r"unknown \['extra'\]"),
    ({'image': FLAT.astype(np.float32)}, 'is uint8, not float32'),
    ({'image': FLAT[0]}, r'\[1, any, any, 3\], not \[10, 14, 3\]'),
    ({'image': FLAT[..., :2]}, r'not \[1, 10, 14, 2\]'),
    ({'image': FLAT[:, :0]}, r'not \[1, 0, 14, 3\]'),
])
def test_wrong_inputs_are_one_line(
    blur_model: Path, inputs: dict[str, np.ndarray], told: str
) -> None:
    with pytest.raises(PerceptionError, match=told) as error:
        OnnxRunner(blur_model).run(inputs)
    assert '\n' not in str(error.value)


def test_unknown_output_and_closed_runner(blur_model: Path) -> None:
    runner = OnnxRunner(blur_model)
    with pytest.raises(PerceptionError, match=r"not \['depth'\]"):
        runner.run({'image': FLAT}, ['depth'])
    runner.close()
    with pytest.raises(PerceptionError, match='was closed'):
        runner.run({'image': FLAT})


def test_a_file_that_cannot_serve_is_one_line(blur_model: Path, make_model: Callable) -> None:
    def refused(told: str) -> None:
        with pytest.raises(PerceptionError, match=told) as error:
            OnnxRunner(blur_model)
        assert '\n' not in str(error.value)

    good = blur_model.read_bytes()
    blur_model.write_bytes(good[:300])
    refused('cut short or changed')

    card = json.loads(card_path(blur_model).read_text())
    card['sha256'] = file_sha256(blur_model)
    card_path(blur_model).write_text(json.dumps(card))
    refused('no ONNX file or is damaged')

    make_model(blur_model)
    card = json.loads(card_path(blur_model).read_text())
    card['outputs'] = card['outputs'][:1]
    card_path(blur_model).write_text(json.dumps(card))
    refused('export the model again')

    card_path(blur_model).unlink()
    refused('card .* is missing')
    blur_model.unlink()
    refused('model file .* is missing')


def test_what_is_not_there_is_said(blur_model: Path) -> None:
    with pytest.raises(PerceptionError, match='threads is -1'):
        OnnxRunner(blur_model, threads=-1)
    with pytest.raises(PerceptionError, match='not one of'):
        OnnxRunner(blur_model, device='tpu')
    with pytest.raises(PerceptionError, match=r'backend .* is not one of'):
        open_runner(blur_model, backend='tpu')
    with pytest.raises(PerceptionError, match=r'precision .* is not one of'):
        open_runner(blur_model, precision='fp8')
