# SPDX-License-Identifier: Apache-2.0
"""The segmentation recipe on a small made-up CamVid, whole and broken."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from perception_nodes.cli.train import command
from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.networks import NETWORKS
from perception_nodes.training.loop import train
from perception_nodes.training.recipe import Recipe
from perception_nodes.training.recipes import segmentation
from perception_nodes.training.recipes.segmentation import (
    SEGMENTATION,
    SEGMENTATION_RECIPES,
    SegmentationLoss,
    build_camvid,
    thinned,
)
from perception_nodes.training.recipes.segmentation_comparison import (
    COMPARISON_RECIPES,
    build_comparison,
)
from perception_nodes.training.segmentation_batches import Scene, SegmentationBatches
from perception_nodes.types import PerceptionError

HEIGHT, WIDTH = 96, 128
WITHOUT_RENDERED = ('compare_without_rendered', 'compare_half', 'compare_quarter')


@pytest.fixture(autouse=True)
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[Scene]:
    """Two rendered streets without rendering: all pavement."""
    scenes = [
        Scene(np.full((80, 120, 3), 40 * i, np.uint8), np.full((80, 120), 4, np.uint8), 'rendered')
        for i in (1, 2)
    ]
    monkeypatch.setattr(segmentation, 'rendered_scenes', lambda count: scenes)
    return scenes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Data root with a CamVid of three drives: a coloured half a class, a pole between."""
    root = tmp_path / 'camvid'
    for split, names in (('train', ('0001TP_1', '0001TP_2', '0006R0_1', '0016E5_1')),
                         ('val', ('0016E5_9',))):
        for folder in (split, f'{split}annot'):
            (root / folder).mkdir(parents=True)
        for name in names:
            labels = np.full((HEIGHT, WIDTH), 0, np.uint8)
            labels[HEIGHT // 2:], labels[:, 60:66], labels[:4] = 3, 2, 11
            image = np.array([[230, 200, 90], [0, 0, 0], [30, 30, 30], [80, 90, 120]])[
                np.where(labels == 11, 0, labels)
            ].astype(np.uint8)
            cv2.imwrite(str(root / split / f'{name}.jpg'), image)
            cv2.imwrite(str(root / f'{split}annot' / f'{name}.png'), labels)
        listing = [f'{split}/{name}.jpg {split}annot/{name}.png' for name in names]
        (root / f'{split}.txt').write_text('\n'.join(listing) + '\n')
    for drive in ('7', '8'):
        for kind, file, content in (
            ('leftImg8bit', '1_image.jpg', np.full((HEIGHT, WIDTH, 3), 200, np.uint8)),
            ('gtFine', '1_label.png', np.full((HEIGHT, WIDTH), 5, np.uint8)),
        ):
            folder = tmp_path / 'idd_lite' / kind / 'train' / drive
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / file), content)
    return tmp_path


