# SPDX-License-Identifier: Apache-2.0
"""Training batches: shapes, repetition, and the match between images that they promise."""

from itertools import islice

import pytest

torch = pytest.importorskip('torch')

from perception_nodes.simulation.cache import RenderedCache  # noqa: E402
from perception_nodes.simulation.filling import fill_cache  # noqa: E402
from perception_nodes.simulation.random_views import ViewConfig  # noqa: E402
from perception_nodes.simulation.scene.street_world import WorldConfig  # noqa: E402
from perception_nodes.simulation.torch_batches import (  # noqa: E402
    CachedBatches,
    rendered_batches,
)
from perception_nodes.types import PerceptionError  # noqa: E402

SMALL = ViewConfig(height=64, width=96, views_per_world=2)


@pytest.fixture(scope='module')
def cache(tmp_path_factory, views):
    """Two cached samples."""
    folder = tmp_path_factory.mktemp('cache')
    fill_cache(folder, lambda start: iter(views[start:]), 2)
    return RenderedCache(folder)


def test_cached_batches(cache):
    batches = CachedBatches(cache, 3, 48, 64)
    one, two, other = batches.batch(5), batches.batch(5), batches.batch(6)
    assert one['left'].shape == one['older'].shape == (3, 3, 48, 64)
    assert one['flow_px'].shape == (3, 2, 48, 64)
    assert one['labels'].shape == (3, 48, 64)
    for key in one:
        torch.testing.assert_close(one[key], two[key], equal_nan=True)
    assert not torch.equal(one['left'], other['left'])
    with pytest.raises(PerceptionError, match='do not fit'):
        CachedBatches(cache, 1, 500, 64).batch(0)


def warped(image, shift_px):
    _, _, height, width = image.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    at = torch.stack([(x - shift_px[:, 0]) / (width - 1), (y - shift_px[:, 1]) / (height - 1)], -1)
    return torch.nn.functional.grid_sample(image, at * 2 - 1, align_corners=True)


def test_rendered_batches_match():
    batch = next(islice(rendered_batches(2, 2, SMALL, WorldConfig(length_m=40.0, traffic=0.5)), 1))
    shift = torch.cat([batch['disparity_px'], torch.zeros_like(batch['disparity_px'])], 1)
    for other, move, seen in (('right', shift, 'seen'), ('older', batch['flow_px'], 'flow_seen')):
        visible = batch[seen].bool() & (batch['disparity_px'] > 0)
        assert visible.float().mean() > 0.2
        error = (warped(batch[other], move.nan_to_num(1e4)) - batch['left']).abs().mean(1, True)
        still = (batch[other] - batch['left']).abs().mean(1, True)
        assert error[visible].mean() < 0.75 * still[visible].mean()
