# SPDX-License-Identifier: Apache-2.0
"""Trajectories as files that other tools read, and the evo commands that print our numbers.

TUM: a row ``stamp x y z qx qy qz qw``, seconds and metres; KITTI: a row of the upper 3x4 of the
pose. evo (https://github.com/MichaelGrupp/evo) reads both.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from perception_nodes.evaluation.report_parts import Details, Section
from perception_nodes.files.atomic import write_atomically
from perception_nodes.geometry.se3 import to_quaternion_xyzw
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['evo_commands', 'evo_section', 'kitti_text', 'tum_text', 'write_trajectories']

GROUND_TRUTH = 'ground_truth'


def tum_text(stamps_ns: Sequence[int], world_from_body: FloatArray) -> str:
    """Return poses [N, 4, 4] in TUM's format.

    Raises
    ------
    PerceptionError
        If the stamps do not rise: evo finds poses by them.
    """
    if any(later <= stamp for stamp, later in pairwise(stamps_ns)):
        raise PerceptionError('a trajectory needs stamps that rise from pose to pose')
    return ''.join(
        f'{stamp // 10**9}.{stamp % 10**9:09d} '
        f'{_numbers([*pose[:3, 3], *to_quaternion_xyzw(pose)])}\n'
        for stamp, pose in zip(stamps_ns, world_from_body, strict=True)
    )


def kitti_text(world_from_body: FloatArray) -> str:
    """Return poses [N, 4, 4] in KITTI's format."""
    return ''.join(f'{_numbers(pose[:3].ravel())}\n' for pose in world_from_body)


def write_trajectories(folder: Path, metrics: Mapping[str, OdometryMetric]) -> None:
    """Write NAME.tum and NAME_kitti.txt of every method, and the ground truth of the first.

    Raises
    ------
    PerceptionError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, metric) in enumerate(metrics.items()):
        estimate, truth = metric.poses()
        for file, poses in ((name, estimate), *([(GROUND_TRUTH, truth)] if not number else [])):
            tum = tum_text(metric.stamps_ns, poses)
            write_atomically(folder / f'{file}.tum', tum.encode())
            write_atomically(folder / f'{file}_kitti.txt', kitti_text(poses).encode())


def evo_section(
    name: str, alignment: Alignment, metrics: Mapping[str, float], folder: str = ''
) -> Section:
    """Return a report's section on how to check the trajectory errors."""
    return Section(
        'Trajectory errors with evo',
        [Details(f'alignment {alignment}', evo_commands(name, alignment, metrics, folder))],
        'These commands print the same numbers from the files of this evaluation.',
    )


def evo_commands(
    name: str, alignment: Alignment, metrics: Mapping[str, float], folder: str = ''
) -> str:
    """Return the commands that print our numbers from the files, a line each with its number."""
    files = f'tum {folder}{GROUND_TRUTH}.tum {folder}{name}.tum'
    steps = f'evo_rpe {files} --delta 1 --delta_unit f'
    commands = (
        ('ate_m', ' '.join(('evo_ape', files, *alignment.evo_options))),
        ('rpe_m', steps),
        ('rpe_deg', f'{steps} --pose_relation angle_deg'),
    )
    return '\n'.join(
        f'{command}  # rmse {metrics[metric]:.6f} = {metric}'
        for metric, command in commands if metric in metrics
    )


def _numbers(values: Sequence[float] | FloatArray) -> str:
    return ' '.join(f'{float(value):.12g}' for value in values)
