# SPDX-License-Identifier: Apache-2.0
"""The walk through an office as what depth and places are evaluated on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.samples import DepthImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.evaluation.samples import NEIGHBOURS, PlaceQuery, Source

__all__ = ['office_mono_depth', 'office_places']

_STEP_NS = 1_000_000_000
_INDOOR_MAX_M = 10.0
# Two views show one place if they share half of it, and another if they share a tenth at most;
# between these nobody is right or wrong.
_SAME_SHARE, _OTHER_SHARE = 0.5, 0.1


class _Images(SampleSequence[int, Any]):
    """Images of the walk, each turned into a sample when it is asked for."""

    def __init__(self, walk: HololensOffice, turn: Callable[[int], Any]) -> None:
        super().__init__(range(len(walk)))
        self._turn = turn

    def read(self, entry: int) -> Any:
        """Read one sample."""
        return self._turn(entry)


def office_mono_depth(root: Path, split: str | None) -> Source:
    """Images with their registered depth."""
    walk = HololensOffice(root, split)

    def depth_image(number: int) -> DepthImage:
        frame = walk[number]
        return DepthImage(frame.name, frame.image, frame.camera, frame.depth_m)

    return Source(
        _Images(walk, depth_image), settings={'min_depth_m': 0.1, 'max_depth_m': _INDOOR_MAX_M},
        note='Depth of the HoloLens, registered, at half the size of the image.',
    )  # fmt: skip


def office_places(root: Path, split: str | None) -> Source:
    """Images that ask for earlier ones that share their view."""
    walk = HololensOffice(root, split)
    numbers = np.array(walk.entries)
    shared = walk.shared_view[np.ix_(numbers, numbers)]
    mutual = (shared + shared.T) / 2

    def query(number: int) -> PlaceQuery:
        frame = walk[number]
        first_neighbour = max(number - NEIGHBOURS, 0)
        earlier = mutual[number, :first_neighbour]
        unclear = np.flatnonzero((earlier > _OTHER_SHARE) & (earlier < _SAME_SHARE))
        return PlaceQuery(
            frame.name, number, replace(frame.image, stamp_ns=number * _STEP_NS), frame.camera,
            frozenset(np.flatnonzero(earlier >= _SAME_SHARE).tolist()),
            frozenset(unclear.tolist()) | frozenset(range(first_neighbour, number + 1)),
        )  # fmt: skip

    return Source(
        _Images(walk, query),
        note='Two images show one place if each sees half of the other on average, and another '
        f'place if a tenth or less; what lies between and the {NEIGHBOURS} images before a query '
        'do not count.',
    )  # fmt: skip
