# SPDX-License-Identifier: Apache-2.0
"""The rendered world: streets and textured layers with exact ground truth, drawn by a seed.

``layers``
    Image pairs of textured layers in random motion: exact flow or disparity, and occlusion.
``content``
    Textures, materials, house fronts, signs, silhouettes of people and vehicles.
``scene``
    A seeded street as textured quads, and what stands and drives on it.
``render``
    A stereo camera in a scene: images with exact depth, disparity, flow, CamVid's 11 classes,
    objects and poses.
``drive``, ``clips``, ``random_views``
    Sequences along a street, and single views of many streets, days and cameras.
    ``bags.rendered`` writes a sequence as rosbag2.
``cache``, ``filling``
    Rendered samples kept on disk, written by several processes.

A pair of 256x512 with flow takes 0.35 s of one CPU core and 0.07 s to store, so two free cores
make more than 4 a second.

Everything is a function of its seed and arguments. ``next(drive(seed=11, frames=50))`` is a first
sample.
"""
