# SPDX-License-Identifier: Apache-2.0
"""The ament_python package: entry points, data files and what each kind of user installs."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'perception_nodes'
ROOT = Path(__file__).resolve().parent
# Each has its file of parameters.
NODES = sorted(path.stem for path in (ROOT / 'config').glob('*_node.yaml'))


def files(pattern: str) -> list[str]:
    """Paths of the checkout that match, relative as setuptools wants them."""
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))


# The wheels of the ROS 2 client library (Kilted). A robot uses its own distribution instead.
ROS = [
    'ros-rclpy[fastrtps]==9.1.2',
    *(
        f'ros-{name}==5.5.1'
        for name in (
            'std-msgs', 'sensor-msgs', 'geometry-msgs', 'nav-msgs', 'stereo-msgs',
            'diagnostic-msgs', 'std-srvs',
        )
    ),
]
TRAIN = ['torch>=2.4,<2.14', 'safetensors>=0.4', 'onnx>=1.16', 'onnxscript>=0.2']
TENSORRT = ['tensorrt-rtx-cu13', 'cuda-python>=12.3', 'onnx>=1.16', 'onnxscript>=0.2']
OPENVINO = ['openvino>=2024.4']
TEST = ['pytest>=7']
DEV = [
    *TEST, 'pytest-xdist>=3.5', 'hypothesis>=6.100', 'ruff==0.17.5', 'mypy==2.4.1',
    'import-linter>=2.6',
]

setup(
    name=PACKAGE,
    version='0.1.0',
    description='Semantic masks, depth with uncertainty, optical flow, visual odometry and '
    'place recognition as ROS 2 nodes, on TensorRT or ONNX Runtime',
    author='perception_nodes developers',
    maintainer='perception_nodes developers',
    maintainer_email='developers@perception-nodes.org',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        PACKAGE: ['py.typed'], f'{PACKAGE}.evaluation.templates': ['*.j2', '*.css'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', files('launch/*.launch.py')),
        (f'share/{PACKAGE}/config', files('config/*')),
        (f'share/{PACKAGE}/models', files('models/*.onnx') + files('models/*.json')),
    ],
    install_requires=[
        'setuptools',
        'numpy>=1.21',
        'scipy>=1.8',
        'opencv-python-headless>=4.6,<5',
        'onnxruntime>=1.16',
        'rosbags>=0.11.9',
        'lz4>=3.1',
        'simplejpeg>=1.8',
        'backports.zstd>=1.0; python_version < "3.14"',
        'msgspec>=0.18',
        'pyyaml>=5.4',
        'click>=8.0',
        'jinja2>=3.0',
        'matplotlib>=3.5',
    ],
    extras_require={
        'ros': ROS,
        'train': TRAIN,
        'tensorrt': TENSORRT,
        'openvino': OPENVINO,
        'test': TEST,
        'dev': DEV,
    },
    entry_points={
        'console_scripts': [
            'perception = perception_nodes.cli.main:main',
            *(f'{node} = {PACKAGE}.ros.start:{node}' for node in NODES),
        ],
    },
    zip_safe=True,
)
