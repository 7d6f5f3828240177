# SPDX-License-Identifier: Apache-2.0
"""How an estimated trajectory is aligned with the ground truth before positions are compared."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.geometry.se3 import inverse, umeyama
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['ALIGNMENTS', 'Alignment']

ALIGNMENTS = ('none', 'origin', 'se3', 'sim3')
_EVO = {
    'none': (), 'origin': ('--align_origin',), 'se3': ('--align',),
    'sim3': ('--align', '--correct_scale'),
}  # fmt: skip


@dataclass(frozen=True)
class Alignment:
    """An alignment as ``evo`` names it, and over which poses it is fitted.

    Attributes
    ----------
    kind : 'none' (each as it is), 'origin' (first poses coincide), 'se3' (least squares over the
        positions, S. Umeyama, PAMI 1991), 'sim3' (the same with a scale).
    first : se3 and sim3 are fitted over so many poses from the start; 0 = over all.
    """

    kind: str = 'se3'
    first: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ALIGNMENTS:
            raise PerceptionError(
                f'no alignment {self.kind!r}; there are {", ".join(ALIGNMENTS)}'
            )
        if self.first < 0 or (self.first and self.kind in ('none', 'origin')):
            raise PerceptionError(
                'the number of first poses is positive and goes with se3 or sim3'
            )

    def __str__(self) -> str:
        return f'{self.kind} over the first {self.first} poses' if self.first else self.kind

    @property
    def evo_options(self) -> tuple[str, ...]:
        """Options of evo_ape and evo_traj that do the same."""
        return _EVO[self.kind] + (('--n_to_align', str(self.first)) if self.first else ())

    def positions(self, estimate: FloatArray, truth: FloatArray) -> FloatArray:
        """Return the estimated positions [N, 3] in the world of the ground truth, metres.

        Where all positions lie on one line the rotation about it is free; it moves no position,
        so the result is unique all the same. NaN if a scale is asked of a vehicle at rest.

        Parameters
        ----------
        estimate, truth : poses [N, 4, 4], N >= 1, in order of time.
        """
        points = estimate[:, :3, 3]
        if self.kind == 'none':
            return points
        if self.kind == 'origin':
            truth_from_estimate = truth[0] @ inverse(estimate[0])
            moved = points @ truth_from_estimate[:3, :3].T + truth_from_estimate[:3, 3]
            return np.asarray(moved)
        count = self.first or len(points)
        fit, scale = umeyama(
            points[:count], truth[:count, :3, 3], with_scale=self.kind == 'sim3', unique=False
        )
        return np.asarray(scale * points @ fit[:3, :3].T + fit[:3, 3])
