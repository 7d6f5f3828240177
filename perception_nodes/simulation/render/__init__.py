# SPDX-License-Identifier: Apache-2.0
"""From a scene to images with exact depth, flow, classes and poses."""
