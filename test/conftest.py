# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of the real data sets and bags (``data/``, ``bags/``); the test skips without it."""
    folder = Path(os.environ.get('PERCEPTION_SHARED', ROOT.parent / 'shared'))
    for name in ('data', 'bags'):
        if not (folder / name).is_dir():
            pytest.skip(f'real data is missing: {folder / name} (set PERCEPTION_SHARED)')
    return folder


@pytest.fixture
def seventh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of a seventh task, known to everything by the record and the scorer alone."""
    from perception_nodes.evaluation.scorers import SCORERS
    from perception_nodes.pipelines.tasks import TASKS

    path = ROOT / 'test' / 'seventh_task' / 'image_quality.py'
    spec = importlib.util.spec_from_file_location('image_quality', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(TASKS, module.TASK.name, module.TASK)
    monkeypatch.setitem(SCORERS, module.TASK.name, module.ImageQualityScorer)
    return module
