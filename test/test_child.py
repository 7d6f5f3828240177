# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
from pathlib import Path

from perception_nodes.child import python_command

ENTRY = """
import json, sys, yaml
def main():
    print(sys.argv[1:])
    return 5
"""


def test_nothing_of_the_current_folder_is_imported(tmp_path: Path) -> None:
    home, here = tmp_path / 'home', tmp_path / 'here'
    home.mkdir()
    here.mkdir()
    (home / 'entry.py').write_text(ENTRY)
    for name in ('json.py', 'yaml.py', 'sys.py', 'entry.py'):
        (here / name).write_text(f'open({str(tmp_path / "ran")!r}, "w")\nraise SystemExit(3)\n')
    path = os.pathsep.join([str(home), os.environ.get('PYTHONPATH', '')]).rstrip(os.pathsep)
    done = subprocess.run(
        python_command('entry:main', '--a', 'b'), cwd=here, capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': path}, check=False,
    )
    assert (done.returncode, done.stdout) == (5, "['--a', 'b']\n"), done.stderr
    assert not (tmp_path / 'ran').exists()
