# SPDX-License-Identifier: Apache-2.0
"""Pure functions of rigid motion, cameras and two views; numpy and scipy."""
