# SPDX-License-Identifier: Apache-2.0
"""Surgery on ONNX graphs: half precision, static shapes, storage of weights."""
