# SPDX-License-Identifier: Apache-2.0
"""Folders of data sets of which one or two files are not what they should be."""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fuzzing import damaged_bytes, fuzz, require_none

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.datasets.files import write_flo
from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.idd_lite import IddLite
from perception_nodes.datasets.kitti_depth import KittiDepth
from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_flow import KittiFlow
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.datasets.seven_scenes import SevenScenes

H, W = 12, 16
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 255, (H, W, 3), np.uint8)
LABELS = RNG.integers(0, 7, (H, W), np.uint8)
DEEP = RNG.integers(1, 9999, (H, W)).astype(np.uint16)
K = '700 0 8\n0 700 6\n0 0 1\n'
PFM = b'Pf\n16 12\n-1.0\n' + RNG.uniform(1, 9, (H, W)).astype('<f4').tobytes()
POSE = '1 0 0 0 0 1 0 0 0 0 1 0.5'
READERS: dict[str, Callable[[Path], Sequence[Any]]] = {
    'camvid': CamVid, 'idd_lite': IddLite, 'kitti_stereo': KittiStereo, 'kitti_flow': KittiFlow,
    'kitti_depth': KittiDepth, 'kitti_drive': KittiDrive, 'middlebury_stereo': MiddleburyStereo,
    'middlebury_flow': MiddleburyFlow, 'seven_scenes': SevenScenes, 'loop_matrix': LoopMatrix,
    'hololens_office': HololensOffice,
}
FILES: dict[str, dict[str, Any]] = {
    'camvid': {'val.txt': '/x/val/a.png /x/valannot/a.png\n', 'val/a.png': COLOUR,
               'valannot/a.png': LABELS},
    'idd_lite': {'leftImg8bit/train/1/a_image.jpg': COLOUR, 'gtFine/train/1/a_label.png': LABELS},
    'kitti_stereo': {
        'training/image_2/000003_10.png': COLOUR, 'training/image_3/000003_10.png': COLOUR,
        'training/disp_noc_0/000003_10.png': DEEP,
        'training/calib_cam_to_cam/000003.txt': 'P_rect_02: 700 0 8 45 0 700 6 0 0 0 1 0\n'
        'P_rect_03: 700 0 8 -305 0 700 6 0 0 0 1 0\n',
    },
    'kitti_flow': {
        'training/image_2/000007_10.png': COLOUR, 'training/image_2/000007_11.png': COLOUR,
        'training/flow_noc/000007_10.png': np.dstack([DEEP] * 3),
    },
    'kitti_depth': {'image/4.png': COLOUR, 'groundtruth_depth/4.png': DEEP, 'intrinsics.txt': K},
    'kitti_drive': {
        'image_0/000000.png': LABELS, 'image_0/000001.png': LABELS, 'image_1/000000.png': LABELS,
        'image_1/000001.png': LABELS, 'times.txt': '0.0\n0.1\n', 'poses.txt': f'{POSE}\n' * 2,
        'calib.txt': 'P0: 700 0 8 0 0 700 6 0 0 0 1 0\nP1: 700 0 8 -350 0 700 6 0 0 0 1 0\n',
    },
    'middlebury_stereo': {
        'a/im0.png': COLOUR, 'a/im1.png': COLOUR, 'a/disp0.pfm': PFM, 'a/mask0nocc.png': LABELS,
        'a/calib.txt': 'cam0=[700 0 8; 0 700 6; 0 0 1]\nbaseline=193.0\n',
    },
    'middlebury_flow': {
        'other-data/a/frame10.png': COLOUR, 'other-data/a/frame11.png': COLOUR,
        'other-gt-flow/a/flow10.flo': np.zeros((H, W, 2), np.float32),
    },
    'seven_scenes': {
        'seq-01/frame-000010.color.png': COLOUR, 'seq-01/frame-000010.depth.png': DEEP,
        'seq-01/frame-000010.pose.txt': '1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n',
        'TrainSplit.txt': 'sequence1\n', 'camera-intrinsics.txt': K,
    },
    'loop_matrix': {'images/0.png': COLOUR, 'images/1.jpg': COLOUR,
                    'loop_ground_truth.png': np.full((2, 2), 255, np.uint8)},
    'hololens_office': {
        'images/0.jpg': COLOUR, 'images/1.jpg': COLOUR, 'depth/0.png': DEEP[::2, ::2],
        'depth/1.png': DEEP[::2, ::2], 'K.txt': K, 'poses.txt': f'{POSE} 0 0 0 1\n' * 2,
        'overlap.png': np.full((2, 2), 200, np.uint8),
    },
}
WORDS = ('nan', 'inf', '-1', '0', '1e999', '1' * 400,
         '\u0661', '\u00b2', 'x', '', '\0', '1_0', '0x1f')


def build(root: Path, files: dict[str, Any]) -> None:
    """Write a folder of a layout."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif name.endswith('.flo'):
            write_flo(path, content)
        else:
            cv2.imwrite(str(path), content)


@pytest.mark.parametrize('layout', FILES)
def test_folders(tmp_path: Path, layout: str) -> None:
    """What is read is of one size, and a pose or camera is one."""
    whole = tmp_path / 'whole'
    build(whole, FILES[layout])
    assert len(list(READERS[layout](whole))) >= 1
    broken = tmp_path / 'broken'

    def target(rng: random.Random) -> None:
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(whole, broken)
        for name in rng.sample(sorted(FILES[layout]), min(rng.randint(1, 2), len(FILES[layout]))):
            damage(rng, broken / name)
        for sample in READERS[layout](broken):
            for image in (value for value in vars(sample).values() if hasattr(value, 'frame_id')
                          and hasattr(value, 'data')):
                assert image.data.dtype == np.uint8

    require_none(fuzz(layout, target, 12))


def damage(rng: random.Random, path: Path) -> None:
    """Damage one file."""
    content, kind = path.read_bytes(), rng.randrange(7)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.unlink()
        path.mkdir()
    elif kind == 2:
        path.write_bytes(rng.choice((b'', b'\xff\xfe', b'\n', b'\x89PNG\r\n\x1a\n', b'P5 9 9')))
    elif kind == 3 and path.suffix == '.png':
        side = rng.choice((0, 1, 7, 20_000, 2**31 - 1)).to_bytes(4, 'big')
        path.write_bytes(content[:16] + side * 2 + content[24:])
    elif kind == 4 and path.suffix == '.png':
        shape = rng.choice(((H, W), (H, W, 3), (H, W, 4), (H, W + 1), (1, 1)))
        cv2.imwrite(str(path), np.zeros(shape, rng.choice((np.uint8, np.uint16))))
    elif path.suffix == '.txt':
        words = content.decode().split(' ')
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        path.write_bytes(' '.join(words).encode())
    else:
        path.write_bytes(damaged_bytes(rng, content))
