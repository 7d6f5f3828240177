# SPDX-License-Identifier: Apache-2.0
"""A card also shows the trainings that its model is compared with."""

import json
from pathlib import Path

import pytest

from perception_nodes.export.comparison import comparison_results
from perception_nodes.types import PerceptionError


def test_the_last_evaluation_of_those_that_were_trained_to_the_end(tmp_path: Path) -> None:
    (tmp_path / 'compare_half').mkdir()
    lines = [
        {'step': 50, 'minutes': 1.0, 'loss': 2.0},
        {'step': 100, 'minutes': 2.0, 'unseen_miou': 0.5123456, 'unseen_iou_sky': 0.9,
         'kitchen_epistemic': 0.01, 'unseen_ece': 0.02},
    ]
    (tmp_path / 'compare_half/log.jsonl').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    (tmp_path / 'compare_begun').mkdir()
    (tmp_path / 'compare_begun/log.jsonl').write_text(json.dumps(lines[0]) + '\n')
    (tmp_path / 'compare_quarter').mkdir()
    (tmp_path / 'compare_quarter/log.jsonl').write_text(json.dumps(lines[1]) + '\n')
    steps = {
        'compare_half': 100, 'compare_all': 100, 'compare_begun': 100, 'compare_quarter': 200,
    }
    assert comparison_results(steps, tmp_path) == {
        'compare_half': {
            'step': 100, 'unseen_miou': 0.51235, 'kitchen_epistemic': 0.01, 'unseen_ece': 0.02,
        },
    }


@pytest.mark.parametrize('content', ['{"step": 1', '[1, 2]', '{"val_miou": "high"}'])
def test_a_foreign_log_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / 'compare_half').mkdir()
    (tmp_path / 'compare_half/log.jsonl').write_text(content)
    with pytest.raises(PerceptionError, match=r'log\.jsonl is not the log of a training'):
        comparison_results({'compare_half': 100}, tmp_path)
