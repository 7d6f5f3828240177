# SPDX-License-Identifier: Apache-2.0
"""Results as images for people to look at."""
