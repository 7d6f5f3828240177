# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from perception_nodes.inference.model_card import (
    ModelCard,
    TensorSpec,
    check_model,
    read_card,
    write_card,
)
from perception_nodes.types import PerceptionError


def a_card() -> ModelCard:
    return ModelCard(
        name='toy', task='segmentation', summary='two classes',
        inputs=(TensorSpec('image', 'uint8', (1, -1, -1, 3), '1', 'RGB'),),
        outputs=(TensorSpec('labels', 'uint8', (1, -1, -1), 'class id'),),
        classes=('road', 'sky'), palette=((1, 2, 3), (255, 0, 0)), network='toy_net',
        parameters=12, network_pixels=1000, non_commercial=True, sha256='0' * 64,
        training={'recipe': 'toy'}, results={'camvid_val': {'miou': 0.5}},
        calibration={'temperature': 1.25},
    )


def test_a_card_comes_back_equal(tmp_path: Path) -> None:
    write_card(a_card(), tmp_path / 'toy.json')
    assert read_card(tmp_path / 'toy.json') == a_card()
    assert [path.name for path in tmp_path.iterdir()] == ['toy.json']


@pytest.mark.parametrize(('change', 'told'), [
    ({'schema': 99}, 'schema 99'),
    ({'name': ''}, 'needs a name'),
    ({'task': 5}, "'task' has the wrong type"),
    ({'parameters': True}, "'parameters' has the wrong type"),
    ({'non_commercial': 1}, "'non_commercial' has the wrong type"),
    ({'surprise': 1}, "unknown: ['surprise']"),
    ({'inputs': [{'name': 'x', 'dtype': 'float64', 'shape': [1]}]}, "dtype 'float64'"),
    ({'inputs': [{'name': 'x', 'dtype': 'uint8', 'shape': [0]}]}, 'impossible shape [0]'),
    ({'inputs': [{'name': 'x', 'shape': [1]}]}, 'wrong fields'),
    ({'inputs': ['x']}, 'a tensor is an object'),
    ({'palette': [[1, 2, 3]]}, '2 classes but 1 colours'),
    ({'palette': [[1, 2, 3], [1, 2, 300]]}, 'three integers'),
    ({'precision': 'fp8'}, "precision 'fp8'"),
])
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = tmp_path / 'toy.json'
    write_card(a_card(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(PerceptionError) as error:
        read_card(path)
    assert told in str(error.value)
    assert '\n' not in str(error.value)


def test_missing_field_missing_file_and_no_json(tmp_path: Path) -> None:
    path = tmp_path / 'toy.json'
    write_card(a_card(), path)
    content = json.loads(path.read_text())
    del content['sha256']
    path.write_text(json.dumps(content))
    with pytest.raises(PerceptionError, match=r"missing: \['sha256'\]"):
        read_card(path)
    path.write_text('{"name": ')
    with pytest.raises(PerceptionError, match='cannot be read'):
        read_card(path)
    with pytest.raises(PerceptionError, match='is missing'):
        read_card(tmp_path / 'other.json')


def test_a_changed_file_is_refused(blur_model: Path) -> None:
    assert check_model(blur_model).name == 'blur'
    content = blur_model.read_bytes()
    blur_model.write_bytes(content[: len(content) // 2])
    with pytest.raises(PerceptionError, match='cut short or changed'):
        check_model(blur_model)


def test_writing_where_no_folder_can_be_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(PerceptionError, match='cannot write'):
        write_card(a_card(), tmp_path / 'file' / 'toy.json')
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_tensors_are_found_by_name() -> None:
    assert a_card().input('image').shape == (1, -1, -1, 3)
    assert a_card().output('labels').dtype == 'uint8'
    with pytest.raises(PerceptionError, match="no output 'depth_m'"):
        a_card().output('depth_m')
