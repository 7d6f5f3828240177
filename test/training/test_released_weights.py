# SPDX-License-Identifier: Apache-2.0
"""A released file becomes a network that computes the same and can learn again."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from perception_nodes.export.graphs.segmentation import SEGMENTATION, build_graph
from perception_nodes.export.onnx_export import to_onnx
from perception_nodes.export.releases import RELEASES
from perception_nodes.inference.model_card import ModelCard, write_card
from perception_nodes.networks import NETWORKS
from perception_nodes.networks.bayesian_context_net import BayesianContextNet
from perception_nodes.networks.mono_depth_net import MonoDepthNet
from perception_nodes.onnx_graph.weight_storage import store_half
from perception_nodes.training.checkpoint import FILE_NAME, load_weights
from perception_nodes.training.loop import train
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.recipes import RECIPES
from perception_nodes.training.recipes.segmentation import SegmentationLoss
from perception_nodes.training.released_weights import initialise_from_released, module_name
from perception_nodes.types import PerceptionError


class Noise:
    """Images of noise, all road."""

    def batch(self, step: int) -> Batch:
        """Four of 64 x 64."""
        generator = torch.Generator().manual_seed(step)
        image = torch.randn(4, 3, 64, 64, generator=generator)
        return {'image': image, 'labels': torch.full((4, 64, 64), 3)}


def task() -> Task:
    """The loss of the recipe on noise."""
    return Task(Noise(), SegmentationLoss(torch.ones(11), 1), lambda network: {})


def varied(seed: int) -> BayesianContextNet:
    """A network whose norms have seen something, and scale and shift."""
    torch.manual_seed(seed)
    network = BayesianContextNet()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        network.train()
        for step in range(3):
            network(Noise().batch(step)['image'])
    return network.eval()


@pytest.fixture(scope='module')
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[BayesianContextNet, Path]:
    """A network and its released file."""
    network = varied(0)
    path = tmp_path_factory.mktemp('released') / 'segmentation.onnx'
    graph = build_graph(network, {'temperature': 1.0}).eval()
    content = store_half(to_onnx(SEGMENTATION, graph))
    path.write_bytes(content)
    card = ModelCard(
        name='segmentation', task='segmentation', inputs=SEGMENTATION.inputs,
        outputs=SEGMENTATION.outputs, sha256=hashlib.sha256(content).hexdigest(),
    )
    write_card(card, path.with_suffix('.json'))
    return network, path


def test_it_computes_what_the_file_computes(released: tuple[BayesianContextNet, Path]) -> None:
    network, path = released
    again = BayesianContextNet()
    assert initialise_from_released(path, again, task()) == ['auxiliary']
    image = Noise().batch(99)['image']
    with torch.inference_mode():
        wanted, given = network(image), again.eval()(image)
    # Weights were rounded to half precision.
    for key in ('logits', 'coarse_logits', 'log_variance'):
        torch.testing.assert_close(given[key], wanted[key], atol=0.02, rtol=0.02)


def test_a_part_of_another_network_takes_what_it_has(
    released: tuple[BayesianContextNet, Path]
) -> None:
    """Mono depth sees with the encoder and decoder of segmentation."""
    network, path = released
    mono = MonoDepthNet()
    loss = lambda net, batch: (net(batch['image'])['log_depth'].sum(), {})  # noqa: E731
    absent = initialise_from_released(path, mono, Task(Noise(), loss, lambda _: {}), 'seeing')
    assert absent == []
    image = Noise().batch(99)['image']
    with torch.inference_mode():
        wanted, given = network.encode(image), mono.eval().seeing.encode(image)
    for index in (0, 1):
        assert torch.allclose(wanted[index], given[index], atol=0.05, rtol=0.02)
        assert wanted[index].std() > 0.1


def test_the_norms_know_the_statistics_so_that_training_goes_on_from_there(
    released: tuple[BayesianContextNet, Path]
) -> None:
    _, path = released
    again = BayesianContextNet(dropout=0.0)
    initialise_from_released(path, again, task())
    image = torch.cat([Noise().batch(step)['image'] for step in range(100, 104)])
    with torch.inference_mode():
        resting = again.eval()(image)['coarse_logits']
        training = again.train()(image)['coarse_logits']
    assert (training - resting).abs().mean() < 0.15 * resting.std()


def test_a_file_of_another_network_is_refused(
    released: tuple[BayesianContextNet, Path], tmp_path: Path
) -> None:
    _, path = released
    with pytest.raises(PerceptionError, match='that the network has not'):
        initialise_from_released(path, nn.Sequential(nn.Conv2d(3, 4, 3)), task())
    with pytest.raises(PerceptionError, match=r'layer detail\.0 is'):
        initialise_from_released(path, BayesianContextNet(head=48), task())
    with pytest.raises(PerceptionError, match='missing'):
        initialise_from_released(tmp_path / 'none.onnx', BayesianContextNet(), task())


def test_a_training_begins_with_it(
    released: tuple[BayesianContextNet, Path], tmp_path: Path
) -> None:
    network, path = released
    recipe = Recipe(
        'made', 'bayesian_context_net', lambda root, seed: task(), steps=1, learning_rate=0.0,
        weight_decay=0.0,
    )
    train(recipe, tmp_path, tmp_path / 'run', warm_start=path)
    again = BayesianContextNet()
    load_weights(tmp_path / 'run' / FILE_NAME, again, 'bayesian_context_net')
    torch.testing.assert_close(
        again.head_out.weight, network.head_out.weight, atol=0.001, rtol=0.001
    )
    with pytest.raises(PerceptionError, match='not both'):
        train(recipe, tmp_path, tmp_path / 'run', warm_start=path, resume=True)


@pytest.mark.parametrize(('node', 'module'), [
    ('/stage4/first/first.0/Conv', 'stage4.first.0'),
    ('/pyramid/pooled.0/pooled.0.0/Conv', 'pyramid.pooled.0.0'),
    ('/network/head_out/Conv', 'head_out'),
    ('/stem2/stem2.0/Conv_1', 'stem2.0'),
])
def test_names_of_nodes_lead_to_modules(node: str, module: str) -> None:
    assert module_name(node) == module


@pytest.mark.parametrize('name', ['features', 'stereo_depth'])
def test_what_is_no_plain_layer_comes_along(name: str, tmp_path: Path) -> None:
    """The folded convolution of features with its norm; the sharpness of stereo."""
    def built(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = NETWORKS[RECIPES[name].network]()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.02 * torch.rand_like(parameter))
            network(*[Noise().batch(seed)['image']] * len(RELEASES[name].inputs))
        return network

    network, again = built(0).eval(), built(1)
    release = RELEASES[name]
    calibration = {'sigma_scale': 1.0, 'sigma_power': 1.0}
    content = to_onnx(release, release.graph(network, calibration).eval())
    path = tmp_path / f'{name}.onnx'
    path.write_bytes(content)
    write_card(ModelCard(
        name=name, task=name, inputs=release.inputs, outputs=release.outputs,
        sha256=hashlib.sha256(content).hexdigest(),
    ), path.with_suffix('.json'))
    inputs = [Noise().batch(99)['image']] * len(release.inputs)
    looking = Task(Noise(), lambda network, batch: (network(*inputs), {}), lambda network: {})
    assert initialise_from_released(path, again, looking) == []
    with torch.inference_mode():
        wanted, given = network(*inputs), again.eval()(*inputs)
    for key, value in wanted.items():
        torch.testing.assert_close(given[key], value, atol=2e-3, rtol=2e-3)


def test_cards_are_needed(released: tuple[BayesianContextNet, Path], tmp_path: Path) -> None:
    _, path = released
    bare = tmp_path / 'bare.onnx'
    bare.write_bytes(path.read_bytes())
    with pytest.raises(PerceptionError):
        initialise_from_released(bare, BayesianContextNet(), task())
