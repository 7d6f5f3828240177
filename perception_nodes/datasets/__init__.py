# SPDX-License-Identifier: Apache-2.0
"""Readers of public data sets in their original layouts, and the rendered world.

Every reader is a sequence of frozen samples (:mod:`perception_nodes.datasets.samples`); a wrong
root, a missing or broken file, sizes that disagree and ids out of range are each one
DataError that names the file.
"""
