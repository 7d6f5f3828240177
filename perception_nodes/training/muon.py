# SPDX-License-Identifier: Apache-2.0
"""The optimiser of all trainings: Muon for what multiplies, Adam for biases and norms."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

# Quintic whose iteration drives singular values to about 1 (0.7 to 1.2) in five steps.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
ADAM_RMS = 0.2


class Muon(torch.optim.Optimizer):
    """Momentum whose directions are all made equally long, after Jordan et al. 2024.

    A step of a weight is the nearest orthogonal matrix to its momentum, so that rare directions
    (poles, signs) are learned as fast as common ones. Convolutions are matrices of one row an
    output channel; torch.optim.Muon takes matrices alone. Steps are as large as AdamW's usually
    are (factor 0.2 sqrt(max(rows, columns)), Liu et al. 2025, arXiv 2502.16982), so its learning
    rates and weight decays hold. Parameters of one dimension get Adam (Kingma & Ba 2015).

    Parameters
    ----------
    parameters : or groups of them, each with its own ``weight_decay`` (decoupled, as in AdamW).
    momentum : of the orthogonalised steps (Nesterov's). betas, epsilon : of Adam.
    """

    def __init__(
        self, parameters: Iterable[Tensor] | Iterable[dict[str, object]], lr: float = 1e-3, *,
        weight_decay: float = 0.0, momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8,
    ) -> None:
        super().__init__(parameters, {
            'lr': lr, 'weight_decay': weight_decay, 'momentum': momentum, 'betas': betas,
            'epsilon': epsilon,
        })

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            rate = group['lr']
            for parameter in group['params']:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - rate * group['weight_decay'])
                change = orthogonal_step if parameter.ndim > 1 else adam_step
                parameter.sub_(change(parameter.grad, self.state[parameter], group), alpha=rate)


def orthogonal_step(
    gradient: Tensor, state: dict[str, Tensor], options: Mapping[str, Any]
) -> Tensor:
    """Return what to subtract from a weight per learning rate; moves the momentum in state."""
    if not state:
        state['momentum'] = torch.zeros_like(gradient)
    momentum = state['momentum'].mul_(options['momentum']).add_(gradient)
    matrix = gradient.add(momentum, alpha=options['momentum']).flatten(1)
    scale = ADAM_RMS * float(max(matrix.shape)) ** 0.5
    return (orthogonalised(matrix) * scale).view_as(gradient)


def adam_step(gradient: Tensor, state: dict[str, Tensor], options: Mapping[str, Any]) -> Tensor:
    """Return the same for a parameter of one dimension; moves the moments in state."""
    first, second = options['betas']
    if not state:
        state['step'] = torch.zeros(())
        state['mean'], state['square'] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    state['step'] += 1
    step = int(state['step'])
    mean = state['mean'].lerp_(gradient, 1 - first)
    square = state['square'].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    deviation = (square / (1 - second**step)).sqrt_().add_(options['epsilon'])
    return mean / deviation / (1 - first**step)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Matrix R C with the same singular vectors and singular values near 1 (Newton-Schulz)."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.mT if tall else matrix).float()
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
