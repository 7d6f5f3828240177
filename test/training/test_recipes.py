# SPDX-License-Identifier: Apache-2.0
"""Every recipe builds its task from a data root and takes a step, here on small made-up data."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from perception_nodes.networks import NETWORKS
from perception_nodes.simulation.cache import CachedSample
from perception_nodes.simulation.clips import Clip
from perception_nodes.training.checkpoint import FILE_NAME, TrainingState, save_checkpoint
from perception_nodes.training.dense_batches import DenseBatches
from perception_nodes.training.recipe import Batch
from perception_nodes.training.recipes import (
    RECIPES,
    features,
    mono_depth,
    optical_flow,
    place_recognition,
    sfm_learner,
    stereo_depth,
)
from perception_nodes.training.recipes.segmentation import SEGMENTATION_RECIPES
from perception_nodes.training.recipes.segmentation_comparison import COMPARISON_RECIPES
from perception_nodes.training.recorded_depth import view_of
from perception_nodes.training.recorded_pairs import LabelledPair
from perception_nodes.training.rendered_batches import RenderedViews

HEIGHT, WIDTH = 60, 80
IMAGES = {'train': 16, 'val': 48}
TRIED_ELSEWHERE = {recipe.name for recipe in (*SEGMENTATION_RECIPES, *COMPARISON_RECIPES)}


def noise_image(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth noise, uint8 [H, W, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


class OneView:
    """A cache of one view of a wall."""

    def __getitem__(self, index: int) -> CachedSample:
        size = height, width = 180, 440
        image, nothing = noise_image(9, height, width), np.zeros(size, bool)
        return CachedSample(
            image, image, image, np.full(size, 8, np.float16), np.zeros(size, np.uint8), nothing,
            np.zeros((*size, 2), np.float16), nothing, np.diag([300.0, 300.0, 1.0]), np.array(0.5),
        )


def clip(number: int) -> Clip:
    """Three images on a straight way."""
    images = np.stack([noise_image(number, 64, 96)] * 3)
    poses = np.stack([np.eye(4)] * 3)
    poses[:, 2, 3] = range(3)
    return Clip(images, np.full((3, 64, 96), 9, np.float16), poses, np.diag([70.0, 70.0, 1.0]))


def save_untrained(name: str, folder: Path) -> None:
    """Leave the checkpoint of a training that has not begun."""
    network = NETWORKS[name]()
    folder.mkdir(parents=True)
    save_checkpoint(folder / FILE_NAME, TrainingState(name, name), network, network,
                    torch.optim.AdamW(network.parameters()))


def write_drive(folder: Path) -> None:
    """A KITTI drive of eleven frames, the last but one with a scan."""
    names = [f'{number:06d}' for number in range(11)]
    for number, name in enumerate(names):
        for side in (0, 1):
            (folder / f'image_{side}').mkdir(parents=True, exist_ok=True)
            grey = noise_image(number + side, HEIGHT, WIDTH)[..., 0]
            cv2.imwrite(str(folder / f'image_{side}' / f'{name}.png'), grey)
    (folder / 'lidar_depth').mkdir()
    scan = np.full((HEIGHT, WIDTH), 2000, np.uint16)
    cv2.imwrite(str(folder / 'lidar_depth' / f'{names[9]}.png'), scan)
    (folder / 'calib.txt').write_text(
        'P0: 50 0 40 0 0 50 30 0 0 0 1 0\nP1: 50 0 40 -25 0 50 30 0 0 0 1 0\n'
    )
    (folder / 'times.txt').write_text('\n'.join(f'{number / 10}' for number in range(11)))
    (folder / 'poses.txt').write_text(
        '\n'.join(f'1 0 0 0 0 1 0 0 0 0 1 {number}' for number in range(11))
    )


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CamVid, and trainings that others begin with."""
    folder = tmp_path_factory.mktemp('data')
    camvid = folder / 'camvid'
    for split, count in IMAGES.items():
        lines = []
        for kind in (split, f'{split}annot'):
            (camvid / kind).mkdir(parents=True)
        for number in range(count):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[HEIGHT // 2 :], labels[:, 30:36] = 3, 1
            cv2.imwrite(str(camvid / split / f'{number}.png'), noise_image(number, HEIGHT, WIDTH))
            cv2.imwrite(str(camvid / f'{split}annot' / f'{number}.png'), labels)
            lines.append(f'{split}/{number}.png {split}annot/{number}.png')
        (camvid / f'{split}.txt').write_text('\n'.join(lines))
    write_drive(folder / 'kitti_drive_0926')
    save_untrained('keypoint_net', folder / 'runs' / 'features')
    return folder


@pytest.fixture
def data(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root; nothing is rendered, little is held out."""
    for module in (features, place_recognition, sfm_learner):
        monkeypatch.setattr(module, 'HELD_OUT', 1)
    view = view_of(noise_image(3, 200, 400), np.full((200, 400), 8, np.float32), 400.0)
    monkeypatch.setattr(mono_depth, 'recorded_views', lambda root: {
        name: [view] for name in ('drive', 'bag', 'kitti', 'office')
    })
    known = np.full((200, 480), 8, np.float16)
    pair = LabelledPair(noise_image(4, 200, 480), noise_image(5, 200, 480), known, known / 8)
    for reader in ('drive_pairs', 'bag_pairs', 'measured_pairs'):
        monkeypatch.setattr(stereo_depth, reader, lambda *_: [pair])
    for reader in ('kitti_pairs', 'middlebury_pairs'):
        monkeypatch.setattr(stereo_depth, reader, lambda *_: [])
    for module in (optical_flow, stereo_depth):
        monkeypatch.setattr(module, 'draw_textures', lambda rng, root: root / 'camvid' / 'train')
    for module in (mono_depth, optical_flow, stereo_depth):
        monkeypatch.setattr(module, 'held_out_sets', lambda root: {})
        monkeypatch.setattr(module, 'WorkerBatches', DenseBatches)
        monkeypatch.setattr(module, 'rendered_views', lambda: RenderedViews(OneView(), 1))
    monkeypatch.setattr(sfm_learner, 'kept_clips', lambda count: [clip(n) for n in range(count)])
    monkeypatch.setattr(place_recognition, 'PREPARED_STEPS', 12)  # 192 components need as many
    monkeypatch.chdir(root)
    return root


def corner_of(batch: Batch, height: int = 64, width: int = 64) -> Batch:
    """Cut every map of the images' size to its top left corner."""
    size = next(value.shape[2:] for value in batch.values() if value.ndim == 4)

    def cut(value: Tensor) -> Tensor:
        return value[..., :height, :width] if value.shape[2:] == size else value

    return {key: cut(value) for key, value in batch.items()}


def test_all_recipes_are_tried() -> None:
    assert not TRIED_ELSEWHERE - RECIPES.keys()
    assert all(name == recipe.name for name, recipe in RECIPES.items())
    for recipe in RECIPES.values():
        assert recipe.network in NETWORKS and recipe.data and recipe.data_licence, recipe.name


@pytest.mark.parametrize('name', sorted(RECIPES.keys() - TRIED_ELSEWHERE))
def test_a_step_of_the_recipe(name: str, data: Path) -> None:
    recipe = RECIPES[name]
    torch.manual_seed(0)
    network = NETWORKS[recipe.network]()
    task = recipe.build(data, 0)
    if task.prepare is not None:
        task.prepare(network)
    batch = replace(task.batches, batch_size=2).batch(0)
    if not {'points0', 'anchor'} & batch.keys():
        batch = corner_of(batch)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    loss, logged = task.loss(network.train(), batch)
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss) and all(torch.isfinite(value).all() for value in logged.values())
    after = list(network.parameters())
    assert all(torch.isfinite(parameter).all() for parameter in after)
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True)), 'it learns'
