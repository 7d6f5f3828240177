# SPDX-License-Identifier: Apache-2.0
"""Fits the sigma tables of the classical methods, and says what they reach on held-out data.

``python -m perception_nodes.export.classical_sigma ../shared/data`` prints, for the cards of
``inference.classical``, the tables and the figures on held-out data.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_flow import KittiFlow
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.geometry.stereo import disparity_from_depth
from perception_nodes.inference.classical.dis import DIS_CARD, dense_inverse_search, flow_both_ways
from perception_nodes.inference.classical.sgbm import SGBM_CARD, match_both_ways
from perception_nodes.inference.classical.sigma_table import SigmaTable
from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.metrics.uncertainty import Sparsification
from perception_nodes.pipelines.images import grey
from perception_nodes.simulation.drive import DriveConfig, drive
from perception_nodes.types import FloatArray, Image

_FEWEST = 300  # errors that a cell needs to estimate a quantile
_ONE, _TWO = 0.6827, 0.9545


@dataclass(frozen=True)
class Errors:
    """Absolute errors of pixels with ground truth, and by what their sigma is read off.

    Attributes
    ----------
    error, gap, change : [N] in the table's unit; the gap NaN where there is none.
    """

    error: FloatArray
    gap: FloatArray
    change: FloatArray

    @staticmethod
    def joined(parts: Iterable['Errors']) -> 'Errors':
        """Put the pixels of several images together."""
        all_parts = list(parts)
        return Errors(*(
            np.concatenate([getattr(part, name) for part in all_parts])
            for name in ('error', 'gap', 'change')
        ))


def fit(
    sets: Iterable[Errors], gap_edges: tuple[float, ...], spread_edges: tuple[float, ...]
) -> SigmaTable:
    """Fit a table: every data set weighs the same in every cell that it knows.

    A cell that no set knows takes the largest sigma of its row.
    """
    empty = ((1.0,) * (len(spread_edges) + 1),) * (len(gap_edges) + 2)
    cells = SigmaTable(gap_edges, spread_edges, empty)
    logs: list[FloatArray] = []
    for part in sets:
        row, column = cells.cells(part.gap, part.change)
        found = np.full(np.shape(empty), np.nan)
        for cell in np.ndindex(*found.shape):
            inside = part.error[(row == cell[0]) & (column == cell[1])]
            if inside.size >= _FEWEST:
                one, two = np.quantile(inside, (_ONE, _TWO))
                found[cell] = 0.5 * np.log(max(one, 1e-9) * max(two / 2, 1e-9))
        logs.append(found)
    stack = np.stack(logs)
    known = np.isfinite(stack)
    mean = np.nansum(stack, axis=0) / np.maximum(known.sum(axis=0), 1)
    largest = np.where(known.any(axis=0), mean, -np.inf).max(axis=1, keepdims=True)
    mean = np.where(known.any(axis=0), mean, largest)
    sigma = tuple(tuple(float(f'{value:.3g}') for value in row) for row in np.exp(mean))
    return SigmaTable(gap_edges, spread_edges, sigma)


def reached(table: SigmaTable, part: Errors) -> dict[str, float]:
    """Coverage of one and two sigma, and how well sigma sorts the errors."""
    sigma = table(part.gap, part.change)
    calibration, sparsification = GaussianCalibration(), Sparsification()
    calibration.update(part.error, sigma)
    sparsification.update(sigma, part.error)
    found = {**calibration.compute(), **sparsification.compute()}
    return {name: round(found[name], 3) for name in ('coverage1', 'coverage2', 'ause')}


def sgbm_errors(left: Image, right: Image, truth_px: FloatArray) -> Errors:
    """Errors of one pair, in widths."""
    disparity, gap, change = match_both_ways(grey(left), grey(right))
    error = np.abs(disparity - truth_px) / left.width
    known = np.isfinite(error)
    return Errors(error[known], gap[known], change[known])


def dis_errors(older: Image, newest: Image, flow_px: FloatArray) -> Errors:
    """Errors of both components of one pair's flow, on the newest grid."""
    found, gap, change = flow_both_ways(dense_inverse_search(), grey(older), grey(newest))
    known = np.isfinite(flow_px).all(axis=2)
    error = np.abs(found - flow_px)[known]
    return Errors(error.ravel(), np.repeat(gap[known], 2), np.repeat(change[known], 2))


