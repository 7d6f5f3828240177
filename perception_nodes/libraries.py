# SPDX-License-Identifier: Apache-2.0
"""The libraries that the package needs, and what to say when one is not installed."""

import sys

__all__ = ['REQUIRED', 'missing_library', 'package_of']

REQUIRED = (
    'numpy', 'scipy', 'cv2', 'onnxruntime', 'rosbags', 'lz4', 'simplejpeg', 'msgspec', 'yaml',
    'click', 'jinja2', 'matplotlib',
    *(() if sys.version_info >= (3, 14) else ('backports.zstd',)),
)
_PACKAGE_OF = {
    'cv2': 'opencv-python-headless', 'yaml': 'pyyaml', 'backports': 'backports.zstd',
    'backports.zstd': 'backports.zstd', 'cuda': 'cuda-python',
}
_ROS = ('rclpy', 'launch', 'launch_ros', 'ament_index_python', 'builtin_interfaces')


def package_of(module: str) -> str:
    """Name what pip installs to bring a module."""
    return _PACKAGE_OF.get(module, module)


def missing_library(error: ImportError) -> str:
    """Say in a line which library an import lacks and how to get it.

    Returns
    -------
    '' if no other package is missing: the import is wrong, or a library is there and broken.
    """
    module = (error.name or '').partition('.')[0]
    # The namespace ``backports`` may be there, of another package, without zstd in it.
    absent = isinstance(error, ModuleNotFoundError) or module == 'backports'
    if not absent or module in ('', 'perception_nodes') or module in sys.stdlib_module_names:
        return ''
    if module in _ROS or module.endswith(('_msgs', '_srvs')):
        how = "source a ROS 2 distribution or pip install 'perception_nodes[ros]'"
    else:
        how = f'pip install {package_of(module)}'
    return f'{module} is not installed: {how} (perception doctor lists all that is missing)'
