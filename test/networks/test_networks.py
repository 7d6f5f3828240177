# SPDX-License-Identifier: Apache-2.0
"""The contract that every network keeps."""

import inspect

import pytest
import torch
from torch import Tensor, nn

from perception_nodes.networks import NETWORKS

LARGE = ('gc_net', 'flownet_s', 'flownet_c', 'monodepth', 'sfm_learner')


def arguments(network: nn.Module, height: int = 96, width: int = 128) -> list[Tensor]:
    """Two made-up images (pairs, ...) of the smallest useful size for forward's inputs."""
    generator = torch.Generator().manual_seed(1)
    wanted = [
        name for name, parameter in inspect.signature(network.forward).parameters.items()
        if parameter.default is inspect.Parameter.empty
    ]
    return [
        torch.full((2,), 80.0) if name.startswith('focal')
        else torch.randn(2, 3, height, width, generator=generator) for name in wanted
    ]


def tensors(out: object) -> list[Tensor]:
    """All tensors of a result: a tensor, a dict or a sequence of results."""
    if isinstance(out, Tensor):
        return [out]
    parts = out.values() if isinstance(out, dict) else out
    return [tensor for part in parts for tensor in tensors(part)]


@pytest.mark.parametrize('name', sorted(NETWORKS))
def test_network(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    inputs = arguments(network, 64, 64) if name in LARGE else arguments(network)

    trained = tensors(network.train()(*inputs))
    assert trained and all(torch.isfinite(t).all() for t in trained), 'finite in training'
    sum(t.float().square().mean() for t in trained if t.requires_grad).backward()
    idle = [key for key, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle, 'every parameter learns'

    network.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        first, second = tensors(network(*inputs)), tensors(network(*inputs))
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg='evaluation repeats')
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), f'evaluation changes {key}'


@pytest.mark.parametrize(('name', 'multiple'), [
    ('unet', 16), ('segnet', 32), ('fcn', 32), ('superpoint', 8), ('place_descriptor', 16),
])
def test_sides_that_do_not_fit_are_refused(name: str, multiple: int) -> None:
    network = NETWORKS[name]().eval()
    side = 4 * multiple
    with torch.inference_mode(), pytest.raises(ValueError, match=f'multiples of {multiple}'):
        network(torch.zeros(1, 3, side, side + 4))
