# SPDX-License-Identifier: Apache-2.0
"""Temperature scaling (Guo et al. 2017): one number that makes confidence mean what it says."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.types import UNLABELLED, Array

BOUNDS = (0.3, 5.0)
PIXEL_STEP = 3


def fit_temperature(
    logits: Sequence[Tensor], labels: Sequence[Array],
    resize: Callable[[Tensor, tuple[int, int]], Tensor],
) -> float:
    """Temperature with the least Brier score (1950) on held-out images.

    Like the likelihood it is least for the true probabilities, but no pixel costs more than two:
    outlines are drawn a pixel off here and there, and the likelihood would have all the rest doubt
    for the sake of those few that are surely wrong.

    Parameters
    ----------
    logits : 1 K h w an image, before division by the temperature.
    labels : uint8 [H, W] an image, 255 not counted.
    resize : how probabilities 1 K h w come to H, W.
    """
    def brier(log_temperature: float) -> float:
        total, count = 0.0, 0
        for score, truth in zip(logits, labels, strict=True):
            probabilities = F.softmax(score.float() / np.exp(log_temperature), 1)
            full = resize(probabilities, truth.shape)[..., ::PIXEL_STEP, ::PIXEL_STEP]
            target = torch.from_numpy(truth[::PIXEL_STEP, ::PIXEL_STEP].astype(np.int64))[None]
            known = target != UNLABELLED
            chosen = full.gather(1, target.where(known, 0)[:, None])[:, 0]
            total += float((full.square().sum(1) - 2 * chosen + 1)[known].sum())
            count += int(known.sum())
        return total / max(count, 1)

    best = minimize_scalar(
        brier, bounds=tuple(np.log(BOUNDS)), method='bounded', options={'xatol': 0.02}
    )
    return float(np.exp(best.x))
