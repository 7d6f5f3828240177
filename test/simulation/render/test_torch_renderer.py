# SPDX-License-Identifier: Apache-2.0
"""The torch renderer sees what the numpy one sees."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from perception_nodes.simulation.render.torch_renderer import render_views, views_flow  # noqa: E402
from perception_nodes.simulation.render.torch_scene import torch_scene  # noqa: E402


@pytest.fixture(scope='module')
def scene(world):
    """The street on the CPU."""
    return torch_scene(world)


def inside(quad):
    """Pixels whose neighbours show the same quad: outlines are softened in different ways."""
    ids = quad.astype(np.float32)
    return cv2.morphologyEx(ids, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) == 0


def views_of(scene, samples, rig, supersampling=1):
    poses = np.stack([s.left_view.world_from_camera for s in samples])
    times = torch.tensor([s.left_view.time_s for s in samples])
    k = torch.tensor(rig.left.rectified_k, dtype=torch.float32).expand(len(samples), 3, 3)
    return render_views(scene, torch.tensor(poses, dtype=torch.float32), k, times, rig.left.height,
                        rig.left.width, supersampling=supersampling)


def test_depth_labels_and_instances_agree(scene, samples, rig):
    views = views_of(scene, samples[:2], rig)
    for index, sample in enumerate(samples[:2]):
        expected = sample.left_view.inverse_depth
        found = views.inverse_depth[index].numpy()
        kept = inside(sample.left_view.quad)
        assert kept.mean() > 0.5
        close = np.abs(found - expected) <= 2e-3 * expected + 1e-5
        assert close.mean() > 0.93
        assert close[kept].mean() > 0.985
        assert (views.labels[index].numpy() == sample.labels)[kept].mean() > 0.985
        assert (views.instances[index].numpy() == sample.instances)[kept].mean() > 0.985


def test_colours_agree(scene, samples, rig):
    views = views_of(scene, samples[:1], rig, supersampling=2)
    found = views.rgb[0].permute(1, 2, 0).numpy().astype(float)
    error = np.abs(found - samples[0].left.data).mean(-1)
    assert np.median(error) < 6
    assert error.mean() < 12


def test_flow_agrees(scene, samples, rig):
    newest = views_of(scene, samples[1:3], rig)
    older = views_of(scene, samples[0:2], rig)
    flow = views_flow(scene, newest, older).permute(0, 2, 3, 1).numpy()
    for index, sample in enumerate(samples[1:3]):
        same = newest.quad[index].numpy() == sample.left_view.quad
        assert same.mean() > 0.9
        difference = np.abs(flow[index] - sample.flow_px).max(-1)[same]
        assert np.nanquantile(difference, 0.99) < 0.05


def test_a_batch_is_its_single_views(scene, samples, rig):
    both = views_of(scene, samples[:2], rig)
    alone = views_of(scene, samples[1:2], rig)
    assert (both.quad[1] == alone.quad[0]).float().mean() > 0.999
    torch.testing.assert_close(both.inverse_depth[1], alone.inverse_depth[0], rtol=1e-4, atol=1e-5)
