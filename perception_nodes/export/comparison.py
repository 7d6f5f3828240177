# SPDX-License-Identifier: Apache-2.0
"""What trainings beside a released one gave, for its card: parts left out, other networks."""

import json
from collections.abc import Mapping
from pathlib import Path

from perception_nodes.types import PerceptionError

LOG = 'log.jsonl'
KEPT = (
    'step', 'miou', 'ece', 'auroc_error', 'ause', 'aleatoric', 'epistemic', 'logit_variance',
)


def comparison_results(steps: Mapping[str, int | None], runs: Path) -> dict[str, dict[str, float]]:
    """Give the last evaluation of each recipe that was trained to its end: recipe -> metrics.

    Parameters
    ----------
    steps : budget of each recipe; a training that stopped elsewhere is left out.
    runs : folder that holds a folder a recipe, as ``perception train`` leaves it.

    Raises
    ------
    PerceptionError
        If a log cannot be read.
    """
    logs = {name: runs / name / LOG for name in steps}
    found = {name: last_evaluation(log) for name, log in logs.items() if log.is_file()}
    return {name: values for name, values in found.items() if values.get('step') == steps[name]}


def last_evaluation(log: Path) -> dict[str, float]:
    """Figures of the last evaluation in a training's log that end like one of KEPT."""
    try:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        evaluations = [values for values in lines if 'loss' not in values]
        last = evaluations[-1] if evaluations else {}
        return {key: round(value, 5) for key, value in last.items() if key.endswith(KEPT)}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise PerceptionError(f'{log} is not the log of a training ({error})') from error
