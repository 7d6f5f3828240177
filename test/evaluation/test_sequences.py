# SPDX-License-Identifier: Apache-2.0
"""Several sequences in one evaluation: names, means, and each sequence's own numbers."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from perception_nodes.cli.evaluate import command
from perception_nodes.evaluation.sequences import sequence_names
from perception_nodes.types import PerceptionError


def test_names_tell_the_sequences_apart() -> None:
    assert sequence_names([Path('/data/00')]) == ('00',)
    assert sequence_names([Path('/data/00'), Path('/data/01')]) == ('00', '01')
    assert sequence_names([Path('/a/00'), Path('/b/00')]) == ('a/00', 'b/00')
    with pytest.raises(PerceptionError, match='twice'):
        sequence_names([Path('/a/00'), Path('/a/00')])


def test_means_and_each_sequence(tmp_path: Path, wall_bag: Path) -> None:
    """The same bag by two names: the mean is the number of each, the frames are both."""
    other = tmp_path / 'other'
    other.symlink_to(wall_bag)
    out, paths = tmp_path / 'out.json', tmp_path / 'paths'
    words = ['visual_odometry', '--dataset', 'bag', '--root', str(wall_bag), '--root', str(other),
             '--json', str(out), '--trajectories', str(paths), '--baselines']
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(out.read_text())
    assert list(result['sequences']) == [wall_bag.name, 'other']
    single = result['sequences']['other']
    assert (single['frames'], result['frames']) == (6, 12)
    assert result['metrics'] == pytest.approx(single['metrics'])
    assert result['peers']['orb']['ate_m'] == pytest.approx(single['peers']['orb']['ate_m'])
    assert 'mean of 2 sequences: 12 frames' in done.output
    for name in result['sequences']:
        assert (paths / name / 'ours.tum').read_text().count('\n') == 6


def test_a_report_is_of_one_sequence(wall_bag: Path, tmp_path: Path) -> None:
    words = ['visual_odometry', '--dataset', 'bag', '--root', str(wall_bag), '--root', 'x',
             '--report', str(tmp_path / 'report.html')]
    with pytest.raises(PerceptionError, match='one --root'):
        CliRunner().invoke(command, words, catch_exceptions=False)
