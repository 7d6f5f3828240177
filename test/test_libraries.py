# SPDX-License-Identifier: Apache-2.0
"""A missing library: one line that names it, status 2, and a doctor that still works."""

import ast
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from perception_nodes.libraries import REQUIRED, missing_library, package_of

ROOT = Path(__file__).resolve().parents[1]
# Run a command of the package where some modules are not found, as on a machine without them.
RUN = """
import importlib.machinery, os, sys
hidden = os.environ['HIDDEN']
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if f'{name}.'.startswith(f'{hidden}.') else find(name, *rest))
if sys.argv[1] == 'perception':
    from perception_nodes.cli.main import main
    sys.argv = sys.argv[1:]
    main()
else:
    from perception_nodes.ros import start
    sys.exit(getattr(start, sys.argv.pop(1))())
"""


def run_without(module: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-c', RUN, *command], capture_output=True, text=True, timeout=60,
        env={**os.environ, 'HIDDEN': module},
    )


@pytest.mark.parametrize('module', ['click', 'numpy', 'cv2', 'msgspec', 'rosbags'])
def test_a_command_that_lacks_a_library_names_it(module: str, tmp_path: Path) -> None:
    done = run_without(module, 'perception', 'replay', str(tmp_path), '--out', str(tmp_path / 'x'))
    assert done.returncode == 2
    assert done.stderr.startswith(f'perception: {module} is not installed: pip install ')
    assert package_of(module) in done.stderr and done.stderr.count('\n') == 1
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('module', ['numpy', 'msgspec', 'onnxruntime'])
def test_the_doctor_finds_the_library_and_looks_at_the_rest(module: str) -> None:
    done = run_without(module, 'perception', 'doctor', '--json')
    assert done.returncode == 1, done.stderr
    checks = {check['name']: check for check in json.loads(done.stdout)['checks']}
    assert checks[module] == {
        'group': 'python', 'name': module, 'status': 'broken', 'found': 'not installed',
        'advice': f'pip install {package_of(module)}',
    }
    assert checks['scipy']['status'] == 'ok' and 'fastdds profile' in checks
    assert any(module in check['advice'] for check in checks.values()
               if check['group'] in ('backend', 'models'))


@pytest.mark.parametrize('module', ['rclpy', 'msgspec'])
def test_a_node_that_lacks_a_library_names_it(module: str) -> None:
    pytest.importorskip('rclpy')
    done = run_without(module, 'segmentation_node')
    assert done.returncode == 2
    assert done.stderr.startswith(f'error: {module} is not installed: ')
    assert ('source a ROS 2 distribution' in done.stderr) == (module == 'rclpy')
    assert done.stderr.count('\n') == 1


def test_help_needs_no_library_but_click() -> None:
    code = ('import sys\nfrom perception_nodes.cli.main import main\nsys.argv[1:] = ["--help"]\n'
            'try: main()\nexcept SystemExit: print(*sys.modules)')
    loaded = set(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                                check=True, timeout=60).stdout.split())
    assert 'click' in loaded and not loaded & (set(REQUIRED) - {'click'})


def test_a_wrong_import_of_our_own_is_not_called_a_missing_library() -> None:
    ours = ModuleNotFoundError("No module named 'perception_nodes.x'", name='perception_nodes.x')
    broken = ImportError('libGL.so.1: cannot open shared object file', name='cv2')
    assert missing_library(ours) == missing_library(broken) == missing_library(ImportError()) == ''


def test_setup_and_doctor_name_the_same_libraries() -> None:
    call = next(node for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text()))
                if isinstance(node, ast.keyword) and node.arg == 'install_requires')
    names = {re.split('[<>=;]', line)[0].strip() for line in ast.literal_eval(call.value)}
    if sys.version_info >= (3, 14):
        names.discard('backports.zstd')
    assert names - {'setuptools'} == {package_of(module) for module in REQUIRED}


def test_package_xml_lists_what_is_used() -> None:
    listed = [element.text or '' for element
              in ElementTree.parse(ROOT / 'package.xml').iter('exec_depend')]
    text = '\n'.join(path.read_text() for folder in ('perception_nodes', 'launch')
                     for path in (ROOT / folder).rglob('*.py'))
    packages = [name for name in listed if not name.startswith('python3-')]
    unused = [name for name in packages
              if not re.search(rf"(import|from|') ?{name}\b", text)]
    assert packages and not unused
