# SPDX-License-Identifier: Apache-2.0
"""What diagnostics are told of the pipelines' limits."""

from types import SimpleNamespace

from perception_nodes.ros.tasks.loading import Loaded


def loaded(**pipelines: object) -> Loaded:
    return Loaded(SimpleNamespace(pipelines=pipelines), {})


def test_the_nearest_depth_is_told_once_a_pair_was_seen() -> None:
    assert loaded().figures() == {}
    assert loaded(stereo_depth=SimpleNamespace(nearest_m=None)).figures() == {}
    stereo = SimpleNamespace(nearest_m=0.26789)
    assert loaded(stereo_depth=stereo).figures() == {'stereo_depth sees from': '0.268 m on'}
