# SPDX-License-Identifier: Apache-2.0
"""One sigma of a method that has none: read off a table by what shows how wrong it may be.

The rows are classes of the gap there and back (left-right, forward-backward), the columns classes
of how much the answer changes around the pixel: matches that do not come home and pixels at edges
are the ones that err. Each cell holds the geometric mean of the 68.3 % quantile of the errors and
half their 95.4 % quantile, so that one and two sigma have nearly nominal coverage although the
errors have long tails (``export.classical_sigma`` fits it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception_nodes.types import FloatArray, PerceptionError


@dataclass(frozen=True)
class SigmaTable:
    """A fitted table.

    Attributes
    ----------
    gap_edges, spread_edges : where each next class starts, ascending; the first starts at 0.
    sigma : a row for each class of the gap and one for pixels without a gap, a column for each
        class of the spread.
    """

    gap_edges: tuple[float, ...]
    spread_edges: tuple[float, ...]
    sigma: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ('gap_edges', 'spread_edges'):
            edges = getattr(self, name)
            if any(not low < high for low, high in zip((0, *edges), edges, strict=False)):
                raise PerceptionError(f'{name} of a sigma table must ascend from 0: {edges}')
        shape = (len(self.gap_edges) + 2, len(self.spread_edges) + 1)
        if np.shape(self.sigma) != shape or not np.all(np.asarray(self.sigma) > 0):
            raise PerceptionError(f'a sigma table of {shape} holds positive numbers')

    @staticmethod
    def of(calibration: Mapping[str, Any]) -> 'SigmaTable':
        """Read it off a card's calibration."""
        return SigmaTable(
            tuple(calibration['gap_edges']), tuple(calibration['spread_edges']),
            tuple(tuple(row) for row in calibration['sigma']),
        )

    def cells(self, gap: FloatArray, spread: FloatArray) -> tuple[NDArray[np.intp], ...]:
        """Row and column of each pixel; a gap that is not finite has the last row."""
        row = np.digitize(np.nan_to_num(gap), self.gap_edges)
        row = np.where(np.isfinite(gap), row, len(self.gap_edges) + 1)
        return row, np.digitize(spread, self.spread_edges)

    def __call__(self, gap: FloatArray, spread: FloatArray) -> FloatArray:
        """Sigma of each pixel, float32, in the table's unit."""
        return np.asarray(self.sigma, np.float32)[self.cells(gap, spread)]
