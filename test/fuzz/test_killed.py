# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: what stood there stands there whole, and no piece is left behind."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import INPUTS

SCRIPT = Path(__file__).with_name('killed_writers.py')
KILLS = 40 if INPUTS else 3
NEEDS = {'train': 'torch', 'export': 'torch', 'build-engine': 'tensorrt_rtx'}
LEFT = {
    'save_map': r'map\.npz', 'train': r'c\.safetensors', 'export': r'tiny\.json tiny\.onnx',
    'build-engine': r'(tensorrt_rtx-\S+\.timings )?tiny-\w{16}\.engine',
}


@pytest.mark.parametrize('writer', LEFT)
def test_a_writer_that_is_killed(writer: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(NEEDS.get(writer, 'numpy')) is None:
        pytest.skip(f'{NEEDS[writer]} is not installed')
    done = subprocess.run(
        [sys.executable, SCRIPT, writer, tmp_path, str(KILLS)], capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    print(figures)
    assert figures['kills'] == KILLS
    assert re.fullmatch(LEFT[writer], ' '.join(sorted(figures['left']))), figures
