# SPDX-License-Identifier: Apache-2.0
"""What replay's command line makes of its options."""

import pytest
from click.testing import CliRunner

from perception_nodes.cli import replay
from perception_nodes.evaluation import replay as replaying
from perception_nodes.types import PerceptionError


class ReachedError(Exception):
    """The command got as far as the work itself."""


def run(monkeypatch, *options):
    seen = []

    def record(bag, out, settings, **_):
        seen.append(settings)
        raise ReachedError

    monkeypatch.setattr(replaying, 'replay_to_folder', record)
    with pytest.raises(ReachedError):
        CliRunner().invoke(
            replay.command, ['bag', '--out', 'out', *options], catch_exceptions=False
        )
    return seen[0]


def test_models_are_chosen_by_task(monkeypatch):
    settings = run(monkeypatch, '--model', 'stereo_depth=sgbm', '--model', 'optical_flow=/a=b')
    assert settings.models == {'stereo_depth': 'sgbm', 'optical_flow': '/a=b'}
    assert run(monkeypatch).models == {}


def test_defaults_are_those_of_the_settings(monkeypatch):
    """The command line repeats them, for `--help` must not import what works."""
    settings = run(monkeypatch)
    assert settings == replaying.ReplaySettings()


@pytest.mark.parametrize('wrong', ['sgbm', 'stereo=sgbm', 'stereo_depth='])
def test_a_model_without_its_task_is_one_clear_line(wrong):
    with pytest.raises(PerceptionError, match='wanted TASK=MODEL'):
        CliRunner().invoke(
            replay.command, ['bag', '--out', 'out', '--model', wrong], catch_exceptions=False
        )
