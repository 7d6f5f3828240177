# SPDX-License-Identifier: Apache-2.0
"""Which two cameras of a recording are a stereo pair, and why two that are named so are none.

By name if it has left or right and P[3] of their camera_info does not contradict, else by
P[3] alone.
"""

from perception_nodes.bags.camera_topics import CameraTopics, StereoTopics

__all__ = ['no_baseline', 'stereo_pairs']

_LEFT_RIGHT = (('left', 'right'), ('infra1', 'infra2'), ('cam0', 'cam1'), ('image_0', 'image_1'))


def stereo_pairs(cameras: list[CameraTopics]) -> tuple[list[StereoTopics], str]:
    """All pairs: by name if names contain left and right, else by P[3]; and why one is none."""
    named: list[StereoTopics] = []
    reasons: list[str] = []
    contradicted: set[str] = set()
    by_name = {camera.key: camera for camera in cameras}
    for first, second in _LEFT_RIGHT:
        for name, left in by_name.items():
            right = by_name.get(second.join(name.rsplit(first, 1))) if first in name else None
            if right is None:
                continue
            if reason := _no_pair(left, right):
                reasons.append(reason)
                contradicted |= {left.key, right.key}
            else:
                named.append(StereoTopics(left, right))
    others = [camera for camera in cameras if camera.key not in contradicted]
    return named or _pairs_by_projection(others), reasons[0] if reasons else ''


def _no_pair(left: CameraTopics, right: CameraTopics) -> str:
    """Why two cameras that are named as a pair are none; '' if they are one."""
    for camera in (left, right):
        if camera.camera is None:
            return camera.problem or f'{camera.image} has no camera_info'
    if left.is_rectified != right.is_rectified:
        return (
            f'{left.image} and {right.image}: one is rectified and the other is not; '
            'choose with --left-topic and --right-topic'
        )
    return no_baseline(left, right)


def no_baseline(left: CameraTopics, right: CameraTopics) -> str:
    """Why P[3] makes no pair of two cameras; '' if it does, or one has no calibration."""
    if left.camera is None or right.camera is None:
        return ''
    left_p3, right_p3 = float(left.camera.p[0, 3]), float(right.camera.p[0, 3])
    if left_p3 > right_p3:
        return ''
    names = f'{left.image} and {right.image} are no stereo pair'
    if left_p3 == right_p3 == 0.0:
        return f'{names}: P[3] is 0 in both camera_info, and -fx * baseline in that of a right one'
    if left_p3 == right_p3:
        return (
            f'{names}: P[3] of the left camera_info ({left.info}) is {left_p3:g} as in the right '
            'one, so the baseline is 0; it must be 0 in the left one'
        )
    return (
        f'{names}: P[3] is {left_p3:g} in the left camera_info ({left.info}) and {right_p3:g} in '
        'the right one; are left and right swapped?'
    )


def _pairs_by_projection(cameras: list[CameraTopics]) -> list[StereoTopics]:
    return [
        StereoTopics(left, right)
        for left in cameras for right in cameras
        if left.camera and right.camera
        and (left.camera.width, left.camera.height) == (right.camera.width, right.camera.height)
        and left.camera.p[0, 0] == right.camera.p[0, 0]
        and left.camera.p[0, 3] == 0.0 > right.camera.p[0, 3]
    ]
