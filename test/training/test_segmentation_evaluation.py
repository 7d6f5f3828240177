# SPDX-License-Identifier: Apache-2.0
"""One evaluation for every segmentation network, on networks whose answers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.networks.bayesian_context_net import BayesianContextNet
from perception_nodes.networks.segnet import SegNet
from perception_nodes.training.segmentation_batches import Scene
from perception_nodes.training.segmentation_evaluation import (
    SegmentationEvaluation,
    probabilities,
    sampled_logits,
)


class Brightness(nn.Module):
    """Sky where it is bright, road where it is dark, each with probability p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.rest = nn.Parameter(torch.tensor((1 - p) / 10).log())
        self.sure = nn.Parameter(torch.tensor(p).log())

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map B 3 H W to logits B 11 H W."""
        logits = self.rest.expand(len(image), 11, *image.shape[2:]).clone()
        bright = image[:, 0] > 0
        logits[:, 0] = torch.where(bright, self.sure, self.rest)
        logits[:, 3] = torch.where(bright, self.rest, self.sure)
        return {'logits': logits}


def half_and_half(labelled: bool = True) -> Scene:
    """A bright upper and a dark lower half; a fifth of the lower one is labelled as a car."""
    image, labels = np.full((64, 96, 3), 255, np.uint8), np.zeros((64, 96), np.uint8)
    image[32:], labels[32:], labels[32:, :19] = 0, 3, 8
    return Scene(image, labels if labelled else np.full_like(labels, 255), 'made')


def test_merged_classes_are_evaluated_by_the_sum_of_their_parts() -> None:
    """Sky above is right; of the road below, a fifth is labelled as vehicles."""
    scene = half_and_half()
    ids = np.select([scene.labels == 0, scene.labels == 3], [6, 0], 3).astype(np.uint8) + 11
    evaluation = SegmentationEvaluation({'idd': [replace(scene, labels=ids)]}, merged=('idd',))
    with torch.inference_mode():
        result = evaluation(Brightness(0.9))
    assert result['idd_accuracy'] == pytest.approx(1 - 19 / 192)
    assert result['idd_iou_sky'] == 1 and result['idd_iou_vehicles'] == 0
    assert 'idd_iou_car' not in result


def test_figures_of_a_known_network() -> None:
    evaluation = SegmentationEvaluation(
        {'val': [half_and_half()] * 2, 'kitchen': [half_and_half(labelled=False)]}
    )
    with torch.inference_mode():
        result = evaluation(Brightness(0.9))
    right = 1 - 19 / 192
    assert result['val_accuracy'] == pytest.approx(right)
    assert result['val_iou_sky'] == 1 and result['val_iou_car'] == 0
    assert result['val_ece'] == pytest.approx(abs(right - 0.9), abs=1e-4)
    assert result['val_nll'] == pytest.approx(
        -(right * math.log(0.9) + (1 - right) * math.log(0.01)), rel=1e-4
    )
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.01)) / math.log(11)
    assert result['val_aleatoric'] == pytest.approx(entropy, rel=1e-3)
    assert result['kitchen_aleatoric'] == pytest.approx(entropy, rel=1e-3)
    assert not any(key.startswith('kitchen_iou') or 'epistemic' in key for key in result)


def test_every_nth_image_only() -> None:
    evaluation = SegmentationEvaluation({'val': [half_and_half()] * 5}, every=4)
    assert len(evaluation.sets['val']) == 2


@pytest.mark.parametrize('network', [
    BayesianContextNet(dropout=0.5),
    SegNet(groups=((4,), (4,)), dropout=0.5, dropout_groups=1),
], ids=['masks', 'dropout layers'])
def test_samples_differ_and_epistemic_is_what_they_disagree_about(network: nn.Module) -> None:
    network.eval()
    scene = half_and_half()
    with torch.inference_mode():
        samples = probabilities(sampled_logits(network, scene, 3), scene)
        assert samples.shape == (3, 11, 64, 96)
        assert not torch.allclose(samples[0], samples[1], atol=1e-4)
        assert sampled_logits(network, scene, 0).shape[0] == 1
        evaluation = SegmentationEvaluation({'val': [scene]}, samples=3)
        result, again = evaluation(network), evaluation(network)
        torch.manual_seed(0)
        spread = sampled_logits(network, scene, 3).numpy().var(0).mean()
    assert result['val_epistemic'] > 1e-6
    assert result['val_logit_variance'] == pytest.approx(spread, rel=1e-4)
    assert again == result, 'the draws repeat'


def test_the_flipped_image_is_evaluated_together_with_the_plain_one() -> None:
    class SkyOnTheLeft(nn.Module):
        """Sure of it, whatever the image shows."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            chances = torch.full((1, 11, 64, 96), 0.01)
            chances[:, 0, :, :48] = 0.9
            chances[:, 8, :, 48:] = 0.9
            return {'logits': chances.log()}

    labels = np.zeros((64, 96), np.uint8)
    labels[:, 48:] = 8
    scene = Scene(np.zeros((64, 96, 3), np.uint8), labels, 'made')
    with torch.inference_mode():
        result = SegmentationEvaluation({'val': [scene]}, flip=True)(SkyOnTheLeft())
    assert result['val_nll'] == pytest.approx(-math.log(0.9), rel=1e-4)
    assert result['val_flipped_nll'] == pytest.approx(-math.log((0.9 + 0.01) / 2), rel=1e-4)
