# SPDX-License-Identifier: Apache-2.0
"""Classes of an image's pixels, and how sure the model is of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.inference.model_card import ModelCard
from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import require_range, rgb_batch
from perception_nodes.pipelines.smoothing import ProbabilitySmoother
from perception_nodes.types import (
    UNLABELLED,
    Array,
    FloatArray,
    Flow,
    Image,
    PerceptionError,
    Segmentation,
)

MAX_SAMPLES = 64


@dataclass(frozen=True)
class SegmentationConfig:
    """How a mask is made.

    Attributes
    ----------
    mc_samples : dropout samples T of Bayesian SegNet; 0 = none, and no epistemic part.
    seed : of the dropout masks. One set of masks serves every frame, so that a frame's result
        depends on the frame alone and replay repeats.
    min_confidence : pixels under this probability are 255 (unlabelled), 0..1.
    flip : look at the flipped image too and average both, in twice the time and more.
    temporal : smooth the probabilities over time, along the flow where it is given.
    temporal_weight : part of the past in the smoothed probabilities, 0..0.95.
    """

    mc_samples: int = 0
    seed: int = 0
    min_confidence: float = 0.0
    flip: bool = False
    temporal: bool = False
    temporal_weight: float = 0.5

    def __post_init__(self) -> None:
        require_range('seed', self.seed, 0, 1 << 31)
        require_range('mc_samples', self.mc_samples, 0, MAX_SAMPLES)
        require_range('min_confidence', self.min_confidence, 0.0, 1.0)
        require_range('temporal_weight', self.temporal_weight, 0.0, 0.95)


def dropout_masks(card: ModelCard, samples: int, seed: int) -> FloatArray:
    """Draw the masks that a Bayesian head takes.

    Parameters
    ----------
    card : whose input ``dropout_masks`` [T, C] gives C, and whose calibration gives
        ``dropout_probability``.
    samples : T; 0 returns one row of ones: no dropout.

    Returns
    -------
    float32 [max(T, 1), C] of 0 and 1 / (1 - p).

    Raises
    ------
    PerceptionError
        If samples are wanted of a model whose card lacks its dropout probability.
    """
    channels = card.input('dropout_masks').shape[-1]
    if channels < 1:
        raise PerceptionError(
            f'the card of {card.name!r} does not state the number of channels of dropout_masks'
        )
    if samples == 0:
        return np.ones((1, channels), np.float32)
    (probability,) = card.numbers('dropout_probability', 1) or (0.0,)
    if not 0 < probability < 1:
        raise PerceptionError(
            f'mc_samples is {samples} but the card of {card.name!r} has no '
            'dropout_probability in its calibration: use mc_samples 0'
        )
    kept = np.random.default_rng(seed).random((samples, channels)) >= probability
    return (kept / (1 - probability)).astype(np.float32)


def summarise(
    probabilities: FloatArray, height: int, width: int
) -> tuple[Array, FloatArray, FloatArray]:
    """Read labels, confidence and entropy off class probabilities.

    Parameters
    ----------
    probabilities : float32 [K, h, w], sum 1 over K; sampled bilinearly to the wanted size.

    Returns
    -------
    labels uint8, confidence float32 0..1 and entropy float32 0..1 (over log K), all [H, W].
    """
    classes = probabilities.shape[0]
    full = np.stack([
        cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        for plane in probabilities
    ])
    labels = full.argmax(axis=0)
    confidence = np.take_along_axis(full, labels[None], axis=0)[0]
    entropy = -(full * np.log(np.maximum(full, 1e-12))).sum(axis=0) / np.log(classes)
    return (
        labels.astype(np.uint8), confidence.clip(0, 1).astype(np.float32),
        entropy.clip(0, 1).astype(np.float32),
    )


class SegmentationPipeline:
    """Image in, Segmentation of its size out; state only with ``temporal``."""

    def __init__(self, runner: Runner, config: SegmentationConfig | None = None) -> None:
        self.runner = for_task(runner, 'segmentation')
        self.runners = (runner,)
        self.config = config or SegmentationConfig()
        self.masks = dropout_masks(runner.card, self.config.mc_samples, self.config.seed)
        self.smoother = ProbabilitySmoother(self.config.temporal_weight)

    def reset(self) -> None:
        """Forget the past probabilities."""
        self.smoother.reset()

    def __call__(self, image: Image, flow: Flow | None = None) -> Segmentation:
        """Label one image.

        Parameters
        ----------
        flow : motion on this image's grid since the previous one; used with ``temporal`` only.
        """
        config = self.config
        coarse = config.temporal or config.flip
        wanted = ['probabilities'] if coarse else ['labels', 'confidence', 'entropy']
        if config.mc_samples:
            wanted.append('mutual_information')
        batch = rgb_batch(image)
        out = self.runner.run({'image': batch, 'dropout_masks': self.masks}, wanted)
        if config.flip:
            out = self._averaged(out, batch)
        if coarse:
            probabilities = out['probabilities'][0]
            if config.temporal:
                probabilities = self.smoother(probabilities, image, flow)
            labels, confidence, entropy = summarise(probabilities, image.height, image.width)
        else:
            labels, confidence, entropy = (out[name][0] for name in wanted[:3])
        labels = np.where(confidence >= config.min_confidence, labels, UNLABELLED)
        return Segmentation(
            stamp_ns=image.stamp_ns, frame_id=image.frame_id,
            labels=labels.astype(np.uint8),
            confidence=np.asarray(confidence, np.float32),
            entropy=np.asarray(entropy, np.float32),
            mutual_information=(
                np.asarray(out['mutual_information'][0], np.float32)
                if config.mc_samples else None
            ),
            classes=self.runner.card.classes,
        )

    def _averaged(self, out: Mapping[str, Array], batch: Array) -> dict[str, Array]:
        """Average with the same of the flipped image, laid back."""
        kept = {name: value.copy() for name, value in out.items()}  # the runner's memory is reused
        flipped = {'image': np.ascontiguousarray(batch[:, :, ::-1]), 'dropout_masks': self.masks}
        other = self.runner.run(flipped, list(kept))
        return {name: (value + other[name][..., ::-1]) / 2 for name, value in kept.items()}
