# SPDX-License-Identifier: Apache-2.0
"""The sum of several tasks' losses, weighed by how noisy each task is."""

import torch
from torch import Tensor, nn


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