def _kitti(root: Path, numbers: slice) -> Iterator[Errors]:
    pairs = KittiStereo(root / 'kitti_stereo_2015')
    for index in range(len(pairs))[numbers]:
        pair = pairs[index]
        yield sgbm_errors(pair.left, pair.right, pair.disparity_px)


def _drive(root: Path, split: str) -> Iterator[Errors]:
    frames = KittiDrive(root / 'kitti_drive_0926', split)
    for index in frames.with_depth():
        frame = frames[index]
        assert frame.depth_m is not None
        truth = disparity_from_depth(frame.depth_m, frame.rig.focal_px, frame.rig.baseline_m)
        yield sgbm_errors(frame.left, frame.right, truth)


def _middlebury(root: Path) -> Iterator[Errors]:
    for scene in MiddleburyStereo(root / 'middlebury_stereo'):
        truth = np.where(scene.visible, scene.disparity_px, np.nan)
        yield sgbm_errors(scene.left, scene.right, truth)


def _flow_pairs(root: Path, kind: str, numbers: slice) -> Iterator[Errors]:
    """Pairs whose truth is on the first image's grid: that one is taken for the newest."""
    reader = MiddleburyFlow(root / kind) if kind == 'middlebury_flow' else KittiFlow(root / kind)
    for index in range(len(reader))[numbers]:
        pair = reader[index]
        yield dis_errors(pair.second, pair.first, -pair.forward_flow_px)


def _rendered(speeds_mps: dict[int, float], frames: int = 6) -> Iterator[Errors]:
    for seed, speed in speeds_mps.items():
        before = None
        for sample in islice(drive(seed, frames, config=DriveConfig(speed_mps=speed)), frames):
            if before is not None and sample.flow_px is not None:
                yield dis_errors(before, sample.left, sample.flow_px)
            before = sample.left


def main(root: Path) -> None:
    """Fit both tables and print them with what they reach."""
    even, odd = slice(0, None, 2), slice(1, None, 2)
    _print(SGBM_CARD.name, _fitted(SGBM_CARD.calibration, [
        _kitti(root, even), _drive(root, 'fit'),
    ]), {
        'KITTI 2015, odd pairs': _kitti(root, odd), 'KITTI drive, held out':
        _drive(root, 'held_out'), 'Middlebury': _middlebury(root),
    })
    _print(DIS_CARD.name, _fitted(DIS_CARD.calibration, [
        _flow_pairs(root, 'middlebury_flow', even), _flow_pairs(root, 'flying_chairs', even),
        _rendered({1: 8.0, 3: 2.0}),
    ]), {
        'Middlebury, odd pairs': _flow_pairs(root, 'middlebury_flow', odd),
        'FlyingChairs, odd pairs': _flow_pairs(root, 'flying_chairs', odd),
        'rendered streets of other seeds': _rendered({5: 6.0, 6: 2.0}),
    })


def _fitted(calibration: object, sets: list[Iterator[Errors]]) -> SigmaTable:
    edges = SigmaTable.of(calibration)  # type: ignore[arg-type]
    return fit([Errors.joined(part) for part in sets], edges.gap_edges, edges.spread_edges)


def _print(name: str, table: SigmaTable, held_out: dict[str, Iterator[Errors]]) -> None:
    print(f'{name}: sigma {json.dumps(table.sigma)}')
    for where, parts in held_out.items():
        print(f'  {where}: {json.dumps(reached(table, Errors.joined(parts)))}')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
