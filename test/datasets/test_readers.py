# SPDX-License-Identifier: Apache-2.0
"""Readers of the public data sets on small sets that the tests write, faults included."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.datasets.files import read_flo, read_pfm, read_png16, read_rgb, write_flo
from perception_nodes.datasets.kitti_depth import KittiDepth
from perception_nodes.datasets.kitti_flow import KittiFlow
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.types import PerceptionError

HEIGHT, WIDTH = 6, 8
READERS: dict[str, Callable[[Path], object]] = {
    'camvid': CamVid,
    'kitti_stereo': KittiStereo,
    'kitti_depth': KittiDepth,
    'kitti_flow': KittiFlow,
    'middlebury_stereo': MiddleburyStereo,
    'middlebury_flow': MiddleburyFlow,
    'seven_scenes': SevenScenes,
    'loop_matrix': LoopMatrix,
}


def write_image(
    path: Path, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> np.ndarray:
    """Write a random image and return it as RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    cv2.imwrite(str(path), image[..., ::-1])
    return image


def write_map(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array)


def write_pfm(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = f'Pf\n{values.shape[1]} {values.shape[0]}\n-1.0\n'.encode()
    path.write_bytes(header + np.ascontiguousarray(values[::-1], '<f4').tobytes())


def write_camvid(root: Path) -> None:
    write_image(root / 'val' / 'a.png')
    labels = np.full((HEIGHT, WIDTH), 3, np.uint8)
    labels[0, :2] = (11, 10)
    write_map(root / 'valannot' / 'a.png', labels)
    (root / 'val.txt').write_text('/SegNet/CamVid/val/a.png /SegNet/CamVid/valannot/a.png\n\n')


def write_kitti_stereo(root: Path) -> None:
    for folder, seed in (('image_2', 1), ('image_3', 2)):
        write_image(root / 'training' / folder / '000003_10.png', seed)
    disparity = np.zeros((HEIGHT, WIDTH), np.uint16)
    disparity[2, 3] = int(12.5 * 256)
    write_map(root / 'training' / 'disp_noc_0' / '000003_10.png', disparity)
    (root / 'calib.txt').write_text('fx 721.5\nbaseline_m 0.53\n')


def write_kitti_depth(root: Path) -> None:
    write_image(root / 'image' / '0000000004.png')
    depth = np.zeros((HEIGHT, WIDTH), np.uint16)
    depth[1, 1] = int(20.25 * 256)
    write_map(root / 'groundtruth_depth' / '0000000004.png', depth)
    (root / 'intrinsics.txt').write_text('700 0 4\n0 700 3\n0 0 1\n')


def write_kitti_flow(root: Path) -> None:
    for frame in (10, 11):
        write_image(root / 'training' / 'image_2' / f'000007_{frame}.png', frame)
    coded = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    coded[2, 5] = (2**15 + int(1.5 * 64), 2**15 - int(2.25 * 64), 1)
    write_map(root / 'training' / 'flow_noc' / '000007_10.png', coded[..., ::-1])


def write_middlebury_stereo(root: Path) -> None:
    for side in (0, 1):
        write_image(root / 'cones' / f'im{side}.png', side)
    disparity = np.full((HEIGHT, WIDTH), 7.25, np.float32)
    disparity[0, 1] = np.inf
    write_pfm(root / 'cones' / 'disp0.pfm', disparity)
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[3, 3] = 128
    write_map(root / 'cones' / 'mask0nocc.png', mask)


def write_middlebury_flow(root: Path) -> None:
    for frame in (10, 11):
        write_image(root / 'other-data' / 'Venus' / f'frame{frame}.png', frame)
    folder = root / 'other-gt-flow' / 'Venus'
    folder.mkdir(parents=True)
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[1, 2] = (3.5, -1.25)
    flow[0, 0] = np.nan
    write_flo(folder / 'flow10.flo', flow)


def write_seven_scenes(root: Path) -> None:
    write_image(root / 'frame-000010.color.png')
    depth = np.full((HEIGHT, WIDTH), 1500, np.uint16)
    depth[0, :2] = (0, 65535)
    write_map(root / 'frame-000010.depth.png', depth)
    np.savetxt(root / 'frame-000010.pose.txt', np.eye(4))


def write_loop_matrix(root: Path) -> None:
    for number in range(3):
        write_image(root / 'images' / f'{number:06d}.jpg', number)
    truth = np.zeros((3, 3), np.uint8)
    truth[2, 0] = 255
    write_map(root / 'loop_ground_truth.png', truth)


WRITERS = {
    'camvid': write_camvid,
    'kitti_stereo': write_kitti_stereo,
    'kitti_depth': write_kitti_depth,
    'kitti_flow': write_kitti_flow,
    'middlebury_stereo': write_middlebury_stereo,
    'middlebury_flow': write_middlebury_flow,
    'seven_scenes': write_seven_scenes,
    'loop_matrix': write_loop_matrix,
}


@pytest.fixture(params=READERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A small data set of each kind."""
    root = tmp_path / request.param
    root.mkdir()
    WRITERS[request.param](root)
    return request.param, root


def read_all(name: str, root: Path) -> list[object]:
    return list(READERS[name](root))


def test_a_wrong_root_is_named(tmp_path: Path, written: tuple[str, Path]) -> None:
    name, _ = written
    for root in (tmp_path / 'nowhere', tmp_path):
        with pytest.raises(PerceptionError, match='--root') as caught:
            READERS[name](root)
        assert str(root) in str(caught.value)
        assert '\n' not in str(caught.value)


def test_a_large_jpeg_cut_short_is_not_half_a_image(tmp_path: Path) -> None:
    write_image(tmp_path / 'large.jpg', size=(480, 640))
    whole = (tmp_path / 'large.jpg').read_bytes()
    (tmp_path / 'large.jpg').write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(PerceptionError, match='not a whole jpeg'):
        read_rgb(tmp_path / 'large.jpg')


def test_every_file_that_is_missing_empty_or_cut_is_one_line(written: tuple[str, Path]) -> None:
    """Each file of each set is removed, emptied and cut in half, one at a time."""
    name, root = written
    assert read_all(name, root)
    optional = {'mask0nocc.png'}
    for path in sorted(p for p in root.rglob('*') if p.is_file()):
        whole = path.read_bytes()
        for damage in ('missing', 'empty', 'cut'):
            path.unlink()
            if damage != 'missing':
                path.write_bytes(whole[: len(whole) // 2] if damage == 'cut' else b'')
            if damage == 'missing' and path.name in optional:
                assert read_all(name, root)
            else:
                with pytest.raises(PerceptionError) as caught:
                    read_all(name, root)
                assert '\n' not in str(caught.value), f'{path.name} {damage}'
            path.write_bytes(whole)
    assert read_all(name, root)


def test_camvid_maps_void_and_checks_ids(tmp_path: Path) -> None:
    write_camvid(tmp_path)
    sample = CamVid(tmp_path)[0]
    assert sample.labels[0, :3].tolist() == [255, 10, 3]
    assert sample.image.data.shape == (HEIGHT, WIDTH, 3)
    write_map(tmp_path / 'valannot' / 'a.png', np.full((HEIGHT, WIDTH), 12, np.uint8))
    with pytest.raises(PerceptionError, match=r'a\.png: class id 12 is out of range 0\.\.11'):
        CamVid(tmp_path)[0]


def test_camvid_refuses_labels_of_another_size_and_unknown_splits(tmp_path: Path) -> None:
    write_camvid(tmp_path)
    write_map(tmp_path / 'valannot' / 'a.png', np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(PerceptionError, match='labels is 9x6 but the image is 8x6'):
        CamVid(tmp_path)[0]
    with pytest.raises(PerceptionError, match="no split 'dusk'"):
        CamVid(tmp_path, 'dusk')
    (tmp_path / 'val.txt').write_text('only_one_name\n')
    with pytest.raises(PerceptionError, match='image label'):
        CamVid(tmp_path)


def test_kitti_stereo_reads_truth_and_rig(tmp_path: Path) -> None:
    write_kitti_stereo(tmp_path)
    sample = KittiStereo(tmp_path)[0]
    assert sample.disparity_px[2, 3] == 12.5
    assert np.count_nonzero(np.isfinite(sample.disparity_px)) == sample.visible.sum() == 1
    assert (sample.rig.focal_px, round(sample.rig.baseline_m, 6)) == (721.5, 0.53)


def test_kitti_stereo_prefers_the_calibration_of_the_frame(tmp_path: Path) -> None:
    write_kitti_stereo(tmp_path)
    folder = tmp_path / 'training' / 'calib_cam_to_cam'
    folder.mkdir()
    (folder / '000003.txt').write_text(
        'calib_time: 09-Jan-2012 13:57:47\n'
        'P_rect_02: 700 0 600 45 0 700 170 -0.3 0 0 1 0.005\n'
        'P_rect_03: 700 0 600 -305 0 700 170 2.3 0 0 1 0.003\n'
    )
    rig = KittiStereo(tmp_path)[0].rig
    assert (rig.focal_px, rig.baseline_m) == (700.0, 0.5)
    assert rig.left.p[0, 2] == 600.0
    (folder / '000003.txt').write_text('P_rect_02: 1 2 3\n')
    with pytest.raises(PerceptionError, match='P_rect_02 with 12 numbers'):
        KittiStereo(tmp_path)[0]


def test_kitti_stereo_refuses_a_right_image_of_another_size(tmp_path: Path) -> None:
    write_kitti_stereo(tmp_path)
    write_image(tmp_path / 'training' / 'image_3' / '000003_10.png', size=(5, 8))
    with pytest.raises(PerceptionError, match='right image is 8x5 but the image is 8x6'):
        KittiStereo(tmp_path)[0]


def test_kitti_depth_and_the_names_of_depth_selection(tmp_path: Path) -> None:
    write_kitti_depth(tmp_path)
    sample = KittiDepth(tmp_path)[0]
    assert sample.depth_m[1, 1] == 20.25
    assert np.isfinite(sample.depth_m).sum() == 1
    assert sample.camera.rectified_k[0, 2] == 4.0
    drive = '2011_09_26_drive_0002_sync'
    for kind, picture in (('image', 'image'), ('groundtruth_depth', 'groundtruth_depth')):
        old = tmp_path / picture / '0000000004.png'
        old.rename(old.with_name(f'{drive}_{kind}_0000000005_image_02.png'))
    (tmp_path / 'intrinsics').mkdir()
    own = tmp_path / 'intrinsics' / f'{drive}_image_0000000005_image_02.txt'
    own.write_text('650 0 4 0 650 3 0 0 1')
    sample = KittiDepth(tmp_path)[0]
    assert sample.depth_m[1, 1] == 20.25
    assert sample.camera.k[0, 0] == 650.0


def test_kitti_flow_decodes_the_devkits_numbers(tmp_path: Path) -> None:
    write_kitti_flow(tmp_path)
    sample = KittiFlow(tmp_path)[0]
    assert sample.name == '000007'
    assert sample.forward_flow_px[2, 5].tolist() == [1.5, -2.25]
    assert np.isfinite(sample.forward_flow_px).all(axis=-1).sum() == 1
    assert sample.first.stamp_ns < sample.second.stamp_ns


def test_middlebury_stereo(tmp_path: Path) -> None:
    write_middlebury_stereo(tmp_path)
    sample = MiddleburyStereo(tmp_path)[0]
    assert np.isnan(sample.disparity_px[0, 1])
    assert sample.disparity_px[5, 7] == 7.25
    assert not sample.visible[3, 3]
    assert sample.visible.sum() == HEIGHT * WIDTH - 1
    (tmp_path / 'cones' / 'calib.txt').write_text(
        'cam0=[3997.684 0 1176.728; 0 3997.684 1011.728; 0 0 1]\ndoffs=131.1\nbaseline=193.001\n'
    )
    rig = MiddleburyStereo(tmp_path / 'cones')[0].rig
    assert rig.focal_px == 3997.684
    assert rig.baseline_m == pytest.approx(0.193001)


def test_middlebury_flow_and_the_flo_format(tmp_path: Path) -> None:
    write_middlebury_flow(tmp_path)
    sample = MiddleburyFlow(tmp_path)[0]
    assert sample.forward_flow_px[1, 2].tolist() == [3.5, -1.25]
    assert np.isnan(sample.forward_flow_px[0, 0]).all()
    reference = cv2.readOpticalFlow(str(tmp_path / 'other-gt-flow' / 'Venus' / 'flow10.flo'))
    known = np.isfinite(sample.forward_flow_px)
    assert np.array_equal(reference[known], sample.forward_flow_px[known])


def test_seven_scenes_sequences_and_splits(tmp_path: Path) -> None:
    write_seven_scenes(tmp_path)
    sample = SevenScenes(tmp_path)[0]
    assert np.isnan(sample.depth_m[0, :2]).all()
    assert sample.depth_m[3, 3] == 1.5
    assert sample.image.stamp_ns == 10 * 33_333_333
    scene = tmp_path / 'scene'
    for number in (1, 2):
        (scene / f'seq-{number:02d}').mkdir(parents=True)
        write_seven_scenes(scene / f'seq-{number:02d}')
    (scene / 'TestSplit.txt').write_text('sequence2\n')
    assert len(SevenScenes(scene)) == 2
    assert [entry.parent.name for entry in SevenScenes(scene, 'test').entries] == ['seq-02']
    with pytest.raises(PerceptionError, match=r'TrainSplit\.txt is missing'):
        SevenScenes(scene, 'train')


def test_seven_scenes_refuses_a_pose_that_is_none(tmp_path: Path) -> None:
    write_seven_scenes(tmp_path)
    np.savetxt(tmp_path / 'frame-000010.pose.txt', np.diag([2.0, 1, 1, 1]))
    with pytest.raises(PerceptionError, match='not a rigid motion'):
        SevenScenes(tmp_path)[0]


def test_loop_matrix_is_symmetric_and_of_the_walks_length(tmp_path: Path) -> None:
    write_loop_matrix(tmp_path)
    walk = LoopMatrix(tmp_path)
    assert np.argwhere(walk.same_place).tolist() == [[0, 2], [2, 0]]
    assert [sample.image.stamp_ns for sample in walk] == [0, 10**9, 2 * 10**9]
    write_image(tmp_path / 'images' / '000003.jpg')
    with pytest.raises(PerceptionError, match='3x3 but there are 4 images'):
        LoopMatrix(tmp_path)


def test_formats_refuse_each_other(tmp_path: Path) -> None:
    write_image(tmp_path / 'image.png')
    with pytest.raises(PerceptionError, match=r'not a \.flo file'):
        read_flo(tmp_path / 'image.png')
    with pytest.raises(PerceptionError, match='PFM'):
        read_pfm(tmp_path / 'image.png')
    with pytest.raises(PerceptionError, match='wanted 16-bit with 1'):
        read_png16(tmp_path / 'image.png')


def test_big_endian_pfm(tmp_path: Path) -> None:
    values = np.arange(6, dtype='>f4').reshape(2, 3)
    (tmp_path / 'big.pfm').write_bytes(b'Pf\n3 2\n1.0\n' + values[::-1].tobytes())
    assert read_pfm(tmp_path / 'big.pfm').tolist() == [[0, 1, 2], [3, 4, 5]]


def test_samples_can_be_sliced(tmp_path: Path) -> None:
    write_loop_matrix(tmp_path)
    assert [sample.name for sample in LoopMatrix(tmp_path)[1:]] == ['000001', '000002']
