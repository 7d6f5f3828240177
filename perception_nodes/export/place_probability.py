# SPDX-License-Identifier: Apache-2.0
"""How probable it is that a candidate is the same place, fitted on walks that come back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.export.release import Calibration
from perception_nodes.geometry import se3
from perception_nodes.inference import Runner, open_runner
from perception_nodes.inference.model_card import ModelCard
from perception_nodes.metrics.calibration import ReliabilityBins
from perception_nodes.pipelines.place_recognition import (
    PlaceRecognitionConfig,
    PlaceRecognitionPipeline,
)
from perception_nodes.types import Array, Camera, FloatArray, Image

WALKS = {'loop_matrix': 'rtabmap_corridor', 'seven_scenes': 'seven_scenes_redkitchen'}
RIDGE = 1e-2
NEIGHBOURS = 10  # frames beside a query in time do not count
SAME_M, SAME_RAD = 0.5, np.radians(30.0)
SECOND_NS = 10**9


class TorchRunner:
    """A network that is not exported yet, as pipelines see models."""

    backend = 'torch'

    def __init__(self, name: str, graph: nn.Module) -> None:
        self.card = ModelCard(name=name, task=name)
        self._graph = graph

    def run(self, inputs: Any, outputs: Any = None) -> dict[str, Array]:
        """Describe ``image``."""
        del outputs
        with torch.inference_mode():
            return {'descriptor': self._graph(torch.from_numpy(inputs['image'])).numpy()}

    def close(self) -> None:
        """Nothing to free."""


def fit_probability(graph: nn.Module, data_root: Path) -> Calibration:
    """Fit (bias, similarity, log(1 + inliers)) on the walks that are there; {} without any.

    The calibration error of each walk is that of a fit on the others.
    """
    features = open_runner('features', backend='onnxruntime')
    walks = {
        dataset: np.array(list(candidates(graph, features, dataset, data_root / folder)))
        for dataset, folder in WALKS.items() if (data_root / folder).is_dir()
    }
    if not walks:
        return {}
    errors = {
        held_out: round(calibration_error(
            logistic(np.concatenate([rows for name, rows in walks.items() if name != held_out])),
            walks[held_out],
        ), 4)
        for held_out in walks if len(walks) > 1
    }
    weights = logistic(np.concatenate(list(walks.values())))
    return {
        'probability': [round(float(value), 4) for value in weights],
        'probability_fitted_on': ', '.join(sorted(walks)), 'probability_ece_held_out': errors,
    }


def candidates(
    graph: nn.Module, features: Runner, dataset: str, root: Path
) -> Iterator[tuple[float, float, bool]]:
    """Similarity, inliers (0 unless verified) and truth of every candidate of a walk."""
    config = PlaceRecognitionConfig(
        min_similarity=-1.0, candidates=5, verified=5, recency_s=float(NEIGHBOURS),
        add_interval_s=0.0, add_similarity=1.0,
    )
    pipeline = PlaceRecognitionPipeline(
        TorchRunner('place_recognition', graph), config, features
    )
    images, same = WALK_READERS[dataset](root)
    for number, image in enumerate(images):
        focal = float(image.width)  # nominal: without depth only rotation depends on it
        camera = Camera.pinhole(
            image.width, image.height, focal, focal, (image.width - 1) / 2, (image.height - 1) / 2
        )
        stamped = Image(image.data, number * SECOND_NS)
        for match in pipeline(stamped, camera).matches:
            then = match.place_stamp_ns // SECOND_NS
            if number - then > NEIGHBOURS:
                inliers = match.inliers if match.verified else 0
                yield match.similarity, float(inliers), bool(same[number, then])


def read_loop_matrix(root: Path) -> tuple[list[Image], Array]:
    """Images in visiting order and which show one place."""
    walk = LoopMatrix(root)
    return [sample.image for sample in walk], walk.same_place


def read_seven_scenes(root: Path) -> tuple[list[Image], Array]:
    """Frames in their order; one place is within 0.5 m and 30 degrees."""
    frames = list(SevenScenes(root, None))
    motions = [
        [se3.inverse(a.world_from_camera) @ b.world_from_camera for b in frames] for a in frames
    ]
    same = [
        [np.linalg.norm(m[:3, 3]) <= SAME_M and se3.rotation_angle_rad(m) <= SAME_RAD for m in row]
        for row in motions
    ]
    return [frame.image for frame in frames], np.array(same)


WALK_READERS = {'loop_matrix': read_loop_matrix, 'seven_scenes': read_seven_scenes}


def logistic(rows: FloatArray) -> FloatArray:
    """Weights (bias, similarity, log(1 + inliers)) with the least negative log likelihood."""
    inputs = np.column_stack([np.ones(len(rows)), rows[:, 0], np.log1p(rows[:, 1])])
    truth = rows[:, 2]

    def cost(weights: FloatArray) -> float:
        logit = inputs @ weights
        return float(np.mean(np.logaddexp(0, logit) - truth * logit) + RIDGE * weights[1:] @
                     weights[1:] / len(rows))

    return np.asarray(minimize(cost, np.zeros(3), method='BFGS').x)


def calibration_error(weights: FloatArray, rows: FloatArray) -> float:
    """Expected calibration error of the probability on other candidates."""
    inputs = np.column_stack([np.ones(len(rows)), rows[:, 0], np.log1p(rows[:, 1])])
    probability = 1 / (1 + np.exp(-inputs @ weights))
    bins = ReliabilityBins(10)
    bins.update(probability, rows[:, 2] > 0.5)
    return bins.compute()['ece']
