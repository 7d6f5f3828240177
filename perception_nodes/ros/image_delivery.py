# SPDX-License-Identifier: Apache-2.0
"""Whether this machine is set up so that images between processes arrive.

Fast DDS as installed gives a process 512 KB of shared memory; an image that does not fit is cut
into datagrams, and most are lost under load. The profile in ``config/fastdds.xml`` gives 64 MB.
"""

import os
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# Until Jazzy the middleware looks at the older name, from Kilted on it warns of it.
OLDER_DISTROS = ('humble', 'iron', 'jazzy')
OLDER_RCLPY = ('3', '4', '5', '6', '7')
PROFILE = Path('config') / 'fastdds.xml'
ENOUGH_BYTES = 16 << 20
# Each process takes a segment of 64 MB: a driver, a node and a viewer fill what Docker gives.
SHARED_MEMORY = Path('/dev/shm')
ENOUGH_SHARED_BYTES = 256 << 20
# glibc returns and reallocates the memory of every image by default; the three go
# together (measured: half the CPU time and latency of an image at 720p).
MALLOC = {
    'MALLOC_MMAP_THRESHOLD_': '268435456',
    'MALLOC_TRIM_THRESHOLD_': '1073741824',
    'MALLOC_TOP_PAD_': '67108864',
}


def profile_path() -> Path | None:
    """Find the profile that this package ships; None if it is not installed with it."""
    prefixes = [Path(__file__).resolve().parents[2]]
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            prefixes.append(Path(prefix) / 'share' / 'perception_nodes')
    for parent in Path(__file__).resolve().parents:
        prefixes.append(parent / 'share' / 'perception_nodes')
    return next((path / PROFILE for path in prefixes if (path / PROFILE).is_file()), None)


def environment() -> dict[str, str]:
    """Variables that a process needs before it starts so that no image is lost."""
    path = profile_path()
    names = PROFILE_VARIABLES if _older() else PROFILE_VARIABLES[:1]
    profile = {} if path is None else dict.fromkeys(names, str(path))
    return {**profile, **MALLOC}


def _older() -> bool:
    """Return whether this is Jazzy or older: by its name, or by the version of its wheels."""
    distro = os.environ.get('ROS_DISTRO')
    if distro:
        return distro in OLDER_DISTROS
    try:
        return version('ros-rclpy').split('.')[0] in OLDER_RCLPY
    except PackageNotFoundError:
        return False


def complaint(rmw: str, env: Mapping[str, str] = os.environ) -> str:
    """Return what is missing for big images on one machine; '' if nothing is.

    Parameters
    ----------
    rmw : identifier of the middleware; only Fast DDS is evaluated.
    """
    if 'fastrtps' not in rmw:
        return ''
    profiles = [env[name] for name in PROFILE_VARIABLES if env.get(name)]
    if not profiles:
        return (
            'no Fast DDS profile: images between processes will be lost; set '
            f'{PROFILE_VARIABLES[_older()]} to config/fastdds.xml of perception_nodes'
        )
    try:
        text = Path(profiles[0]).read_text(encoding='utf-8')
    except OSError as error:
        return f'the Fast DDS profile {profiles[0]} cannot be read: {error.strerror}'
    sizes = [int(size) for size in re.findall(r'<segment_size>\s*(\d+)\s*<', text)]
    if not sizes or max(sizes) < ENOUGH_BYTES:
        return f'the Fast DDS profile {profiles[0]} has no shared-memory segment of 16 MB or more'
    return little_shared_memory()


def little_shared_memory() -> str:
    """Report shared memory of a machine or container that is too small; '' if it is not."""
    try:
        status = os.statvfs(SHARED_MEMORY)
    except OSError:
        return ''  # another system than Linux
    size, free = (blocks * status.f_frsize for blocks in (status.f_blocks, status.f_bavail))
    if size < ENOUGH_SHARED_BYTES:
        return (
            f'{SHARED_MEMORY} has only {size >> 20} MB and every process takes 64: images between '
            'processes will be lost; docker run --shm-size=1g (or --ipc=host)'
        )
    if free < ENOUGH_BYTES:
        return (
            f'{SHARED_MEMORY} is full: images between processes will be lost; remove the '
            'fastrtps_* files that dead processes left there'
        )
    return ''
