# SPDX-License-Identifier: Apache-2.0
"""Readers of drives, walks and road labels on small sets that the tests write, faults included."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.idd_lite import MERGED as IDD_MERGED
from perception_nodes.datasets.idd_lite import IddLite
from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_road import MERGED as ROAD_MERGED
from perception_nodes.datasets.kitti_road import KittiRoad
from perception_nodes.datasets.kitti_semantic import CITYSCAPES_IDS, KittiSemantic
from perception_nodes.types import PerceptionError

HEIGHT, WIDTH = 6, 8


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def write_kitti_drive(root: Path, numbers: tuple[int, ...] = (4, 5)) -> None:
    """Frames that go 1 m forward from number to number; the first has a scan."""
    names = [f'{number:06d}' for number in numbers]
    for name in names:
        for side in (0, 1):
            write(root / f'image_{side}' / f'{name}.png', noise(int(name) + side, HEIGHT, WIDTH))
    depth = np.zeros((HEIGHT, WIDTH), np.uint16)
    depth[1, 2] = int(12.5 * 256)
    write(root / 'lidar_depth' / f'{names[0]}.png', depth)
    (root / 'calib.txt').write_text(
        'P0: 10 0 4 0 0 10 3 0 0 0 1 0\nP1: 10 0 4 -5.5 0 10 3 0 0 0 1 0\n'
    )
    (root / 'ids.txt').write_text('\n'.join(names) + '\n')
    (root / 'times.txt').write_text('\n'.join(f'{number / 10}' for number in numbers) + '\n')
    (root / 'poses.txt').write_text(
        '\n'.join(f'1 0 0 0 0 1 0 0 0 0 1 {number - numbers[0]}' for number in numbers) + '\n'
    )


def write_hololens_office(root: Path, count: int = 2) -> None:
    """Views of which only the neighbours share something."""
    for number in range(count):
        write(root / 'images' / f'{number:05d}.jpg', noise(number, HEIGHT, WIDTH, 3))
        depth = np.full((HEIGHT // 2, WIDTH // 2), 1500, np.uint16)
        depth[0, 0] = 0
        write(root / 'depth' / f'{number:05d}.png', depth)
    np.savetxt(root / 'K.txt', [[10, 0, 4], [0, 10, 3], [0, 0, 1]])
    np.savetxt(root / 'poses.txt', np.tile(np.eye(4).reshape(1, 16), (count, 1)))
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    write(root / 'overlap.png', np.where(apart <= 1, 255 - 100 * apart, 0).astype(np.uint8))


def write_idd_lite(root: Path, drives: tuple[str, ...] = ('0',)) -> None:
    labels = np.full((HEIGHT, WIDTH), 6, np.uint8)
    labels[0, :2] = (255, 0)
    for drive in drives:
        write(root / 'leftImg8bit' / 'train' / drive / '77_image.jpg', noise(1, HEIGHT, WIDTH, 3))
        write(root / 'gtFine' / 'train' / drive / '77_label.png', labels)


def write_kitti_masks(root: Path, kind: str, labels: np.ndarray) -> None:
    write(root / 'training' / 'image_2' / '000001_10.png', noise(1, *labels.shape, 3))
    write(root / 'training' / kind / '000001_10.png', labels)


def write_kitti_road(root: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[4:] = 1
    labels[0] = 255
    write_kitti_masks(root, 'road', labels)


def write_kitti_semantic(root: Path) -> None:
    write_kitti_masks(root, 'semantic', np.arange(34, dtype=np.uint8)[None].repeat(2, 0))


SETS: dict[str, tuple[Callable[[Path], object], Callable[[Path], None], set[str]]] = {
    'kitti_drive': (KittiDrive, write_kitti_drive, {'ids.txt', 'lidar_depth/000004.png'}),
    'hololens_office': (HololensOffice, write_hololens_office, set()),
    'idd_lite': (IddLite, write_idd_lite, set()),
    'kitti_road': (KittiRoad, write_kitti_road, set()),
    'kitti_semantic': (KittiSemantic, write_kitti_semantic, set()),
}


@pytest.mark.parametrize('name', SETS)
def test_wrong_roots_and_damaged_files_are_one_line(name: str, tmp_path: Path) -> None:
    """Each file of each set is removed, emptied and cut in half, one at a time."""
    reader, writer, optional = SETS[name]
    root = tmp_path / name
    root.mkdir()
    with pytest.raises(PerceptionError, match='--root') as caught:
        reader(root)
    assert str(root) in str(caught.value)
    writer(root)
    assert list(reader(root))
    for path in sorted(p for p in root.rglob('*') if p.is_file()):
        whole = path.read_bytes()
        for damage in ('missing', 'empty', 'cut'):
            path.unlink()
            if damage != 'missing':
                path.write_bytes(whole[: len(whole) // 2] if damage == 'cut' else b'')
            if damage == 'missing' and str(path.relative_to(root)) in optional:
                assert list(reader(root))
            else:
                with pytest.raises(PerceptionError) as caught:
                    list(reader(root))
                assert '\n' not in str(caught.value), f'{path.name} {damage}'
            path.write_bytes(whole)
    assert list(reader(root))


def test_kitti_drive_reads_pair_pose_time_and_scan(tmp_path: Path) -> None:
    write_kitti_drive(tmp_path)
    drive = KittiDrive(tmp_path)
    first, second = drive
    assert (first.name, first.left.stamp_ns, second.left.stamp_ns) == ('000004', 4e8, 5e8)
    assert np.array_equal(first.left.data, noise(4, HEIGHT, WIDTH))
    assert np.array_equal(first.right.data, noise(5, HEIGHT, WIDTH))
    assert first.rig.baseline_m == pytest.approx(0.55)
    assert first.rig.focal_px == 10.0
    assert first.depth_m is not None and first.depth_m[1, 2] == 12.5
    assert np.isfinite(first.depth_m).sum() == 1
    assert second.depth_m is None
    assert second.world_from_left[:, 3].tolist() == [0, 0, 1, 1]
    assert drive.with_depth() == [0]


def test_kitti_drive_in_the_folders_of_kitti_odometry(tmp_path: Path) -> None:
    """No ids.txt, colons in calib.txt, poses beside the sequences."""
    root = tmp_path / 'sequences' / '06'
    root.mkdir(parents=True)
    write_kitti_drive(root, (0, 1, 2))
    (root / 'ids.txt').unlink()
    (tmp_path / 'poses').mkdir()
    (root / 'poses.txt').rename(tmp_path / 'poses' / '06.txt')
    assert [frame.world_from_left[2, 3] for frame in KittiDrive(root)] == [0, 1, 2]


def test_kitti_drive_is_parted_by_place_with_a_gap(tmp_path: Path) -> None:
    write_kitti_drive(tmp_path, tuple(range(0, 101, 5)))
    parts = {split: [int(e.name) for e in KittiDrive(tmp_path, split).entries]
             for split in ('fit', 'held_out')}  # fmt: skip
    assert parts['fit'] == list(range(0, 66, 5))
    assert parts['held_out'] == list(range(75, 101, 5))
    with pytest.raises(PerceptionError, match="no split 'val'"):
        KittiDrive(tmp_path, 'val')


def test_kitti_drive_names_rows_that_are_missing(tmp_path: Path) -> None:
    write_kitti_drive(tmp_path)
    (tmp_path / 'times.txt').write_text('0.5\n')
    with pytest.raises(PerceptionError, match=r'times\.txt: wanted 1 finite .* each of 2 frames'):
        KittiDrive(tmp_path)


def test_hololens_depth_lies_on_the_grid_of_the_image(tmp_path: Path) -> None:
    write_hololens_office(tmp_path)
    frame = HololensOffice(tmp_path)[1]
    assert np.isnan(frame.depth_m[:2, :2]).all()
    assert (frame.depth_m[2:] == 1.5).all() and (frame.depth_m[:, 2:] == 1.5).all()
    assert frame.camera.rectified_k[0].tolist() == [10, 0, 4]
    write(tmp_path / 'depth' / '00001.png', np.ones((HEIGHT, WIDTH), np.uint16))
    with pytest.raises(PerceptionError, match='8x6, not half of 8x6'):
        HololensOffice(tmp_path)[1]


def test_hololens_parts_share_no_view(tmp_path: Path) -> None:
    """Of 30 images 16 to 18 are held out; their two neighbours see too much of the same."""
    write_hololens_office(tmp_path, 30)
    assert HololensOffice(tmp_path, 'held_out').entries == (16, 17, 18)
    assert HololensOffice(tmp_path, 'fit').entries == (*range(15), *range(20, 30))


def test_idd_lite_labels_and_drives(tmp_path: Path) -> None:
    write_idd_lite(tmp_path, tuple('abcdef'))
    sample = IddLite(tmp_path)[0]
    assert sample.name == 'a/77'
    assert sample.labels[0, :3].tolist() == [255, 0, 6]
    assert IddLite(tmp_path, 'held_out').drives == ('a', 'f')
    assert IddLite(tmp_path, 'fit').drives == tuple('bcde')
    with pytest.raises(PerceptionError, match='--root'):
        IddLite(tmp_path, 'val')
    with pytest.raises(PerceptionError, match="no split 'dusk'"):
        IddLite(tmp_path, 'dusk')
    write(tmp_path / 'gtFine' / 'train' / 'a' / '77_label.png', np.full((6, 8), 7, np.uint8))
    with pytest.raises(PerceptionError, match=r'class id 7 is out of range 0\.\.6'):
        IddLite(tmp_path)[0]


def test_kitti_labels_become_the_packages_classes(tmp_path: Path) -> None:
    write_kitti_semantic(tmp_path)
    labels = KittiSemantic(tmp_path)[0].labels[0]
    names = [CLASSES[label] if label != 255 else '' for label in labels.tolist()]
    assert [names[i] for i in (7, 8, 11, 17, 20, 21, 23, 24, 25, 26)] == [
        'Road', 'Pavement', 'Building', 'Pole', 'SignSymbol', 'Tree', 'Sky', 'Pedestrian',
        'Bicyclist', 'Car',
    ]  # fmt: skip
    assert not any(names[i] for i in (0, 4, 9, 22, 31, 32))
    write_kitti_masks(tmp_path, 'semantic', np.full((2, 2), 34, np.uint8))
    with pytest.raises(PerceptionError, match='no label ids above 33'):
        KittiSemantic(tmp_path)[0]


def test_kitti_road_masks(tmp_path: Path) -> None:
    write_kitti_road(tmp_path)
    assert KittiRoad(tmp_path)[0].labels[:, 0].tolist() == [255, 0, 0, 0, 1, 1]
    write_kitti_masks(tmp_path, 'road', np.full((2, 2), 2, np.uint8))
    with pytest.raises(PerceptionError, match='holds 0, 1 and 255 only'):
        KittiRoad(tmp_path)[0]


@pytest.mark.parametrize('merged', [IDD_MERGED, ROAD_MERGED])
def test_every_class_is_merged_into_one(merged: dict[str, tuple[str, ...]]) -> None:
    assert sorted(part for parts in merged.values() for part in parts) == sorted(CLASSES)


def test_every_class_has_cityscapes_ids() -> None:
    assert set(CITYSCAPES_IDS) == set(CLASSES)
    ids = [number for numbers in CITYSCAPES_IDS.values() for number in numbers]
    assert len(ids) == len(set(ids))


def test_real_drive_office_and_roads(shared: Path) -> None:
    data = shared / 'data'
    drive = KittiDrive(data / 'kitti_drive_0926')
    assert (len(drive), len(drive.with_depth())) == (307, 45)
    frame = drive[drive.with_depth()[0]]
    assert frame.rig.baseline_m == pytest.approx(0.537, abs=1e-3)
    assert frame.depth_m is not None and 0.02 < np.isfinite(frame.depth_m).mean() < 0.1
    steps = np.diff([entry.world_from_left[:3, 3] for entry in drive.entries], axis=0)
    assert 200.0 < np.linalg.norm(steps, axis=1).sum() < 280.0
    walk = HololensOffice(data / 'hololens_office')
    assert len(walk) == 373
    assert 0.4 < np.isfinite(walk[100].depth_m).mean() < 0.9
    assert len(HololensOffice(data / 'hololens_office', 'fit')) > 100
    idd = IddLite(data / 'idd_lite')
    assert (len(idd), len(set(idd.drives))) == (1403, 309)
    assert set(np.unique(idd[700].labels)) <= {*range(7), 255}
    assert len(KittiRoad(data / 'kitti_stereo_2015')) == 15
    assert len(KittiSemantic(data / 'kitti_stereo_2015')) == 4
