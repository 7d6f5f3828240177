# SPDX-License-Identifier: Apache-2.0
"""Networks as published, untrained, as plain ONNX files: only to measure our speed beside."""

import logging
import warnings
from pathlib import Path

import torch

from perception_nodes.networks import NETWORKS
from perception_nodes.types import PerceptionError

MULTIPLE = 32


def export_published(name: str, width: int, height: int, folder: Path) -> Path:
    """Write a network for float planes [1, 3, h, w], sides rounded down to multiples of 32.

    Parameters
    ----------
    name : key of NETWORKS whose forward takes an image.
    width, height : of the camera's images, pixels.

    Raises
    ------
    PerceptionError
        If there is no such network or torch cannot export it.
    """
    if name not in NETWORKS:
        raise PerceptionError(f'no network {name!r}; there are {", ".join(NETWORKS)}')
    network = NETWORKS[name]().eval()
    sides = [max(MULTIPLE, side // MULTIPLE * MULTIPLE) for side in (height, width)]
    path = folder / f'{name}_{sides[1]}x{sides[0]}.onnx'
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter('ignore')
        logging.disable(logging.WARNING)
        try:
            program = torch.onnx.export(
                network, (torch.zeros(1, 3, *sides),), dynamo=True, verbose=False
            )
            program.save(path, external_data=False)
        except Exception as error:  # the exporter's own classes share no base
            reason = (str(error).strip().splitlines() or [repr(error)])[0]
            raise PerceptionError(f'{name} cannot be exported: {reason[:200]}') from None
        finally:
            logging.disable(logging.NOTSET)
    return path
