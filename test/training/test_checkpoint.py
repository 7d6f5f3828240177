# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are whole or not there, and say what is wrong with them."""

import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from perception_nodes.training.checkpoint import (
    FILE_NAME,
    TrainingState,
    load_weights,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from perception_nodes.training.muon import Muon
from perception_nodes.types import PerceptionError

STATE = TrainingState('recipe', 'net', step=7, seconds=3.5)


def saved(path: Path, width: int = 8, state: TrainingState = STATE) -> nn.Module:
    """Save a linear layer after one optimiser step."""
    network = nn.Linear(4, width)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    save_checkpoint(path, state, network, network, optimizer)
    return network


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    network = saved(tmp_path / FILE_NAME)
    other, average = nn.Linear(4, 8), nn.Linear(4, 8)
    optimizer = torch.optim.AdamW(other.parameters(), lr=0.5)
    assert restore(tmp_path / FILE_NAME, 'net', other, average, optimizer) == STATE
    assert torch.equal(other.weight, network.weight)
    assert torch.equal(average.weight, network.weight)
    moments = optimizer.state_dict()['state']
    assert moments[0]['step'] == 1 and moments[0]['exp_avg'].shape == (8, 4)
    assert optimizer.param_groups[0]['lr'] == 0.5


def test_another_optimiser_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / FILE_NAME)
    other = nn.Linear(4, 8)
    with pytest.raises(PerceptionError, match=r'with AdamW, not with Muon: start from it'):
        restore(tmp_path / FILE_NAME, 'net', other, other, Muon(other.parameters()))


def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    saved(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(PerceptionError, match=r'cannot write.*intact') as caught:
            saved(path, width=20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert '\n' not in str(caught.value)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(PerceptionError, match='cannot write'):
        saved(tmp_path / 'file' / 'run' / FILE_NAME)


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', None])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / FILE_NAME
    saved(path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    with pytest.raises(PerceptionError, match='damaged'):
        read_checkpoint(path)


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    saved(tmp_path / FILE_NAME)
    with pytest.raises(PerceptionError, match='holds weights of net, not of unet'):
        load_weights(tmp_path / FILE_NAME, nn.Linear(4, 8), 'unet')


def test_another_version_of_the_architecture_is_refused_by_shape(tmp_path: Path) -> None:
    saved(tmp_path / FILE_NAME)
    network = nn.Linear(4, 9)
    before = network.weight.clone()
    with pytest.raises(PerceptionError, match='2 tensors differ, first bias'):
        load_weights(tmp_path / FILE_NAME, network, 'net')
    assert torch.equal(network.weight, before)
