# SPDX-License-Identifier: Apache-2.0
"""The examples do what they say, on a rendered street."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.simulation.drive import drive

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples'


def run(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def street():
    return next(iter(drive(3, 1)))


def write(path: Path, rgb: np.ndarray) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def test_label_a_image(street, tmp_path):
    said = run('label_an_image.py', write(tmp_path / 'a.png', street.left.data),
               tmp_path / 'overlay.png')
    assert 'Road' in said or 'road' in said
    assert cv2.imread(str(tmp_path / 'overlay.png')).shape == street.left.data.shape


def test_depth_of_a_pair(street, tmp_path):
    left = write(tmp_path / 'left.png', street.left.data)
    right = write(tmp_path / 'right.png', street.right.data)
    run('depth_of_a_pair.py', left, right, street.rig.focal_px, street.rig.baseline_m,
        tmp_path / 'depth.npz')
    found = np.load(tmp_path / 'depth.npz')
    known = np.isfinite(found['depth_m']) & np.isfinite(street.depth_m)
    assert known.mean() > 0.2
    relative = np.abs(found['depth_m'] - street.depth_m)[known] / street.depth_m[known]
    assert np.median(relative) < 0.15


def test_odometry_of_a_bag(tmp_path):
    bag = write_rendered_bag(tmp_path / 'drive', 3, 4)
    lines = run('odometry_of_a_bag.py', bag).splitlines()
    assert len(lines) == 4
    assert all(line.endswith('tracking') for line in lines)


@pytest.mark.parametrize(('name', 'arguments'), [
    ('label_an_image.py', ('out.png',)),
    ('depth_of_a_pair.py', ('right.png', '700', '0.5', 'out.npz')),
    ('odometry_of_a_bag.py', ()),
])
def test_a_file_that_is_missing_is_one_line(name, arguments, tmp_path):
    command = [sys.executable, EXAMPLES / name]
    done = subprocess.run([*command, tmp_path / 'none', *arguments], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith('error: ')
    assert str(tmp_path / 'none') in done.stderr and done.stderr.count('\n') == 1
    usage = subprocess.run(command, capture_output=True, text=True, check=False)
    assert usage.returncode == 1 and f'python examples/{name} ' in usage.stderr
