# SPDX-License-Identifier: Apache-2.0
"""Raw images of a calibrated camera made into rectified ones, as the pipelines want them."""

from dataclasses import replace

import numpy as np

from perception_nodes.geometry.camera import rectification_maps, rectify_image
from perception_nodes.pipelines.images import require_size
from perception_nodes.types import Camera, FloatArray, Image


class Rectifier:
    """One camera's rectification; its maps are made once and again when the calibration changes.

    A camera whose raw image is rectified already passes its images on untouched.
    """

    def __init__(self) -> None:
        self._camera: Camera | None = None
        self._maps: tuple[FloatArray, FloatArray] | None = None

    def __call__(self, image: Image, camera: Camera) -> tuple[Image, Camera]:
        """Rectify an image.

        Parameters
        ----------
        image : raw, of the camera's size. camera : with its distortion.

        Returns
        -------
        the rectified image (black where the raw one does not reach), and the camera of it: no
        distortion, no rotation, K as in P.

        Raises
        ------
        PerceptionError
            If the sizes differ or the lens model is not known.
        """
        require_size(image, camera, 'the image')
        if not camera.distorted:
            return image, camera
        if self._maps is None or self._camera is None or not _same(self._camera, camera):
            self._maps = rectification_maps(camera)
            self._camera = camera
        pixels = rectify_image(image.data, self._maps)
        ideal = replace(
            camera, k=camera.rectified_k, r=np.eye(3), d=(), distortion_model='plumb_bob'
        )
        return replace(image, data=pixels), ideal


def _same(a: Camera, b: Camera) -> bool:
    return (
        (a.width, a.height, a.d, a.distortion_model) == (b.width, b.height, b.d,
                                                         b.distortion_model)
        and np.array_equal(a.k, b.k) and np.array_equal(a.r, b.r) and np.array_equal(a.p, b.p)
    )
