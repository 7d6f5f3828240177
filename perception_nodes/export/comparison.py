# SPDX-License-Identifier: Apache-2.0
"""What trainings beside a released one gave, for its card: parts left out, other networks."""

from collections.abc import Mapping
from pathlib import Path

from perception_nodes.files.atomic import read_file
from perception_nodes.files.documents import decode_json
from perception_nodes.types import DataError, PerceptionError

LOG = 'log.jsonl'
MOST_LOG_BYTES = 1 << 28
KEPT = (
    'step', 'miou', 'ece', 'auroc_error', 'ause', 'aleatoric', 'epistemic', 'logit_variance',
)


def comparison_results(steps: Mapping[str, int | None], runs: Path) -> dict[str, dict[str, float]]:
    """Return the last evaluation of each recipe that was trained to its end: recipe -> metrics.

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
        text = read_file(log, 'log', MOST_LOG_BYTES).decode()
        lines = [decode_json(line, dict[str, float | None]) for line in text.splitlines()]
        evaluations = [values for values in lines if 'loss' not in values]
        last = evaluations[-1] if evaluations else {}
        return {key: round(value, 5) for key, value in last.items()
                if key.endswith(KEPT) and value is not None}
    except (PerceptionError, UnicodeDecodeError) as error:
        raise DataError(f'{log} is not the log of a training ({error})') from None
