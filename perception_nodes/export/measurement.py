# SPDX-License-Identifier: Apache-2.0
"""Results of a release on its evaluation data, for its card."""

from collections.abc import Callable
from pathlib import Path

from perception_nodes.evaluation.evaluate import evaluate
from perception_nodes.export.comparison import comparison_results
from perception_nodes.export.release import Release
from perception_nodes.training.recipes import RECIPES

__all__ = ['measure_release']


def measure_release(
    release: Release, model: Path, data: Path, runs: Path,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, float]]:
    """Evaluate a model on those of its data sets that are there, and look up what it is beside.

    Parameters
    ----------
    model : NAME.onnx, its card beside it. data : folder of all data sets.
    runs : folder of the trainings; those that the release is compared with are read there.
    note : called with a line for each data set.

    Returns
    -------
    data set and split, or recipe -> metrics.
    """
    results = {}
    for dataset, folder, split in release.evaluated_on:
        name = ' '.join(part for part in (dataset, split) if part)
        if not (data / folder).is_dir():
            note(f'{name}: not measured, {data / folder} is missing')
            continue
        evaluation = evaluate(
            release.task, dataset, data / folder, split=split, model=model,
            backend='onnxruntime', precision='fp32', threads=1,
        )
        results[name] = {key: round(value, 4) for key, value in evaluation.ours.metrics.items()}
    steps = {other: RECIPES[other].steps for other in release.compared_with}
    results |= comparison_results(steps, runs)
    for name, metrics in results.items():
        note(f'{name}: ' + ', '.join(f'{key} {value:.4g}' for key, value in metrics.items()))
    return results
