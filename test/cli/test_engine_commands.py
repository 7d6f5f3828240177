# SPDX-License-Identifier: Apache-2.0
"""build-engine and engines with the real builder on a one-layer model."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from perception_nodes.cli import build_engine, engines
from perception_nodes.inference.model_card import (
    ModelCard,
    TensorSpec,
    file_sha256,
    write_card,
)
from perception_nodes.inference.tensorrt import engine_builder
from perception_nodes.inference.tensorrt.gpu import probe_gpu
from perception_nodes.types import PerceptionError

pytest.importorskip('tensorrt_rtx', reason='pip install tensorrt-rtx-cu13')


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``grey f32 [1,1,H,W]`` of ``image u8 [1,H,W,3]``; found under the name grey."""
    folder = tmp_path / 'models'
    folder.mkdir()
    path = folder / 'grey.onnx'
    write_model(path, 1.0)
    monkeypatch.setenv('PERCEPTION_MODELS', str(folder))
    monkeypatch.setenv('PERCEPTION_ENGINES', str(tmp_path / 'engines'))
    return path


def write_model(path: Path, gain: float) -> None:
    weights = numpy_helper.from_array(np.full((1, 3, 1, 1), gain, np.float32), 'weights')
    graph = helper.make_graph(
        [helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
         helper.make_node('Transpose', ['float'], ['planes'], perm=[0, 3, 1, 2]),
         helper.make_node('Conv', ['planes', 'weights'], ['grey'])],
        'grey', [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])],
        [helper.make_tensor_value_info('grey', TensorProto.FLOAT, [1, 1, 'H', 'W'])], [weights],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    write_card(ModelCard(
        path.stem, 'grey', inputs=(TensorSpec('image', 'uint8', (1, -1, -1, 3)),),
        outputs=(TensorSpec('grey', 'float32', (1, 1, -1, -1)),), sha256=file_sha256(path),
    ), path.with_suffix('.json'))


def build(*arguments: str) -> str:
    result = CliRunner().invoke(
        build_engine.command, ['--gpu', 'sm89', '--size', '32x16', *arguments],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_memory_that_a_library_does_not_tell_is_unknown() -> None:
    facts = {'build_s': 1.0, 'peak_memory_mb': 200, 'build_gpu_mb': None}
    assert build_engine.cost_of(facts).endswith(
        'GPU while building unknown to this library, GPU of the engine unknown to this library')


def listed() -> list[dict]:
    return json.loads(CliRunner().invoke(engines.command, ['list', '--json']).output)


def test_an_engine_is_built_listed_found_again_and_pruned(model: Path, tmp_path: Path) -> None:
    text = build('grey', '--json', str(tmp_path / 'built.json'))
    assert 'compute 8.9' in text
    assert re.search(r'GPU while building \d+ MB, GPU of the engine \d+ MB', text)
    built = json.loads((tmp_path / 'built.json').read_text())['grey']
    assert built['reason'].startswith('no engine of grey')
    assert {'path', 'bytes', 'build_s', 'peak_memory_mb', 'precision'} <= set(built)
    if probe_gpu() is None:
        assert built['build_gpu_mb'] == 0
    assert 'was there already' in build('grey')
    build('grey', '--precision', 'fp32')
    entries = listed()
    assert sorted(entry['key']['precision'] for entry in entries) == ['fp16', 'fp32']
    assert entries[0]['key']['shapes'] == [['image', [1, 16, 32, 3]]]
    assert not [entry['stale'] for entry in entries if entry['stale']]

    pruned = CliRunner().invoke(engines.command, ['prune']).output
    assert pruned.startswith('0.0 MB freed')
    Path(entries[0]['path']).write_bytes(Path(entries[0]['path']).read_bytes()[:-9])
    assert 'damaged' in CliRunner().invoke(engines.command, ['prune', '--dry-run']).output
    assert len(listed()) == 2
    CliRunner().invoke(engines.command, ['prune'])
    assert [entry['path'] for entry in listed()] == [entries[1]['path']]
    write_model(model, 2.0)
    assert 'was replaced' in CliRunner().invoke(engines.command, ['prune']).output
    assert listed() == []


def test_all_takes_every_fp32_model_into_the_named_folder(model: Path, tmp_path: Path) -> None:
    # 'all' also sees the released models of the checkout; only that ours is among them counts
    wanted = build_engine.wanted_models('all', 'fp16')
    assert wanted['grey'] == model
    build('grey', '--out', str(tmp_path / 'elsewhere'))
    assert len(list((tmp_path / 'elsewhere').glob('grey-*.engine'))) == 1
    assert not (tmp_path / 'engines').exists()


@pytest.mark.parametrize(('arguments', 'told'), [
    (('grey', '--gpu', 'sm90'), 'not 9.0'),
    (('grey', '--gpu', 'orin'), 'neither current nor'),
    (('grey', '--precision', 'int8'), 'grey_int8.onnx is missing'),
    (('grey', '--library', 'tensorrt'), 'no TensorRT'),
    (('unknown',), "no model 'unknown'"),
])
def test_what_cannot_be_built_is_one_line(
    model: Path, arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    with pytest.raises(PerceptionError) as error:
        build(*arguments)
    assert told in str(error.value)
    assert '\n' not in str(error.value)
    assert not list((tmp_path / 'engines').glob('*.engine'))


@pytest.mark.parametrize(('option', 'told'), [
    ('--strip', 'is built on a machine with a GPU'),
    ('--version-compatible', 'build them with tensorrt'),
])
def test_what_needs_another_machine_or_library_is_one_line(
    model: Path, option: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_builder, 'probe_gpu', lambda index: None)
    with pytest.raises(PerceptionError, match=told):
        build('grey', '--library', 'tensorrt_rtx', option)
    assert not list((tmp_path / 'engines').glob('*.engine'))


@pytest.mark.skipif(probe_gpu() is not None, reason='this machine has a GPU')
@pytest.mark.parametrize('option', ['--strip', '--version-compatible'])
def test_such_a_command_says_one_line_and_ends_with_2(
    model: Path, option: str, tmp_path: Path
) -> None:
    result = subprocess.run(
        [sys.executable, '-m', 'perception_nodes.cli.main', 'build-engine', 'grey',
         '--gpu', 'sm89', option], capture_output=True, text=True, check=False,
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert 'GPU' in result.stderr or 'build them with tensorrt' in result.stderr
    assert not (tmp_path / 'engines').exists()


def test_one_engine_serves_every_gpu_from_ampere_on(model: Path) -> None:
    assert 'compute 8.0+' in build('grey', '--library', 'tensorrt_rtx', '--hardware-compatible',
                                   '--workspace-mb', '64', '--level', '1', '--device', '0')
    (entry,) = listed()
    assert not entry['stale']
    assert entry['key']['options'] == ['level1', 'workspace64', 'hardware_compatible']


def test_a_size_is_width_times_height(model: Path) -> None:
    result = CliRunner().invoke(build_engine.command, ['grey', '--size', '640'])
    assert result.exit_code == 2
    assert 'no size in pixels like 640x480' in result.output
