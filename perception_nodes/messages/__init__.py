# SPDX-License-Identifier: Apache-2.0
"""Results as ROS messages and images as types, written once for rclpy and for rosbags."""
