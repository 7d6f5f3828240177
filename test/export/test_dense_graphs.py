# SPDX-License-Identifier: Apache-2.0
"""Graphs of stereo and flow: units, the mapped sigma, and the area that they work at."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.export.graphs.images import grey_image, unit_image
from perception_nodes.export.graphs.optical_flow import OPTICAL_FLOW
from perception_nodes.export.graphs.stereo_depth import STEREO_DEPTH
from perception_nodes.export.onnx_export import to_onnx
from perception_nodes.export.resolution import export_resolution
from perception_nodes.inference.model_card import ModelCard, check_model, write_model
from perception_nodes.networks.matching import luminance_and_contrast
from perception_nodes.onnx_graph.half_precision import half_model
from perception_nodes.onnx_graph.working_resolution import with_network_pixels
from perception_nodes.types import PerceptionError

CALIBRATION = {'sigma_scale': 0.5, 'sigma_power': 2.0}
# A quarter of this image's area is a multiple of 32 on both sides.
HEIGHT, WIDTH = 384, 640


class OneEverywhere(nn.Module):
    """One pixel of the network's size everywhere, Laplace scale three pixels."""

    def __init__(self, key: str, channels: int) -> None:
        super().__init__()
        self.key, self.channels = key, channels

    def forward(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Say the same wherever."""
        plane = 0 * (first + second).sum(1, keepdim=True)
        return {self.key: plane.expand(-1, self.channels, -1, -1) + 1,
                'log_scale': plane + math.log(3)}


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (1, HEIGHT, WIDTH, 3)).astype(np.uint8) for _ in range(2)]


def run(content: bytes, given: list[np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), given, strict=True)})


def stereo_content() -> bytes:
    network = OneEverywhere('disparity_px', 1)
    return to_onnx(STEREO_DEPTH, STEREO_DEPTH.graph(network, CALIBRATION).eval())


def test_pixels_of_the_network_become_those_of_the_camera_and_sigma_is_mapped():
    content = with_network_pixels(stereo_content(), HEIGHT * WIDTH // 4)
    disparity, sigma = run(content, images())
    assert disparity.shape == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(disparity, 2.0, rtol=1e-5)
    # scale * (sqrt(2) * 3)^2 pixels of the network, of which each is two of the camera.
    np.testing.assert_allclose(sigma, 0.5 * 18 * 2, rtol=1e-4)


@pytest.mark.parametrize('shrunk', [1, 2])
def test_flow_is_stretched_along_both_axes(shrunk: int):
    graph = OPTICAL_FLOW.graph(OneEverywhere('flow_px', 2), CALIBRATION).eval()
    content = with_network_pixels(to_onnx(OPTICAL_FLOW, graph), HEIGHT * WIDTH // shrunk**2)
    flow, sigma = run(content, images())
    assert flow.shape == (1, HEIGHT, WIDTH, 2)
    np.testing.assert_allclose(flow, shrunk, rtol=1e-5)
    np.testing.assert_allclose(sigma, 0.5 * 18 * shrunk, rtol=1e-4)


def test_the_area_survives_half_precision():
    content = half_model(with_network_pixels(stereo_content(), HEIGHT * WIDTH))
    np.testing.assert_allclose(run(content, images())[0], 1.0, rtol=1e-3)


def test_one_plane_of_grey_is_what_the_network_makes_of_three():
    image = torch.from_numpy(images()[0])
    size = torch.tensor([192, 320])
    whole, plane = (luminance_and_contrast(f(image, size)) for f in (unit_image, grey_image))
    torch.testing.assert_close(whole, plane, rtol=0, atol=2e-5)


def test_another_area_is_another_model_with_its_own_card(tmp_path: Path):
    path = tmp_path / 'stereo_depth.onnx'
    card = ModelCard(
        'stereo_depth', 'stereo_depth', STEREO_DEPTH.inputs, STEREO_DEPTH.outputs,
        network_pixels=STEREO_DEPTH.network_pixels, results={'somewhere': {'d1': 0.1}},
    )
    card = write_model(stereo_content(), card, path)
    made = export_resolution(path, HEIGHT * WIDTH // 4, tmp_path)
    found = check_model(made)
    assert made.name == 'stereo_depth_61k.onnx' and found.network_pixels == HEIGHT * WIDTH // 4
    assert not found.results and found.training['made_from'] == card.sha256
    np.testing.assert_allclose(run(made.read_bytes(), images())[0], 2.0, rtol=1e-5)


def test_a_model_without_such_an_area_is_refused(tmp_path: Path):
    content = stereo_content()
    for pixels in (12, 1 << 30):
        with pytest.raises(PerceptionError, match='are possible'):
            with_network_pixels(content, pixels)
    with pytest.raises(PerceptionError, match='no ONNX model'):
        with_network_pixels(b'no graph', 100_000)
    path = tmp_path / 'other.onnx'
    card = ModelCard('other', 'stereo_depth', STEREO_DEPTH.inputs, STEREO_DEPTH.outputs)
    write_model(content.replace(b'network_pixels', b'natwork_pixels'), replace(card), path)
    with pytest.raises(PerceptionError, match='cannot be changed'):
        export_resolution(path, 100_000, tmp_path)
    assert [made.name for made in tmp_path.glob('*.onnx')] == ['other.onnx']
