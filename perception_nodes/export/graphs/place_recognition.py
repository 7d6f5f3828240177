# SPDX-License-Identifier: Apache-2.0
"""The graph of the released place descriptor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from perception_nodes.export.graphs.images import unit_image
from perception_nodes.export.network_input import MEAN, STD, network_size
from perception_nodes.export.place_probability import fit_probability
from perception_nodes.export.release import Calibration, Release
from perception_nodes.inference.model_card import ANY, TensorSpec

NETWORK_PIXELS = 256 * 192
DESCRIPTOR = 192


class PlaceGraph(nn.Module):
    """Image in, one unit vector out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Array as in the card."""
        size = network_size(image, NETWORK_PIXELS)
        return self.network((unit_image(image, size) - MEAN) / STD)


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return PlaceGraph(network)


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the probability of a match; the descriptor itself needs no calibration."""
    return fit_probability(PlaceGraph(network).eval(), data_root)


PLACE_RECOGNITION = Release(
    name='place_recognition', task='place_recognition', graph=build_graph,
    calibrate=calibrate,
    evaluated_on=(
        ('loop_matrix', 'rtabmap_corridor', None),
        ('seven_scenes', 'seven_scenes_redkitchen', None),
    ),
    summary='one vector for what an image shows; the cosine of two says whether it is one place',
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-4.0', non_commercial=True,
    inputs=(TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image'),),
    outputs=(TensorSpec('descriptor', 'float32', (1, DESCRIPTOR), '1', 'unit length'),),
)
