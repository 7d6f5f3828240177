# SPDX-License-Identifier: Apache-2.0
"""The rendered world: streets and textured layers with exact ground truth, drawn by a seed.

``layers``
    Image pairs of textured layers in random motion: exact flow or disparity, and occlusion.
``street_world``, ``stereo_view``, ``drive``
    A street as textured quads, a stereo camera in it, a drive along it: depth, disparity, flow,
    CamVid's 11 classes, objects, poses. ``bags.rendered`` writes a drive as rosbag2.
``random_views``, ``clips``, ``cache``, ``filling``, ``torch_batches``
    Many streets, days and cameras for training, as pairs and as short drives; kept on disk, where
    several processes put them; as tensors.
``torch_scene``, ``torch_renderer``
    The same quads in batches on a device. Only these and ``torch_batches`` import torch.

A pair of 256x512 with flow costs 0.35 s of one CPU core and 0.07 s to keep, so two free cores make
more than 4 a second. ``torch_renderer`` is made for a GPU, where it has not been timed; on a CPU
core it takes 6 s for the same.

Everything is a function of its seed and arguments. ``next(drive(seed=11, frames=50))`` is a first
sample.
"""
