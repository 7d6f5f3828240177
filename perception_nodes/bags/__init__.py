# SPDX-License-Identifier: Apache-2.0
"""rosbag2 in and out, and replay through the pipelines, with nothing of ROS installed."""
