# SPDX-License-Identifier: Apache-2.0
"""One task on several sequences of a data set: each by itself, and the mean over them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.evaluation.evaluate import Evaluation
from perception_nodes.types import PerceptionError

__all__ = ['combined_result', 'sequence_names']


def sequence_names(roots: Sequence[Path]) -> tuple[str, ...]:
    """Name the sequences by the last parts of their paths that differ.

    Raises
    ------
    PerceptionError
        If two are one folder.
    """
    parts = [root.absolute().parts for root in roots]
    if len(set(parts)) < len(parts):
        raise PerceptionError('--root names one sequence twice')
    for count in range(1, max(map(len, parts)) + 1):
        names = tuple('/'.join(part[-count:]) for part in parts)
        if len(set(names)) == len(names):
            break
    return names


def combined_result(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return the JSON of several sequences, by name: the form of one, with means.

    ``metrics`` and ``peers`` are means over the sequences that have the metric (a length of 800 m
    need not fit into all), ``ms_per_frame`` is over the calls of all; ``sequences`` holds each.
    """
    results = {name: evaluation.result() for name, evaluation in evaluations.items()}
    call_ms = [ms for evaluation in evaluations.values() for ms in evaluation.ours.call_ms]
    first = next(iter(results.values()))
    return {
        **first,
        'frames': sum(result['frames'] for result in results.values()),
        'metrics': _means([result['metrics'] for result in results.values()]),
        'peers': {
            peer: _means([result['peers'][peer] for result in results.values()])
            for peer in first['peers']
        },
        'ms_per_frame': {f'p{q}': float(np.percentile(call_ms, q)) for q in (50, 99)},
        'sequences': {
            name: {key: result[key] for key in ('frames', 'metrics', 'peers', 'ms_per_frame')}
            for name, result in results.items()
        },
    }


def _means(numbers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for values in numbers for name in values)
    return {
        name: float(np.mean([values[name] for values in numbers if name in values]))
        for name in names
    }