def test_it_learns_two_colours(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = build_camvid(data, 0)
    task.batches.options = replace(task.batches.options, height=64, width=96)
    recipe = replace(SEGMENTATION, steps=25, build=lambda root, seed: task, learning_rate=5e-3)
    metrics = train(recipe, data, tmp_path / 'run')
    assert metrics['val_accuracy'] > 0.8
    assert metrics['val_iou_road'] > 0.7


def test_a_batch_depends_on_seed_and_step_alone(data: Path) -> None:
    first, again = (build_camvid(data, 5).batches for _ in range(2))
    again.batch(0)
    one, two = first.batch(3), again.batch(3)
    assert all(torch.equal(one[key], two[key]) for key in ('image', 'labels'))
    assert not torch.equal(one['image'], first.batch(4)['image'])
    assert not torch.equal(one['image'], build_camvid(data, 6).batches.batch(3)['image'])
    assert one['image'].shape == (4, 3, 288, 384) and one['labels'].shape == (4, 288, 384)
    assert set(one['labels'].unique().tolist()) <= {0, 2, 3, 4, 255}


def test_the_share_of_rendered_images_is_kept(data: Path, rendered: list[Scene]) -> None:
    real = build_camvid(data, 0, rendered_share=0).batches.scenes
    assert {scene.drive for scene in real} == {'0001TP', '0006R0', '0016E5'}
    batches = SegmentationBatches(real, 50, 0, None, [(rendered, 0.25)])
    drawn = [batches.batch(step)['labels'] for step in range(4)]
    share = np.mean([(labels == 4).flatten(1).any(1).numpy() for labels in drawn])
    assert share == pytest.approx(0.25, abs=0.1)


def test_idd_teaches_unions_and_its_held_out_drives_evaluate(data: Path) -> None:
    """Drive 7 of 7 and 8 is held out; its far objects are buildings or trees, whichever."""
    task = build_camvid(data, 0, rendered_share=0, idd_share=0.5)
    assert {scene.drive for scene in task.batches.scenes} >= {'idd_8', '0006R0'}
    assert [scene.drive for scene in task.evaluate.sets['idd']] == ['idd_7']
    merged = len(CLASSES) + 5
    drawn = [task.batches.batch(step)['labels'] for step in range(6)]
    share = np.mean([(labels == merged).flatten(1).any(1).numpy() for labels in drawn])
    assert share == pytest.approx(0.5, abs=0.25)
    assert task.loss.weights[merged] > 0 and task.loss.weights[merged - 1] == 0
    labels = torch.full((1, 8, 8), merged)

    def cost(**probabilities: float) -> float:
        planes = torch.full((len(CLASSES),), 1e-6)
        for name, value in probabilities.items():
            planes[CLASSES.index(name)] = value
        logits = planes.log()[None, :, None, None].expand(1, -1, 4, 4)
        network = torch.nn.Module()
        network.forward = lambda image: {'logits': logits}
        return task.loss(network, {'image': labels, 'labels': labels})[0].item()

    assert cost(Tree=0.3, Building=0.6) == pytest.approx(cost(Tree=0.8, Building=0.1), abs=1e-3)
    assert cost(Tree=0.9) < cost(Tree=0.6, Sky=0.3) - 0.2


def test_the_unseen_drive_is_evaluated_and_not_learned(data: Path) -> None:
    task = build_comparison(data, 0, rendered_share=0, samples=2)
    assert {scene.drive for scene in task.batches.scenes} == {'0006R0', '0016E5'}
    assert {scene.drive for scene in task.evaluate.sets['unseen']} == {'0001TP'}
    assert {scene.drive for scene in task.evaluate.sets['val']} == {'0016E5'}
    assert task.evaluate.samples == 2 and task.quick_evaluate.samples == 0
    half = build_comparison(data, 0, rendered_share=0, share=0.5)
    assert [scene.drive for scene in half.batches.scenes] == ['0006R0']


def test_the_loss_of_plain_networks_is_cross_entropy_at_half_the_size() -> None:
    labels = torch.tensor([[0, 0, 1, 1, 0, 0, 1, 1]] * 8)[None]
    labels[:, :2, :2] = 255

    class Constant(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            logits = torch.tensor([0.75, 0.25]).log()[None, :, None, None]
            return {'logits': logits.expand(1, 2, 4, 4)}

    loss = SegmentationLoss(torch.tensor([1.0, 2.0]), 1)
    _, logged = loss(Constant(), {'image': torch.zeros(1, 3, 8, 8), 'labels': labels})
    by_hand = -(7 * np.log(0.75) + 2 * 8 * np.log(0.25)) / (7 + 2 * 8)
    assert logged['main'].item() == pytest.approx(by_hand)


def test_coarse_logits_learn_with_noise_of_their_own_variance() -> None:
    torch.manual_seed(0)
    labels = torch.zeros(1, 16, 16, dtype=torch.int64)

    class Wrong(torch.nn.Module):
        """Sure of the other class."""

        def __init__(self, log_variance: float) -> None:
            super().__init__()
            self.log_variance = torch.nn.Parameter(torch.tensor(log_variance))

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            coarse = torch.tensor([-3.0, 3.0])[None, :, None, None].expand(1, 2, 4, 4)
            return {'logits': torch.zeros(1, 2, 8, 8), 'coarse_logits': coarse,
                    'log_variance': self.log_variance.expand(1, 1, 4, 4)}

    network = Wrong(1.0)
    loss, logged = SegmentationLoss(torch.ones(2), 1)(
        network, {'image': torch.zeros(1, 3, 16, 16), 'labels': labels}
    )
    loss.backward()
    assert network.log_variance.grad < 0, 'who is wrong gains by doubting'
    assert logged['log_variance'].item() == pytest.approx(1.0)


def test_the_entropy_of_dropout_counts_less_the_more_images_there_are() -> None:
    class Dropping(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return {'logits': torch.zeros(1, 2, 4, 4), 'mask_entropy': torch.tensor(60.0)}

    batch = {'image': torch.zeros(1, 3, 8, 8), 'labels': torch.zeros(1, 8, 8, dtype=torch.int64)}
    few, many = (SegmentationLoss(torch.ones(2), n)(Dropping(), batch)[0] for n in (10, 30))
    # Two independent observations an image.
    assert (many - few).item() == pytest.approx(60 / 20 - 60 / 60, rel=1e-4)


def test_thinned_labels_lie_around_the_middle_of_their_cells() -> None:
    torch.manual_seed(0)
    columns = torch.arange(16).repeat(16, 1)[None]
    rows = columns.transpose(1, 2)
    for step in (2, 4, 8):
        for grid, cell in ((columns, (0, 0)), (rows, (0, 0))):
            seen = {thinned(grid, step)[(0, *cell)].item() for _ in range(32)}
            assert seen == {step // 2 - 1, step // 2}
        assert thinned(columns, step).shape == (1, 16 // step, 16 // step)


@pytest.mark.parametrize(
    'recipe', (*SEGMENTATION_RECIPES, *COMPARISON_RECIPES), ids=lambda recipe: recipe.name
)
def test_networks_train_by_recipe(recipe: Recipe, data: Path) -> None:
    task = recipe.build(data, 0)
    task.batches.batch_size = 1
    task.batches.options = replace(task.batches.options, height=64, width=64)
    network = NETWORKS[recipe.network]()
    rendered = any(scene.drive == 'rendered' for scene in task.batches.scenes)
    assert rendered == (recipe.name not in WITHOUT_RENDERED)
    loss, logged = task.loss(network, task.batches.batch(0))
    loss.backward()
    assert torch.isfinite(loss) and {'main', 'lovasz'} <= set(logged)
    assert any(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def spoil(data: Path, fault: str) -> str:
    """Break one training file in a way; what the message shall name."""
    image, label = data / 'camvid/train/0006R0_1.jpg', data / 'camvid/trainannot/0006R0_1.png'
    if fault == 'missing label':
        label.unlink()
    elif fault == 'wrong size':
        cv2.imwrite(str(label), np.zeros((HEIGHT, WIDTH + 2), np.uint8))
    elif fault == 'ids out of range':
        cv2.imwrite(str(label), np.full((HEIGHT, WIDTH), 12, np.uint8))
    elif fault == 'corrupt image':
        content = image.read_bytes()
        image.write_bytes(content[:len(content) // 2])
    elif fault == 'no list':
        (data / 'camvid' / 'train.txt').unlink()
        return 'train.txt'
    return '0006R0_1'


@pytest.mark.parametrize(
    'fault', ['missing label', 'wrong size', 'ids out of range', 'corrupt image', 'no list']
)
def test_a_broken_data_set_is_one_line_and_trains_nothing(
    fault: str, data: Path, tmp_path: Path
) -> None:
    named = spoil(data, fault)
    arguments = ['segmentation', '--data', str(data), '--out', str(tmp_path / 'run')]
    result = CliRunner().invoke(command, [*arguments, '--minutes', '1', '--threads', '1'])
    assert isinstance(result.exception, PerceptionError), result.output
    assert named in str(result.exception)
    assert '\n' not in str(result.exception)
    assert not list((tmp_path / 'run').glob('*.safetensors'))


def test_an_unknown_recipe_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ['nonsense', '--out', str(tmp_path)])
    assert isinstance(result.exception, PerceptionError)
    assert 'no recipe nonsense' in str(result.exception)
