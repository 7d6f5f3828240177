# SPDX-License-Identifier: Apache-2.0
"""What the launch files are made of; needs ROS launch and launch_ros."""

import os
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros import image_delivery
from perception_nodes.types import PerceptionError

PACKAGE = 'perception_nodes'

# Argument: what it does. Empty = as in the parameter file.
COMMON = {
    'namespace': 'namespace of the nodes',
    'params_file': 'YAML file of parameters, read after the one that the package brings',
    'backend': 'auto, onnxruntime, tensorrt, openvino, ...',
    'precision': 'of TensorRT engines: fp32, fp16, int8',
    'engine_dir': 'folder of TensorRT engines',
    'build_only': 'true: build the engines, then end',
    'autostart': 'false: wait for a lifecycle manager',
    'use_sim_time': 'true: take the time from /clock',
    'transport': 'raw or compressed',
    'rectify': 'true: images are raw and are rectified by the nodes',
    'image': 'name of the image below its camera; empty = image_rect, with rectify image_raw',
    'log_level': 'debug, info, warn, error',
}
PARAMETERS = (
    'backend', 'precision', 'engine_dir', 'build_only', 'autostart', 'use_sim_time', 'transport',
    'rectify',
)
CAMERAS = {
    'mono': {'camera': ('camera', 'namespace of the camera')},
    'stereo': {
        'left': ('left', 'namespace of the left camera'),
        'right': ('right', 'namespace of the right camera'),
    },
}


def task_launch_description(task: str) -> LaunchDescription:
    """Launch the own node of one task."""
    kind = 'stereo' if TASKS[task].stereo else 'mono'
    return LaunchDescription([
        *_camera_arguments(kind), *_arguments(COMMON),
        DeclareLaunchArgument('model', default_value='', description='name or path of the model'),
        OpaqueFunction(function=lambda context: [_task_node(context, task, kind, {})]),
    ])


def perception_launch_description() -> LaunchDescription:
    """Launch any of the tasks on one pair, in one process or in several."""
    return LaunchDescription([
        *_camera_arguments('stereo'), *_arguments(COMMON),
        DeclareLaunchArgument(
            'tasks', default_value=','.join(TASKS), description='which, separated by commas'
        ),
        DeclareLaunchArgument(
            'one_process', default_value='true', choices=['true', 'false'],
            description='all in perception_node, or each task in a process of its own',
        ),
        DeclareLaunchArgument(
            'share_results', default_value='true', choices=['true', 'false'],
            description='separate processes take the results that help them from each other',
        ),
        OpaqueFunction(function=_perception),
    ])


def _perception(context: LaunchContext) -> list[Node]:
    values = context.launch_configurations
    tasks = [task.strip() for task in values['tasks'].split(',') if task.strip()]
    if not tasks or any(task not in TASKS for task in tasks):
        raise PerceptionError(f'tasks:={values["tasks"]}: they are {", ".join(TASKS)}')
    if values['one_process'] == 'true':
        stereo = any(TASKS[task].stereo for task in tasks)
        cameras = _stereo_topics(values) if stereo else _mono_topics(values, values['left'])
        return [_node(context, 'perception_node', cameras, {'tasks': tasks})]
    share = values['share_results'] == 'true'
    return [
        _task_node(
            context, task, 'stereo' if TASKS[task].stereo else 'left',
            TASKS[task].auxiliary_remappings() if share else {},
        )
        for task in tasks
    ]


def _task_node(context: LaunchContext, task: str, kind: str, remappings: dict[str, str]) -> Node:
    values = context.launch_configurations
    if kind == 'stereo':
        cameras = _stereo_topics(values)
    else:
        cameras = _mono_topics(values, values['left' if kind == 'left' else 'camera'])
    model = {'model': values['model']} if values.get('model') else {}
    return _node(context, TASKS[task].node, {**cameras, **remappings}, model)


def _node(
    context: LaunchContext, name: str, remappings: dict[str, str], parameters: dict[str, Any]
) -> Node:
    values = context.launch_configurations
    files = [str(Path(get_package_share_directory(PACKAGE)) / 'config' / f'{name}.yaml')]
    if values['params_file']:
        # launch itself would only warn, and the nodes would run with other parameters than meant.
        if not Path(values['params_file']).is_file():
            raise PerceptionError(f'params_file:={values["params_file"]}: there is no such file')
        files.append(values['params_file'])
    given = {key: _typed(values[key]) for key in PARAMETERS if values[key]}
    level = ['--log-level', values['log_level']] if values['log_level'] else []
    environment = {
        key: value for key, value in image_delivery.environment().items() if key not in os.environ
    }
    return Node(
        package=PACKAGE, executable=name, name=name, namespace=values['namespace'],
        parameters=[*files, {**given, **parameters}], remappings=list(remappings.items()),
        ros_arguments=level, additional_env=environment, output='screen', emulate_tty=True,
    )


def _stereo_topics(values: dict[str, str]) -> dict[str, str]:
    taken = 'image' if values['rectify'] == 'true' else 'image_rect'
    topics = {}
    for side in ('left', 'right'):
        topics[f'{side}/{taken}'] = f'{values[side]}/{_image_name(values)}'
        topics[f'{side}/camera_info'] = f'{values[side]}/camera_info'
    return topics


def _mono_topics(values: dict[str, str], camera: str) -> dict[str, str]:
    return {'image': f'{camera}/{_image_name(values)}', 'camera_info': f'{camera}/camera_info'}


def _image_name(values: dict[str, str]) -> str:
    return values['image'] or ('image_raw' if values['rectify'] == 'true' else 'image_rect')


def _typed(text: str) -> bool | str:
    return text.lower() == 'true' if text.lower() in ('true', 'false') else text


def _arguments(described: dict[str, str]) -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(name, default_value='', description=text)
        for name, text in described.items()
    ]


def _camera_arguments(kind: str) -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in CAMERAS[kind].items()
    ]
