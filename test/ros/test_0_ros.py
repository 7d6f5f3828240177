# SPDX-License-Identifier: Apache-2.0
"""Says why this room's tests do not run, where they do not."""

import pytest


def test_rclpy_is_installed():
    """Without it the other files of this folder are not even collected."""
    pytest.importorskip('rclpy', reason='rclpy is missing: pip install perception_nodes[ros]')
