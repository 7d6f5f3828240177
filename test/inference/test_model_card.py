# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from perception_nodes.files import atomic as files
from perception_nodes.inference import model_card
from perception_nodes.inference.model_card import (
    ModelCard,
    TensorSpec,
    card_path,
    check_model,
    file_sha256,
    load_model,
    read_card,
    write_card,
    write_model,
)
from perception_nodes.inference.onnx_file import split_card
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.types import ModelError, PerceptionError


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
    ({'task': 5}, '$.task'),
    ({'parameters': True}, '$.parameters'),
    ({'non_commercial': 1}, '$.non_commercial'),
    ({'surprise': 1}, "unknown: ['surprise']"),
    ({'inputs': [{'name': 'x', 'dtype': 'float64', 'shape': [1]}]}, "dtype 'float64'"),
    ({'inputs': [{'name': 'x', 'dtype': 'uint8', 'shape': [0]}]}, 'impossible shape [0]'),
    ({'inputs': [{'name': 'x', 'shape': [1]}]}, 'missing required field `dtype`'),
    ({'inputs': ['x']}, '$.inputs[0]'),
    ({'inputs': [{'name': [1], 'dtype': 'uint8', 'shape': [1]}]}, '$.inputs[0].name'),
    ({'inputs': [{'name': 'x', 'dtype': 'uint8', 'shape': [1], 'odd': 1}]}, "unknown: ['odd']"),
    ({'inputs': [{'name': 'x', 'dtype': 'uint8', 'shape': [float('inf')]}]}, 'malformed'),
    ({'palette': [[1, 2, 3]]}, '2 classes but 1 colours'),
    ({'palette': [[1, 2, 3], [1, 2, 300]]}, 'three integers'),
    ({'parameters': -5}, 'these cannot be'),
    ({'network_pixels': -5}, 'these cannot be'),
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
    for text in ('{"name": ', '[' * 200_000, '', 'NaN', 'null'):
        path.write_text(text)
        with pytest.raises(ModelError, match='no model card'):
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


def exported(blur_model: Path, folder: Path, **changes: object) -> Path:
    """Write the blur model as an export does."""
    card, graph = load_model(blur_model)
    path = folder / 'made.onnx'
    write_model(graph, dataclasses.replace(card, name='made', **changes), path)
    return path


def test_an_exported_model_carries_its_card(blur_model: Path, tmp_path: Path) -> None:
    path = exported(blur_model, tmp_path / 'out')
    card = check_model(path)
    assert (card.name, card.sha256) == ('made', file_sha256(path))
    assert read_card(card_path(path)) == card
    card_path(path).unlink()
    assert check_model(path) == card, 'the .onnx alone is a whole model'
    image = {'image': np.full((1, 4, 6, 3), 90, np.uint8)}
    np.testing.assert_array_equal(
        OnnxRunner(path).run(image)['mean'], OnnxRunner(blur_model).run(image)['mean']
    )


@pytest.mark.parametrize('name', ['made.onnx', 'made.json'])
def test_killed_before_or_after_the_model_there_is_one_whole_model(
    blur_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = exported(blur_model, tmp_path / 'out', summary='old')

    def die_at(target: Path, content: bytes, kind: object = None) -> None:
        if target.name == name:
            raise KeyboardInterrupt
        files.write_atomically(target, content)

    monkeypatch.setattr(model_card, 'write_atomically', die_at)
    with pytest.raises(KeyboardInterrupt):
        exported(blur_model, tmp_path / 'out', summary='new')
    assert check_model(path).summary == ('old' if name == 'made.onnx' else 'new')
    monkeypatch.undo()
    exported(blur_model, tmp_path / 'out', summary='newer')
    assert check_model(path) == read_card(card_path(path))


def test_figures_may_be_added_to_the_copy_but_not_to_another_files(
    blur_model: Path, tmp_path: Path
) -> None:
    path = exported(blur_model, tmp_path / 'out')
    card = check_model(path)
    write_card(dataclasses.replace(card, results={'bag': {'d1': 0.1}}), card_path(path))
    assert check_model(path).results == {'bag': {'d1': 0.1}}
    write_card(dataclasses.replace(card, results={'bag': {}}, sha256='0' * 64), card_path(path))
    assert check_model(path) == card, 'a card of another file counts for nothing'


def test_a_model_exported_again_holds_one_card(blur_model: Path, tmp_path: Path) -> None:
    path = exported(blur_model, tmp_path / 'out')
    _, content = load_model(path)
    write_model(content, dataclasses.replace(check_model(path), summary='again'), path)
    graph, _ = split_card(path.read_bytes())
    assert graph == blur_model.read_bytes()
    assert check_model(path).summary == 'again'


def test_what_is_no_model_with_a_card_is_not_replaced(blur_model: Path, tmp_path: Path) -> None:
    card, graph = load_model(blur_model)
    (tmp_path / 'other.onnx').write_bytes(b'precious')
    with pytest.raises(PerceptionError, match='left as it is'):
        write_model(graph, card, tmp_path / 'other.onnx')
    (tmp_path / 'more.json').write_text('{"precious": 1}')
    with pytest.raises(PerceptionError, match='left as it is'):
        write_model(graph, card, tmp_path / 'more.onnx')
    assert (tmp_path / 'other.onnx').read_bytes() == b'precious'
    assert not (tmp_path / 'more.onnx').exists()


def test_numbers_of_the_calibration_are_numbers() -> None:
    def card(value: object) -> ModelCard:
        return dataclasses.replace(a_card(), calibration={'p': value})

    assert card([1, 2.5]).numbers('p', 2) == (1.0, 2.5)
    assert card(0.5).numbers('p', 1) == (0.5,)
    assert card(0.5).numbers('q', 1) is None
    for wrong in ('x', True, [1], [1, 'x'], [1, float('nan')], {}):
        with pytest.raises(ModelError, match="calibration 'p' is not 2 finite numbers"):
            card(wrong).numbers('p', 2)
