# SPDX-License-Identifier: Apache-2.0
"""Building the engines of a node ahead of time: run once, wait for the engines, end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.ros.tasks.loading import Loaded
from perception_nodes.types import Camera, Image, StereoRig

BASELINE_M = 0.1
STEP_NS = 100_000_000


def blank_frame(width: int, height: int, stereo: bool) -> StereoFrame | MonoFrame:
    """Make a black frame of a size, for models that only have to see their input's shape."""
    image = Image(np.zeros((height, width, 3), np.uint8))
    pinhole = (width, height, float(width), float(width), width / 2, height / 2)
    left = Camera.pinhole(*pinhole)
    if not stereo:
        return MonoFrame(image, left)
    right = Camera.pinhole(*pinhole, baseline_m=BASELINE_M)
    return StereoFrame(image, image, StereoRig(left, right))


def build_engines(
    loaded: Loaded, frame: StereoFrame | MonoFrame, log: Callable[[str], Any]
) -> bool:
    """Run every pipeline twice, so that it asks for its engine, and wait for all of them.

    Parameters
    ----------
    log : takes a line for each model.

    Returns
    -------
    whether every engine is ready; True too if the backend has none.
    """
    for stamp_ns in (0, STEP_NS):  # optical flow first runs at its second image
        loaded.perception(_at(frame, stamp_ns))
    good = True
    for name, runner in loaded.runners.items():
        wait = getattr(runner, 'wait', None)
        if wait is None:
            log(f'{name}: no engine to build for {runner.backend}')
            continue
        ready = bool(wait())
        state = runner.state()
        log(f'{name}: {"engine is ready" if ready else f"no engine: {state.detail}"}')
        good = good and ready
    return good


def _at(frame: StereoFrame | MonoFrame, stamp_ns: int) -> StereoFrame | MonoFrame:
    """Return the frame a stamp."""
    if isinstance(frame, StereoFrame):
        left, right = (replace(image, stamp_ns=stamp_ns) for image in (frame.left, frame.right))
        return replace(frame, left=left, right=right)
    return replace(frame, image=replace(frame.image, stamp_ns=stamp_ns))
