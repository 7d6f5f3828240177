# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from perception_nodes.inference.models import list_models, model_path
from perception_nodes.types import PerceptionError


def test_the_users_folder_comes_first(
    tmp_path: Path, blur_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / 'install' / 'share' / 'perception_nodes' / 'models'
    share.mkdir(parents=True)
    (share / 'blur.onnx').write_bytes(b'another')
    (share / 'installed.onnx').write_bytes(b'another')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'install'))
    assert model_path('blur') == share / 'blur.onnx'
    monkeypatch.setenv('PERCEPTION_MODELS', str(tmp_path))
    assert model_path('blur') == blur_model
    assert list_models()['blur'] == blur_model
    assert list_models()['installed'] == share / 'installed.onnx'


def test_an_explicit_path_is_taken_and_a_wrong_one_told(blur_model: Path) -> None:
    assert model_path(str(blur_model)) == blur_model
    assert model_path(blur_model) == blur_model
    with pytest.raises(PerceptionError, match='missing'):
        model_path(blur_model.parent / 'none.onnx')


def test_an_unknown_name_lists_the_known_ones(
    blur_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PERCEPTION_MODELS', str(blur_model.parent))
    with pytest.raises(PerceptionError, match=r"no model 'blurr' \(there are: .*blur"):
        model_path('blurr')
