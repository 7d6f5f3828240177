# SPDX-License-Identifier: Apache-2.0
"""How good estimates are: one file a task, and calibration and uncertainty for all of them.

Every metric has ``update`` (adds one frame's counts), ``compute`` (numbers by name so far; NaN
where nothing was counted), ``reset``, and ``infos``: what each number is (see ``info.py``).
Fractions are 0..1; names say other units.
"""
