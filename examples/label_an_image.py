# SPDX-License-Identifier: Apache-2.0
"""
Label one image and say where the labels are to be trusted.

    python examples/label_an_image.py street.jpg overlay.png
"""

import sys
from pathlib import Path

import cv2

from perception_nodes.datasets.files import read_rgb
from perception_nodes.errors import PerceptionError
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.pipelines.segmentation import SegmentationConfig
from perception_nodes.types import UNLABELLED, Image
from perception_nodes.visualization.colors import overlay


def main(path: Path, out: Path) -> None:
    """Write the overlay and print the share and the uncertainty of each class."""
    image = Image(read_rgb(path))
    segment = build_pipeline('segmentation', config=SegmentationConfig(mc_samples=8))
    result = segment(image)
    for class_id, name in enumerate(result.classes):
        inside = result.labels == class_id
        if inside.any():
            print(
                f'{name:12s} {inside.mean():6.1%} of the image, '
                f'entropy {result.entropy[inside].mean():.2f}, of it epistemic '
                f'{result.mutual_information[inside].mean():.3f}'
            )
    print(f'unlabelled   {(result.labels == UNLABELLED).mean():6.1%}')
    palette = tuple(segment.runner.card.palette)
    cv2.imwrite(str(out), cv2.cvtColor(overlay(image, result, palette), cv2.COLOR_RGB2BGR))


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except PerceptionError as error:
        sys.exit(f'error: {error}')
