# SPDX-License-Identifier: Apache-2.0
"""Samples come back from the disk as they were, to half precision."""

import os
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from perception_nodes.simulation.cache import RenderedCache, write_sample
from perception_nodes.simulation.filling import fill_cache
from perception_nodes.simulation.random_views import ViewConfig, random_views
from perception_nodes.simulation.scene.street_world import WorldConfig
from perception_nodes.types import PerceptionError


def test_round_trip(tmp_path, views):
    fill_cache(tmp_path / 'cache', lambda start: iter(views[start:]), 2)
    cache = RenderedCache(tmp_path / 'cache')
    assert len(cache) == 2
    for kept, view in zip(cache, views, strict=False):
        np.testing.assert_array_equal(kept.left, view.left.data)
        np.testing.assert_array_equal(kept.older, view.older.data)
        np.testing.assert_array_equal(kept.labels, view.labels)
        np.testing.assert_allclose(kept.disparity_px, view.disparity_px, rtol=1e-3)
        np.testing.assert_allclose(kept.depth_m, view.depth_m, rtol=1e-3)
        np.testing.assert_array_equal(kept.flow_occluded, view.flow_occluded)
    assert not list((tmp_path / 'cache').glob('.*'))


def test_filling_goes_on(tmp_path, views):
    fill_cache(tmp_path, lambda start: iter(views[start:]), 1)
    told = []
    fill_cache(tmp_path, lambda start: iter(views[start:]), 2,
               lambda done, count: told.append((done, count)))
    assert told == [(2, 2)]
    np.testing.assert_array_equal(RenderedCache(tmp_path)[1].left, views[1].left.data)


SMALL = ViewConfig(height=32, width=48, views_per_world=12)
TINY = WorldConfig(length_m=30.0, weather='overcast', traffic=0.0, trees=0.0)


class Ends:
    """What ends a process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_workers_write_what_one_would_and_fill_gaps(tmp_path):
    views_from = partial(random_views, 6, SMALL, TINY)
    fill_cache(tmp_path / 'one', views_from, 14)
    told = []
    (tmp_path / 'two').mkdir()
    for number in (1, 13):  # as an interrupted filling with workers leaves them
        shutil.copy(tmp_path / 'one' / f'{number:06d}.npz', tmp_path / 'two')
    fill_cache(tmp_path / 'two', views_from, 14, lambda *counts: told.append(counts), workers=2)
    assert sorted(path.name for path in (tmp_path / 'two').iterdir()) == [
        f'{number:06d}.npz' for number in range(14)
    ]
    one, two = RenderedCache(tmp_path / 'one'), RenderedCache(tmp_path / 'two')
    for index in range(14):
        np.testing.assert_array_equal(one[index].left, two[index].left)
        np.testing.assert_array_equal(one[index].flow_px, two[index].flow_px)
    assert told[-1] == (14, 14) and told == sorted(told) and len(told) > 2


def test_trouble_in_a_worker_is_one_line(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(PerceptionError, match='cannot write'):
        fill_cache(tmp_path / 'file', partial(random_views, 6, SMALL, TINY), 13, workers=2)
    with pytest.raises(PerceptionError, match='a rendering process ended'):
        fill_cache(tmp_path / 'cache', Ends(), 13, workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_views_can_be_had_from_a_number_on(views, view_config, quiet):
    third = next(random_views(4, view_config, quiet, start=2))
    assert third.left.data.tobytes() == views[2].left.data.tobytes()


def test_views_differ_and_are_not_inside_things(views):
    assert views[0].left.data.tobytes() != views[1].left.data.tobytes()
    assert {v.rig.focal_px for v in views} != {views[0].rig.focal_px}
    for view in views:
        assert view.labels.shape == (64, 96)
        assert np.nanmedian(view.depth_m) > 2.0


def test_mistakes_are_told(tmp_path, views):
    with pytest.raises(PerceptionError, match='no rendered samples'):
        RenderedCache(tmp_path)
    (tmp_path / '000000.npz').write_bytes(b'PK broken')
    with pytest.raises(PerceptionError, match='000000'):
        RenderedCache(tmp_path)[0]
    np.savez(tmp_path / '000001.npz', left=np.zeros(3))
    with pytest.raises(PerceptionError, match='000001'):
        RenderedCache(tmp_path)[1]
    with pytest.raises(PerceptionError, match='flow'):
        write_sample(tmp_path / '000002.npz', replace(views[0], flow_px=None))


def test_a_street_that_is_too_short_for_views_is_one_line() -> None:
    with pytest.raises(PerceptionError, match='a street of 27 m at least, not 25'):
        next(random_views(0, world_config=WorldConfig(length_m=20.0)))
