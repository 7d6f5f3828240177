# SPDX-License-Identifier: Apache-2.0
"""Depth labels of recorded pairs: what two matchings agree on, and a stereo network beside it."""

from pathlib import Path

import numpy as np

from perception_nodes.geometry.stereo import depth_from_disparity
from perception_nodes.inference.models import model_path
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.pipelines.images import grey
from perception_nodes.simulation.cache import read_arrays, write_arrays
from perception_nodes.training.consensus import kept_consensus
from perception_nodes.types import Array, FloatArray, Image, StereoRig

LEAST_DISPARITY_PX = 2.5
"""Below, a disparity is more than a tenth wrong."""
SURE_PX, TEACHER_WEIGHT = 1.0, 0.5
"""Where consensus is silent the network counts half, if its sigma is at most this."""


class StereoLabels:
    """Labels pairs; what is found is kept in files, for a pair costs a second.

    Parameters
    ----------
    folder : of the files: NAME.npz holds the consensus, NAME_MODEL.npz the network's estimate.
    teacher : released name or path of a stereo model; None: consensus alone.
    """

    def __init__(self, folder: Path, teacher: str | Path | None = 'stereo_depth') -> None:
        self.folder = folder
        self.pipeline, self.model = None, ''
        if teacher is not None:
            self.pipeline = build_pipeline('stereo_depth', model=model_path(teacher))
            self.model = self.pipeline.runner.card.sha256[:12]

    def __call__(
        self, name: str, left: Image, right: Image, rig: StereoRig
    ) -> tuple[FloatArray, FloatArray]:
        """Label a pair.

        Parameters
        ----------
        name : of the files.

        Returns
        -------
        depth_m, weight : float32 [H, W]; 0 where nothing is known.
        """
        label = kept_consensus(grey(left), grey(right), self.folder / f'{name}.npz')
        disparity, weight = label.disparity_px, label.weight
        if self.pipeline is not None:
            path = self.folder / f'{name}_{self.model}.npz'
            estimate, sigma_px = self._teacher(path, left, right, rig)
            with np.errstate(invalid='ignore'):
                added = ~(disparity > 0) & (sigma_px <= SURE_PX)
            disparity = np.where(added, estimate, disparity)
            weight = np.where(added, np.float32(TEACHER_WEIGHT), weight)
        depth_m, _ = depth_from_disparity(disparity, disparity, rig.focal_px, rig.baseline_m)
        with np.errstate(invalid='ignore'):
            known = (disparity >= LEAST_DISPARITY_PX) & np.isfinite(depth_m)
        return np.where(known, depth_m, np.float32(0)), np.where(known, weight, np.float32(0))

    def _teacher(
        self, path: Path, left: Image, right: Image, rig: StereoRig
    ) -> tuple[FloatArray, FloatArray]:
        if not path.is_file():
            found = self.pipeline(left, right, rig)
            write_arrays(path, {
                'disparity': found.disparity_px.astype(np.float16),
                'sigma': found.disparity_sigma_px.astype(np.float16),
            })
        kept = read_arrays(path, ('disparity', 'sigma'))
        return _single(kept['disparity']), _single(kept['sigma'])


def _single(array: Array) -> FloatArray:
    return array.astype(np.float32)
