# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every room."""

import os
from pathlib import Path

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
