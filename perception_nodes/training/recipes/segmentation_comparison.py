# SPDX-License-Identifier: Apache-2.0
"""Ablations of the released segmentation, and published networks for comparison.

All learn from CamVid train without drive 0001TP (another car's, at dusk) and are evaluated on val
(which shares a drive with train), on that unseen drive and on images of another kind (7-Scenes,
no labels). The budget is the same for all: the time in which one CPU core makes STEPS steps of the
released network. Published networks are as narrow as the released one has parameters, else they
would make a fiftieth of its steps. docs/segmentation.md holds the table. ``segmentation_unseen``
is the released model's own recipe without that drive: what to expect of it on unseen streets.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.training.recipe import Recipe, Task
from perception_nodes.training.recipes.segmentation import (
    RENDERED_SHARE,
    SEGMENTATION,
    segmentation_task,
)
from perception_nodes.training.segmentation_batches import Scene, read_camvid
from perception_nodes.types import UNLABELLED

UNSEEN_DRIVE = '0001TP'
STEPS = 1500
SAMPLES = 8
KITCHEN_HW, KITCHEN_EVERY = (360, 480), 2


def build_comparison(
    root: Path, seed: int, rendered_share: float = RENDERED_SHARE, share: float = 1.0,
    samples: int = 0, flip: bool = False,
) -> Task:
    """Learn from all drives but one.

    Parameters
    ----------
    share : of the images that is learned from, taken at equal steps.
    samples, flip : of the evaluation.
    """
    train = read_camvid(root / 'camvid', 'train')
    evaluated = {
        'val': read_camvid(root / 'camvid', 'val'),
        'unseen': [scene for scene in train if scene.drive == UNSEEN_DRIVE],
    }
    if (root / 'seven_scenes_redkitchen').is_dir():
        evaluated['kitchen'] = read_kitchen(root / 'seven_scenes_redkitchen')
    seen = [scene for scene in train if scene.drive != UNSEEN_DRIVE]
    return segmentation_task(
        seen[::round(1 / share)], evaluated, seed, rendered_share, samples, flip
    )


def read_kitchen(root: Path) -> list[Scene]:
    """Images without labels of a place that no street resembles, in CamVid's size."""
    height, width = KITCHEN_HW
    unknown = np.full(KITCHEN_HW, UNLABELLED, np.uint8)
    samples = list(SevenScenes(root))[::KITCHEN_EVERY]
    return [
        Scene(cv2.resize(sample.image.data, (width, height), interpolation=cv2.INTER_AREA),
              unknown, 'kitchen')
        for sample in samples
    ]


def compared(name: str, network: str, cost: float = 1.0, **how: float) -> Recipe:
    """One row of the table; cost: CPU time of a step over that of the released network."""
    return replace(
        SEGMENTATION, name=f'compare_{name}', network=network, steps=round(STEPS / cost),
        evaluate_minutes=8.0, build=partial(build_comparison, **how),
        data=f'CamVid train without {UNSEEN_DRIVE} (305 images)',
    )


COMPARISON_RECIPES = (
    replace(
        SEGMENTATION, name='segmentation_unseen', steps=12000,
        build=partial(build_comparison, samples=SAMPLES, flip=True),
        data=f'CamVid train without {UNSEEN_DRIVE} (305 images), rendered streets',
    ),
    compared('released', 'bayesian_context_net', samples=SAMPLES),
    compared('without_rendered', 'bayesian_context_net', samples=SAMPLES, rendered_share=0),
    compared('without_uncertainty', 'bayesian_context_net_plain'),
    compared('half', 'bayesian_context_net', samples=SAMPLES, rendered_share=0, share=0.5),
    compared('quarter', 'bayesian_context_net', samples=SAMPLES, rendered_share=0, share=0.25),
    compared('segnet', 'segnet_slim', 2.1),
    compared('bayesian_segnet', 'bayesian_segnet_slim', 2.3, samples=SAMPLES // 2),
    compared('unet', 'unet_slim', 2.5),
    compared('deeplabv3', 'deeplabv3_slim', 1.5),
)
