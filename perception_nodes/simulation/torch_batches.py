# SPDX-License-Identifier: Apache-2.0
"""Batches of the rendered street for training: from a cache on disk, or rendered on a GPU."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perception_nodes.simulation.cache import CachedSample, RenderedCache
from perception_nodes.simulation.random_views import ViewConfig, draw_view
from perception_nodes.simulation.render.photometric import develop, random_appearance
from perception_nodes.simulation.render.torch_renderer import render_views, views_flow
from perception_nodes.simulation.render.torch_scene import torch_scene
from perception_nodes.simulation.scene.street_world import StreetWorld, WorldConfig
from perception_nodes.types import Array, PerceptionError

__all__ = ['CachedBatches', 'rendered_batches']

Batch = dict[str, Tensor]
"""left right older: float B 3 H W, 0..1. disparity_px B 1 H W (0 = sky), seen B 1 H W (1: by the
right camera too), labels int64 B H W, flow_px B 2 H W (NaN = was behind), flow_seen B 1 H W,
k B 3 3, baseline_m B."""


@dataclass(frozen=True)
class CachedBatches:
    """Endless batches of crops of cached samples; batch(step) depends on seed and step alone.

    Attributes
    ----------
    height, width : of the crops, at most the samples'.
    flaws : strength of what is added to each image by itself, 0 = as it was kept.
    """

    cache: RenderedCache
    batch_size: int
    height: int
    width: int
    seed: int = 0
    flaws: float = 0.15

    def batch(self, step: int) -> Batch:
        """Give the batch of a step."""
        rng = np.random.default_rng([self.seed, 401, step])
        samples = [
            self._draw(rng, self.cache[int(i)])
            for i in rng.integers(0, len(self.cache), self.batch_size)
        ]
        return {
            key: torch.from_numpy(np.stack([sample[key] for sample in samples]))
            for key in samples[0]
        }

    def _draw(self, rng: np.random.Generator, sample: CachedSample) -> dict[str, Array]:
        height, width = sample.labels.shape
        if self.height > height or self.width > width:
            raise PerceptionError(
                f'crops of {self.width}x{self.height} do not fit into rendered samples of '
                f'{width}x{height}'
            )
        top = int(rng.integers(0, height - self.height + 1))
        start = int(rng.integers(0, width - self.width + 1))
        part = (slice(top, top + self.height), slice(start, start + self.width))
        k = sample.k.astype(np.float32)
        k[:2, 2] -= [start, top]

        def picture(image: Array) -> Array:
            crop = np.ascontiguousarray(image[part])
            if self.flaws > 0:
                crop = develop(rng, crop, random_appearance(rng, self.flaws))
            return crop.transpose(2, 0, 1).astype(np.float32) / 255

        return {
            'left': picture(sample.left), 'right': picture(sample.right),
            'older': picture(sample.older),
            'disparity_px': sample.disparity_px[part][None].astype(np.float32),
            'seen': (~sample.occluded[part])[None].astype(np.float32),
            'labels': sample.labels[part].astype(np.int64),
            'flow_px': sample.flow_px[part].transpose(2, 0, 1).astype(np.float32),
            'flow_seen': (~sample.flow_occluded[part])[None].astype(np.float32),
            'k': k, 'baseline_m': np.float32(sample.baseline_m),
        }


def rendered_batches(
    seed: int, batch_size: int, config: ViewConfig | None = None,
    world_config: WorldConfig | None = None, *, device: str | torch.device = 'cpu',
    batches_per_world: int = 16,
) -> Iterator[Batch]:
    """Render batches without end on a device; each batch looks at one street.

    Ideal images, without the cameras' flaws: add them there. seen and flow_seen say whether a
    point is inside the other image and nearest there.
    """
    config = config or ViewConfig()
    world_config = world_config or WorldConfig(length_m=120.0)
    number = 0
    while True:
        rng = np.random.default_rng([seed, 409, number])
        world = StreetWorld(int(rng.integers(1 << 31)), world_config)
        scene = torch_scene(world, device)
        for _ in range(batches_per_world):
            drawn = [draw_view(rng, world, config) for _ in range(batch_size)]
            left, right, before = (
                torch.tensor(np.stack([getattr(view, name) for view in drawn]),
                             dtype=torch.float32, device=device)
                for name in ('world_from_left', 'world_from_right', 'world_from_older')
            )
            k = torch.tensor(np.stack([view.k for view in drawn]), dtype=torch.float32,
                             device=device)
            time_s = torch.tensor([view.time_s for view in drawn], device=device)
            step_s = torch.tensor([view.step_s for view in drawn], device=device)
            baseline = torch.tensor([view.baseline_m for view in drawn], device=device)
            size = (config.height, config.width)
            views, other = (render_views(scene, pose, k, time_s, *size) for pose in (left, right))
            older = render_views(scene, before, k, time_s - step_s, *size)
            disparity = views.inverse_depth * (k[:, 0, 0] * baseline)[:, None, None]
            flow = views_flow(scene, views, older)
            shift = torch.stack([disparity, torch.zeros_like(disparity)], 1)
            yield {
                'left': views.rgb.float() / 255, 'right': other.rgb.float() / 255,
                'older': older.rgb.float() / 255, 'disparity_px': disparity[:, None],
                'seen': _seen(views.quad, other.quad, shift),
                'labels': views.labels.long(), 'flow_px': flow,
                'flow_seen': _seen(views.quad, older.quad, flow), 'k': k,
                'baseline_m': baseline,
            }
        number += 1


def _seen(quad: Tensor, other: Tensor, shift_px: Tensor) -> Tensor:
    """Whether the other image shows the same surface at p - shift(p), float32 B 1 H W."""
    _, height, width = quad.shape
    y, x = torch.meshgrid(torch.arange(height, device=quad.device),
                          torch.arange(width, device=quad.device), indexing='ij')
    at_x = (x - shift_px[:, 0]).nan_to_num(-1e6).round().long()
    at_y = (y - shift_px[:, 1]).nan_to_num(-1e6).round().long()
    inside = (at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < height)
    flat = at_y.clamp(0, height - 1) * width + at_x.clamp(0, width - 1)
    there = other.flatten(1).gather(1, flat.flatten(1)).reshape(quad.shape)
    return (inside & (there == quad)).float()[:, None]
