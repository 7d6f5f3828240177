# SPDX-License-Identifier: Apache-2.0
"""Losses from which a network learns how large its own error is."""

import torch
from torch import Tensor, nn


def gaussian_nll(estimate: Tensor, truth: Tensor, log_variance: Tensor) -> Tensor:
    """Mean of (y - y^)^2 / (2 s^2) + log s over finite truth (Kendall & Gal 2017, eq 5, 8).

    Parameters
    ----------
    estimate, truth, log_variance : one shape; truth NaN = not counted; log_variance = log s^2.
    """
    known = torch.isfinite(truth)
    square = (truth[known] - estimate[known]) ** 2
    logarithm = log_variance[known]
    return (0.5 * torch.exp(-logarithm) * square + 0.5 * logarithm).mean()


def laplace_nll(estimate: Tensor, truth: Tensor, log_scale: Tensor) -> Tensor:
    """Mean of |y - y^| / b + log b over finite truth: the same for heavier tails.

    One sigma is sqrt(2) b. Parameters as of gaussian_nll, log_scale = log b.
    """
    known = torch.isfinite(truth)
    error = (truth[known] - estimate[known]).abs()
    logarithm = log_scale[known]
    return (torch.exp(-logarithm) * error + logarithm).mean()


class TaskWeights(nn.Module):
    """Weigh the losses of several tasks by learned homoscedastic noise (Kendall et al. 2018).

    Sum of ``L_i exp(-a_i) / 2 + a_i / 2`` for regression and ``L_i exp(-a_i) + a_i / 2`` for
    classification, a_i = log s_i^2 learned, 0 at the start.

    Parameters
    ----------
    tasks : name -> whether it is a classification.
    """

    def __init__(self, tasks: dict[str, bool]) -> None:
        super().__init__()
        self.tasks = dict(tasks)
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """Weighted sum; losses: one scalar a task, no more and no fewer."""
        if losses.keys() != self.tasks.keys():
            raise ValueError(f'losses of {sorted(losses)}, wanted {sorted(self.tasks)}')
        total = self.log_variance.sum() / 2
        for index, (name, classification) in enumerate(self.tasks.items()):
            factor = 1.0 if classification else 0.5
            total = total + factor * torch.exp(-self.log_variance[index]) * losses[name]
        return total
