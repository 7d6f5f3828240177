# SPDX-License-Identifier: Apache-2.0
"""Learned perception for ROS 2 that knows geometry and knows what it does not know."""

__version__ = '0.1.0'
