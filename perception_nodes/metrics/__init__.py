# SPDX-License-Identifier: Apache-2.0
"""What estimates are worth: one file a task, and calibration and uncertainty for all of them.

Every metric has ``update`` (adds one frame's counts), ``compute`` (names and numbers so far; NaN
where nothing was counted) and ``reset``. Fractions are 0..1; names say other units.
"""
