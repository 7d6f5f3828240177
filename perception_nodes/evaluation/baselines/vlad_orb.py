# SPDX-License-Identifier: Apache-2.0
"""Place recognition by VLAD of ORB (Jegou et al. 2010), ORB matches verified by geometry."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from perception_nodes.evaluation.baselines.orb_vocabulary import SIGNS
from perception_nodes.inference.model_card import ModelCard
from perception_nodes.inference.runner import RunnerState
from perception_nodes.pipelines.place_recognition import (
    PlaceRecognitionConfig,
    PlaceRecognitionPipeline,
)
from perception_nodes.types import Array

FEATURES = 800
# Cosines of VLAD vectors are small even for one place; fitted on nothing, by eye.
PROBABILITY = (-7.0, 12.0, 1.6)


class VladOfOrb:
    """A Runner whose descriptor is the sum of ORB's residuals around each word."""

    backend = 'opencv'

    def __init__(self) -> None:
        self.card = ModelCard(name='vlad_orb', task='place_recognition')

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Describe ``image``."""
        grey = cv2.cvtColor(np.asarray(inputs['image'][0], np.uint8), cv2.COLOR_RGB2GRAY)
        _, bits = cv2.ORB_create(FEATURES).detectAndCompute(grey, None)
        return {'descriptor': vlad(bits)[None]}

    def state(self) -> RunnerState:
        """Say that OpenCV serves."""
        return RunnerState(self.backend)

    def close(self) -> None:
        """Nothing to free."""


def vlad(bits: Array | None) -> Array:
    """Vector [32 * 256] of unit length of ORB descriptors uint8 [N, 32].

    Residuals are summed by word, each word's sum gets unit length, then all (intra-normalisation,
    Arandjelovic & Zisserman 2013). An image without a corner gets the same vector as any such.
    """
    words = np.zeros_like(SIGNS)
    if bits is not None and len(bits):
        signs = np.unpackbits(bits, axis=1).astype(np.float32) * 2 - 1
        nearest = (signs @ SIGNS.T).argmax(axis=1)
        np.add.at(words, nearest, signs - SIGNS[nearest])
        words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-6)
    else:
        words[0, 0] = 1.0
    return (words / max(float(np.linalg.norm(words)), 1e-6)).ravel()


class VladOrbPipeline(PlaceRecognitionPipeline):
    """The pipeline of the released model, with this descriptor and ORB in its place."""

    def __init__(self, config: PlaceRecognitionConfig | None = None) -> None:
        super().__init__(
            VladOfOrb(), config or PlaceRecognitionConfig(min_similarity=0.0), None
        )
        if self.config.probability is None:
            self._weights = PROBABILITY
