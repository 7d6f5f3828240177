# SPDX-License-Identifier: Apache-2.0
"""What stands around a network in its ONNX file: images in, final maps out. One file a task."""
