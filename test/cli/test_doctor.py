# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from perception_nodes.cli import doctor, doctor_checks, models
from perception_nodes.cli.doctor_checks import (
    bindings_check,
    middleware_checks,
    profile_check,
    shipped,
)
from perception_nodes.inference.model_card import ModelCard, read_card, write_card
from perception_nodes.inference.tensorrt.gpu import Gpu
from perception_nodes.ros.image_delivery import MALLOC
from perception_nodes.types import PerceptionError

PROFILE = '<profiles xmlns="x"><transport><segment_size>{}</segment_size></transport></profiles>'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one whole model, and no other model to be found before it."""
    content = b'not a graph, but with the right hash'
    (tmp_path / 'toy.onnx').write_bytes(content)
    card = ModelCard('toy', 'segmentation', summary='says nothing', classes=('a', 'b'),
                     sha256=hashlib.sha256(content).hexdigest())
    write_card(card, tmp_path / 'toy.json')
    monkeypatch.setenv('PERCEPTION_MODELS', str(tmp_path))
    return tmp_path


def findings(status: int) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(doctor.command, ['--json'])
    assert result.exit_code == status, result.output
    content = json.loads(result.output)
    assert content['healthy'] == (status == 0)
    return {check['name']: check for check in content['checks']}


def test_a_whole_model_is_well_and_a_cut_one_is_status_1(folder: Path) -> None:
    found = findings(0)
    assert found['toy']['status'] == 'ok'
    assert found['onnxruntime']['status'] == 'ok'
    assert 'CPUExecutionProvider' in found['onnxruntime']['found']
    (folder / 'toy.onnx').write_bytes(b'not a gra')
    found = findings(1)
    assert found['toy']['status'] == 'broken'
    assert 'cut short or changed' in found['toy']['advice']
    text = CliRunner().invoke(doctor.command).output
    assert 'BROKEN  toy' in text


def test_what_is_missing_says_what_it_costs(folder: Path) -> None:
    for check in findings(0).values():
        assert (check['status'] == 'ok') == (check['advice'] == ''), check


def test_the_profile_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'profile.xml'
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    assert profile_check().found == 'not set'
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(shipped('fastdds.xml')))
    assert profile_check().status == 'ok', 'the profile that is shipped'
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(path))
    assert 'unreadable' in profile_check().found
    path.write_text(PROFILE.format(524288))
    assert 'no segment_size' in profile_check().found
    path.write_text(PROFILE.format(67108864))
    assert profile_check().status == 'ok'
    assert '64 MB' in profile_check().found


def test_cuda_bindings_newer_than_the_driver_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('cuda.bindings')
    monkeypatch.setattr(doctor_checks, '_version', lambda package: '13.0.2')
    old, new = (Gpu(0, 'Orin', '8.7', 1 << 33, cuda) for cuda in ('12.6', '13.0'))
    assert bindings_check(old).advice == "engines cannot run: pip install 'cuda-python<13'"
    assert bindings_check(new).status == bindings_check(None).status == 'ok'


def test_malloc_settings_and_other_middleware(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MALLOC:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_cyclonedds_cpp')
    checks = {check.name: check for check in middleware_checks()}
    assert set(checks) == {'rmw', 'malloc'}
    assert checks['malloc'].status == 'missing'
    settings = Path(checks['malloc'].advice.split()[-3].rstrip(';')).read_text().split()
    for name, value in MALLOC.items():
        assert f'{name}={value}' in settings
        monkeypatch.setenv(name, str(value))
    assert {check.name: check.status for check in middleware_checks()}['malloc'] == 'ok'


def test_models_lists_and_shows(folder: Path) -> None:
    listed = CliRunner().invoke(models.command, catch_exceptions=False)
    assert 'toy' in listed.output
    assert 'says nothing' in listed.output
    assert 'OpenCV, no model file' in listed.output
    sgbm = CliRunner().invoke(models.command, ['sgbm'], catch_exceptions=False)
    assert 'none: OpenCV' in sgbm.output and 'toy' not in sgbm.output
    shown = CliRunner().invoke(models.command, ['toy'], catch_exceptions=False)
    assert 'classes      a, b' in shown.output
    content = json.loads(CliRunner().invoke(models.command, ['toy', '--json']).output)
    assert content['toy']['path'] == str(folder / 'toy.onnx')
    (folder / 'toy.onnx').write_bytes(b'')
    with pytest.raises(PerceptionError, match='cut short'):
        CliRunner().invoke(models.command, ['toy'], catch_exceptions=False)
    with pytest.raises(PerceptionError, match="no model 'none'"):
        CliRunner().invoke(models.command, ['none'], catch_exceptions=False)


def test_a_card_is_shown_in_lines_that_people_can_read(folder: Path) -> None:
    results = {f'metric_{number}': number + 1 / 3 for number in range(20)}
    card = replace(read_card(folder / 'toy.json'), results={'val': results})
    write_card(card, folder / 'toy.json')
    shown = CliRunner().invoke(models.command, ['toy'], catch_exceptions=False).output
    lines = shown[shown.index('results'):].splitlines()
    assert lines[0].startswith('results      val: metric_0 0.3333, metric_1 1.333, ')
    assert len(lines) > 3 and max(map(len, lines)) <= 99
    assert all(f'{name} {value:.4g}' in shown for name, value in results.items())


def test_a_ros_that_does_not_import_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a distribution whose Python is another one."""
    (tmp_path / 'rclpy').mkdir()
    (tmp_path / 'rclpy' / '__init__.py').write_text("raise ImportError('librcl.so: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split('.')[0] == 'rclpy']:
        monkeypatch.delitem(sys.modules, name)
    check, = doctor_checks.ros_checks()
    assert check.status == 'missing' and 'librcl.so: no such file' in check.found


def test_only_what_would_be_used_is_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('rclpy')
    names = [check.name for check in doctor_checks.ros_checks()]
    assert names == [
        'rclpy', 'messages', 'tf2_ros', 'vision_msgs', 'message_filters', 'cv_bridge',
    ]
    monkeypatch.setattr(doctor_checks, 'MESSAGES', ('std_msgs', 'no_such_msgs'))
    messages = list(doctor_checks.ros_checks())[1]
    assert messages.status == 'missing' and messages.found == 'no_such_msgs'


def test_columns_are_as_wide_as_the_longest_name(folder: Path) -> None:
    lines = CliRunner().invoke(doctor.command).output.splitlines()
    columns = {
        line.index(check.found) for line in lines for check in doctor_checks.model_checks()
        if check.found and check.found in line
    }
    python = next(line for line in lines if line.startswith('  ok      python '))
    assert columns == {python.index(python.split()[2])}
