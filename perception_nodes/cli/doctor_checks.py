# SPDX-License-Identifier: Apache-2.0
"""What ``perception doctor`` looks at: what is installed, and what its absence affects.

A check imports what it looks at, so that the doctor works where a library is missing.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perception_nodes.errors import PerceptionError
from perception_nodes.libraries import REQUIRED, missing_library, package_of
from perception_nodes.ros import image_delivery
from perception_nodes.ros.image_delivery import ENOUGH_BYTES, MALLOC, PROFILE_VARIABLES

if TYPE_CHECKING:
    from perception_nodes.inference.tensorrt.gpu import Gpu

OK, MISSING, BROKEN = 'ok', 'missing', 'broken'
MESSAGES = (
    'std_msgs', 'sensor_msgs', 'geometry_msgs', 'nav_msgs', 'stereo_msgs', 'diagnostic_msgs',
    'std_srvs', 'lifecycle_msgs', 'rosgraph_msgs',
)
BRIDGES = {
    'tf2_ros': 'no TF: odom -> base_link is not broadcast, camera poses come from parameters',
    'vision_msgs': 'no label_info topic',
    'message_filters': 'only sync: own; no filters of your own in front of an input',
    'cv_bridge': 'only codec: own',
}
DISTRO_OF_RCLPY = {'3': 'Humble', '7': 'Jazzy', '9': 'Kilted'}


@dataclass(frozen=True)
class Check:
    """One line of the doctor.

    Attributes
    ----------
    group, name : what was looked at.
    status : OK, MISSING (something optional is off) or BROKEN (the package cannot do its work).
    found : what is there.
    advice : what its absence costs and how to get it; empty if all is well.
    """

    group: str
    name: str
    status: str
    found: str
    advice: str = ''


def all_checks() -> list[Check]:
    """Look at everything, in the order in which it is shown."""
    found: list[Check] = []
    for group, look in GROUPS.items():
        try:
            for check in look():
                found.append(check)  # those before a failure stay
        except ImportError as error:
            if not (reason := missing_library(error)):
                raise
            found.append(Check(group, group, BROKEN, 'cannot be looked at', reason))
    return found


def python_checks() -> Iterator[Check]:
    """Python itself and the libraries without which nothing runs."""
    version = '.'.join(map(str, sys.version_info[:3]))
    old = sys.version_info < (3, 10)
    yield Check('python', 'python', BROKEN if old else OK, version,
                'use 3.10 or newer' if old else '')
    for module in REQUIRED:
        package = package_of(module)
        if not _is_there(module):
            yield Check('python', module, BROKEN, 'not installed', f'pip install {package}')
        else:
            yield Check('python', module, OK, _version(package) or 'found')


def ros_checks() -> Iterator[Check]:
    """rclpy and its messages, of which distribution, and the packages that only a robot has."""
    reason = _fails_to_import('rclpy')
    if reason:
        yield Check(
            'ros', 'rclpy', MISSING, reason,
            "live nodes: source a ROS 2 distribution or pip install 'perception_nodes[ros]'",
        )
        return
    distro = os.environ.get('ROS_DISTRO')
    wheel = _version('ros-rclpy')
    if distro:
        found = f'{distro} distribution'
    elif wheel:
        found = f'wheels {wheel} ({DISTRO_OF_RCLPY.get(wheel.split(".")[0], "unknown")})'
    else:
        found = 'unknown origin'
    yield Check('ros', 'rclpy', OK, found)
    lost = [name for name in MESSAGES if importlib.util.find_spec(name) is None]
    yield Check(
        'ros', 'messages', MISSING if lost else OK, ', '.join(lost) or f'{len(MESSAGES)} packages',
        'the nodes do not start: install these message packages' if lost else '',
    )
    for module, cost in BRIDGES.items():
        reason = _fails_to_import(module)
        yield Check('ros', module, MISSING if reason else OK, reason or 'found',
                    cost if reason else '')


def _fails_to_import(module: str) -> str:
    """Return why a module cannot be used; '' if it can. A ROS for another Python is found, too."""
    if importlib.util.find_spec(module) is None:
        return 'not found'
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever its libraries say
        return f'does not import: {" ".join(str(error).split())[:120]}'
    return ''


def middleware_checks() -> Iterator[Check]:
    """Middleware, and the settings without which it loses images on one machine."""
    middleware = os.environ.get('RMW_IMPLEMENTATION', '')
    yield Check('middleware', 'rmw', OK, middleware or 'rmw_fastrtps_cpp (default)')
    if not middleware or 'fastrtps' in middleware:
        yield profile_check()
        yield shared_memory_check()
    wrong = [name for name, value in MALLOC.items() if os.environ.get(name) != value]
    yield Check(
        'middleware', 'malloc', MISSING if wrong else OK,
        f'{len(MALLOC) - len(wrong)} of {len(MALLOC)} settings',
        f'image latency and CPU double: set -a; . {shipped("images.env")}; set +a' if wrong
        else '',
    )


def profile_check() -> Check:
    """Whether a Fast DDS profile with a shared-memory segment for images is in force."""
    cost = (
        'images are lost between processes: set FASTDDS_DEFAULT_PROFILES_FILE and '
        f'FASTRTPS_DEFAULT_PROFILES_FILE to {shipped("fastdds.xml")} (the launch files do)'
    )
    paths = {name: os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)}
    if not paths:
        return Check('middleware', 'fastdds profile', MISSING, 'not set', cost)
    path = Path(next(iter(paths.values())))
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        return Check('middleware', 'fastdds profile', MISSING, f'{path} unreadable: {error}', cost)
    texts = [(element.text or '').strip() for element in root.iter()
             if element.tag.endswith('segment_size')]
    sizes = [int(text) for text in texts if re.fullmatch('[0-9]{1,15}', text)]
    if max(sizes, default=0) < ENOUGH_BYTES:
        return Check('middleware', 'fastdds profile', MISSING,
                     f'{path} has no segment_size of {ENOUGH_BYTES} bytes or more', cost)
    return Check('middleware', 'fastdds profile', OK, f'{path}, segment {max(sizes) >> 20} MB')


def shared_memory_check() -> Check:
    """Whether the segments of several processes fit into the shared memory that there is."""
    wrong = image_delivery.little_shared_memory()
    found, _, advice = wrong.partition(': ')
    return Check(
        'middleware', 'shared memory', MISSING if wrong else OK,
        found or f'enough in {image_delivery.SHARED_MEMORY}', advice,
    )


def shipped(name: str) -> Path:
    """Where a file of ``config/`` is: installed, or in the checkout."""
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    installed = [Path(prefix) / 'share/perception_nodes/config' / name for prefix in prefixes
                 if prefix]
    return next((path for path in installed if path.is_file()),
                Path(__file__).resolve().parents[2] / 'config' / name)


def backend_checks() -> Iterator[Check]:
    """GPU and everything that runs models."""
    from perception_nodes.inference.tensorrt.engine_cache import engine_folder
    from perception_nodes.inference.tensorrt.gpu import probe

    gpu, reason = probe()
    if gpu is None:
        yield Check('backend', 'gpu', MISSING, reason, 'models run on the CPU')
    else:
        yield Check('backend', 'gpu', OK, f'{gpu.name}, compute {gpu.compute_capability}, '
                    f'{gpu.memory_bytes >> 20} MB, driver for CUDA {gpu.driver_cuda}')
    import onnxruntime

    providers = ', '.join(onnxruntime.get_available_providers())
    yield Check('backend', 'onnxruntime', OK, f'{onnxruntime.__version__}: {providers}')
    yield _optional('tensorrt', 'tensorrt', "no engines tuned on this machine's own GPU "
                    '(JetPack brings it)')
    yield _optional('tensorrt_rtx', 'tensorrt-rtx-cu13', 'no engines ahead of time')
    yield bindings_check(gpu)
    yield _optional('openvino', 'openvino', 'backend openvino is off')
    yield _optional('onnx', 'onnx', 'no fp16 or int8 is made here')
    yield _optional('torch', 'torch', 'no training and no export')
    folder = engine_folder()
    engines = len(list(folder.glob('*.engine'))) if folder.is_dir() else 0
    yield Check('backend', 'engines', OK, f'{engines} in {folder}')


def bindings_check(gpu: 'Gpu | None') -> Check:
    """Whether the CUDA bindings are there and not newer than the driver."""
    check = _optional('cuda.bindings', 'cuda-python', 'engines are built but cannot run here')
    major = _version('cuda-bindings').split('.')[0]
    if gpu is None or check.status != OK or not major.isdigit():
        return check
    newest = gpu.driver_cuda.split('.')[0]
    if int(major) <= int(newest):
        return check
    return Check('backend', check.name, MISSING, f'{check.found}, driver for CUDA {newest}',
                 f"engines cannot run: pip install 'cuda-python<{int(newest) + 1}'")


def model_checks() -> Iterator[Check]:
    """Every model: is its file the one that its card describes?"""
    from perception_nodes.inference import models
    from perception_nodes.inference.model_card import check_model
    from perception_nodes.pipelines.tasks import TASKS

    found = models.list_models()
    if not found:
        yield Check('models', 'models', BROKEN, 'none found',
                    f'set {models.VARIABLE} to the folder that holds them')
        return
    for task in TASKS.values():
        if task.model and task.model not in found:
            yield Check('models', task.model, MISSING, 'not found',
                        f'{task.name} does not run with its defaults')
    for name, path in found.items():
        try:
            card = check_model(path)
        except PerceptionError as error:
            yield Check('models', name, BROKEN, str(path), str(error))
        else:
            yield Check('models', name, OK, f'sha256 {card.sha256[:12]} {path}')


def _optional(module: str, package: str, cost: str) -> Check:
    if _is_there(module):
        return Check('backend', module, OK, _version(package) or 'found')
    return Check('backend', module, MISSING, 'not installed', f'{cost}: pip install {package}')


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is not there
        return False


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''


GROUPS: dict[str, Callable[[], Iterable[Check]]] = {
    'python': python_checks, 'ros': ros_checks, 'middleware': middleware_checks,
    'backend': backend_checks, 'models': model_checks,
}
