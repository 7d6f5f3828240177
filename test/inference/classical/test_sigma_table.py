# SPDX-License-Identifier: Apache-2.0
"""A table of sigma holds what it was fitted to."""

import numpy as np
import pytest

from perception_nodes.export.classical_sigma import Errors, fit, reached
from perception_nodes.inference.classical.sigma_table import SigmaTable
from perception_nodes.types import PerceptionError


def test_rows_are_gaps_columns_are_spreads_and_no_gap_is_the_last_row() -> None:
    table = SigmaTable((1.0,), (5.0,), ((1, 2), (3, 4), (5, 6)))
    gap = np.array([0.0, 0.9, 1.0, 9.0, np.nan])
    assert table(gap, np.zeros(5)).tolist() == [1, 1, 3, 3, 5]
    assert table(gap, np.full(5, 5.0)).tolist() == [2, 2, 4, 4, 6]


def test_a_fit_on_gaussian_errors_is_their_sigma_and_covers_others() -> None:
    rng = np.random.default_rng(0)

    def draw(count: int) -> Errors:
        gap = rng.choice([0.5, 2.0, np.nan], count)
        true = np.select([gap == 0.5, gap == 2.0], [0.1, 1.0], 5.0)
        return Errors(np.abs(rng.normal(0, true)), gap, np.zeros(count))

    table = fit([draw(30_000), draw(30_000)], (1.0,), (5.0,))
    assert np.allclose(np.array(table.sigma)[:, 0], [0.1, 1.0, 5.0], rtol=0.03)
    # No error had a large spread: such pixels get no less than the others of their row.
    assert np.allclose(np.array(table.sigma)[:, 1], np.array(table.sigma)[:, 0])
    found = reached(table, draw(30_000))
    assert found['coverage1'] == pytest.approx(0.683, abs=0.02)
    assert found['coverage2'] == pytest.approx(0.954, abs=0.02)


@pytest.mark.parametrize('wrong', [
    ((2.0, 1.0), (1.0,), ((1, 1),) * 4), ((1.0,), (0.0,), ((1, 1),) * 3),
    ((1.0,), (1.0,), ((1, 1),) * 2), ((1.0,), (1.0,), ((1, 0),) * 3),
])
def test_a_table_that_cannot_be_is_refused(wrong: tuple) -> None:
    with pytest.raises(PerceptionError, match='sigma table'):
        SigmaTable(*wrong)


def test_the_shipped_tables_hold_on_pairs_that_they_were_not_fitted_to(shared) -> None:
    from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
    from perception_nodes.export.classical_sigma import sgbm_errors
    from perception_nodes.inference.classical.sgbm import SGBM_CARD

    scene = MiddleburyStereo(shared / 'data' / 'middlebury_stereo')[0]
    truth = np.where(scene.visible, scene.disparity_px, np.nan)
    found = reached(
        SigmaTable.of(SGBM_CARD.calibration), sgbm_errors(scene.left, scene.right, truth)
    )
    assert 0.6 < found['coverage1'] < 0.92 and found['coverage2'] > 0.85 and found['ause'] < 0.4
