# SPDX-License-Identifier: Apache-2.0
"""Weights of one training as the beginning of another."""

import pytest
import torch
from torch import nn

from perception_nodes.training.checkpoint import TrainingState, save_checkpoint
from perception_nodes.training.transplant import transplant
from perception_nodes.types import PerceptionError


def save(path, network):
    average = nn.Sequential(*(type(layer)(3, 3) for layer in network))
    for parameter in average.parameters():
        nn.init.constant_(parameter, 0.25)
    optimizer = torch.optim.AdamW(network.parameters())
    save_checkpoint(path, TrainingState('other', 'other'), network, average, optimizer)


def test_the_averaged_weights_of_the_same_names_are_taken(tmp_path):
    path = tmp_path / 'checkpoint.safetensors'
    save(path, nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))
    part = nn.Sequential(nn.Linear(3, 3))
    assert transplant(path, part) == 2
    assert all((parameter == 0.25).all() for parameter in part.parameters())


def test_a_part_that_is_not_in_the_checkpoint_is_refused(tmp_path):
    path = tmp_path / 'checkpoint.safetensors'
    save(path, nn.Sequential(nn.Linear(3, 3)))
    with pytest.raises(PerceptionError, match=r'does not hold 2 of 2 tensors, first 0\.weight'):
        transplant(path, nn.Sequential(nn.Linear(3, 4)))
    with pytest.raises(PerceptionError, match='no checkpoint'):
        transplant(tmp_path / 'none', nn.Sequential(nn.Linear(3, 3)))
