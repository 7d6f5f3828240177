# SPDX-License-Identifier: Apache-2.0
"""TensorRT: engines, their cache, their building, and running them."""
