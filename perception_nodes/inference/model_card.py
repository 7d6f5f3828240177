# SPDX-License-Identifier: Apache-2.0
"""The card beside every ONNX file: what the model is, what it was trained on, what it reached.

Released models are ``models/NAME.onnx`` with ``models/NAME.json``. The graph takes what the camera
gives and returns final maps of the camera's size; the arrays of each task are these (``H W`` any
size, ``T`` dropout samples, ``N`` keypoints; images are uint8 RGB, mono is repeated):

==================  ==========================================  ====================================
task                inputs                                      outputs
==================  ==========================================  ====================================
segmentation        image u8 [1,H,W,3]                          labels u8 [1,H,W]
                    dropout_masks f32 [T,C]                     confidence, entropy,
                                                                mutual_information f32 [1,H,W] 0..1
                                                                probabilities f32 [1,K,h,w] (coarse)
stereo_depth        left, right u8 [1,H,W,3]                    disparity_px, sigma_px f32 [1,H,W]
mono_depth          image u8 [1,H,W,3], focal_px f32 [1]        depth_m, sigma_m f32 [1,H,W]
optical_flow        image0 (older), image1 u8 [1,H,W,3]         flow_px f32 [1,H,W,2] on the grid of
                                                                image1 (see types.Flow),
                                                                sigma_px f32 [1,H,W]
features            image u8 [1,H,W,3]                          keypoints_px f32 [1,N,2] (x, y),
                                                                scores f32 [1,N],
                                                                descriptors f32 [1,N,D] unit length
place_recognition   image u8 [1,H,W,3]                          descriptor f32 [1,D] unit length
==================  ==========================================  ====================================

A row of ``dropout_masks`` multiplies the head's channels: 0 or 1 / (1 - p), or all ones for no
dropout; mutual information is over the rows, so it is 0 with one row.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelCard:
    """To be completed by the inference room."""

    name: str
    task: str
