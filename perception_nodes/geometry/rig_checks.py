# SPDX-License-Identifier: Apache-2.0
"""Calibrations that are possible but unlikely: warned of before results are trusted.

What is impossible is refused where it is made (``types.Camera``, ``types.StereoRig``).
"""

import numpy as np

from perception_nodes.types import Camera, FloatArray, StereoRig

__all__ = ['camera_doubts', 'mount_doubts', 'rig_doubts']

_LONGEST_USUAL_M, _SHORTEST_USUAL_M = 2.0, 0.01
_WIDEST_RAD, _NARROWEST_RAD = np.radians(150.0), np.radians(8.0)
_UPWARD = np.sin(np.radians(50.0))


def rig_doubts(rig: StereoRig) -> tuple[str, ...]:
    """One line for each thing about a rig that is hard to believe; see ``camera_doubts`` too."""
    found = list(camera_doubts(rig.left))
    if not _SHORTEST_USUAL_M <= rig.baseline_m <= _LONGEST_USUAL_M:
        found.append(
            f'a baseline of {rig.baseline_m:.4g} m is unusual: is P[3] of the right camera_info '
            '-fx * baseline in pixel metres?'
        )
    return tuple(found)


def camera_doubts(camera: Camera) -> tuple[str, ...]:
    """One line for each thing about a rectified camera that is hard to believe."""
    found = []
    fx, cx, cy = camera.p[0, 0], camera.p[0, 2], camera.p[1, 2]
    view_rad = 2 * np.arctan(camera.width / 2 / fx)
    if not _NARROWEST_RAD <= view_rad <= _WIDEST_RAD:
        found.append(
            f'fx of {fx:.4g} px makes an image {camera.width} px wide see '
            f'{np.degrees(view_rad):.0f} degrees: is the camera_info of another size or zoom?'
        )
    if not (0 <= cx < camera.width and 0 <= cy < camera.height):
        found.append(
            f'the principal point ({cx:.4g}, {cy:.4g}) lies outside the {camera.width}x'
            f'{camera.height} image: is the camera_info of another size or region?'
        )
    return tuple(found)


def mount_doubts(base_from_camera: FloatArray, frame_id: str = '') -> tuple[str, ...]:
    """Say if a camera looks up to the sky, which a frame does that is not optical (REP 103).

    Parameters
    ----------
    base_from_camera : [4, 4] pose of the image's frame in base_link (x forward, z up).
    """
    axis = np.asarray(base_from_camera, np.float64)[:3, 2]
    if axis[2] < _UPWARD:
        return ()
    return (
        f'the camera frame {frame_id or "(no name)"} looks upward: images are in an optical '
        'frame, z forward (REP 103), whose name ends in _optical; if it does look at the sky, '
        'all is well',
    )
