# SPDX-License-Identifier: Apache-2.0
"""Launch files, where ROS launch is installed (the wheels of the package index have none)."""

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path

import pytest

launch_ros = pytest.importorskip(
    'launch_ros.actions', reason='ROS launch is missing (launch_ros of a ROS distribution)'
)
launch = pytest.importorskip('launch.actions', reason='ROS launch is missing')

from launch import LaunchContext, LaunchDescription, LaunchService  # noqa: E402
from launch.actions import IncludeLaunchDescription  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402

from perception_nodes.pipelines.tasks import TASKS  # noqa: E402
from perception_nodes.types import PerceptionError  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
NODES = (*(f'{task}_node' for task in TASKS), 'perception_node')


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An ament prefix with this package in it, as colcon would install it."""
    share = tmp_path / 'share'
    (share / 'ament_index/resource_index/packages').mkdir(parents=True)
    (share / 'ament_index/resource_index/packages/perception_nodes').touch()
    (share / 'perception_nodes').mkdir()
    for name in ('launch', 'config', 'package.xml'):
        (share / 'perception_nodes' / name).symlink_to(ROOT / name)
    scripts = tmp_path / 'lib/perception_nodes'
    scripts.mkdir(parents=True)
    for name in NODES:
        script = scripts / name
        script.write_text(
            f'#!{sys.executable}\nimport sys\n'
            f'from perception_nodes.ros.start import {name}\nsys.exit({name}())\n'
        )
        script.chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    return tmp_path


def described(file, **arguments):
    """Nodes that a launch file would start: executable, remappings, parameters."""
    spec = importlib.util.spec_from_file_location('launched', ROOT / 'launch' / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    nodes = []
    for entity in module.generate_launch_description().entities:
        nodes += entity.execute(context) or []
    return [_facts(node, context) for node in nodes]


def _facts(node, context):
    node._perform_substitutions(context)
    files, values = [], {}
    for given, is_file in node._Node__expanded_parameter_arguments:
        if is_file and 'launch_params' in str(given):
            values = given
        else:
            files.append(str(given))
    return {
        'executable': node.node_executable, 'files': files, 'written': values,
        'name': node.node_name, 'remappings': dict(node.expanded_remapping_rules),
    }


@pytest.mark.parametrize('task', TASKS)
def test_own_node_of_each_task(prefix, task):
    """One file a node: its executable, its parameter file, its cameras."""
    node, = described(f'{task}.launch.py', left='/l', right='/r', camera='/c', backend='openvino')
    assert node['executable'] == f'{task}_node'
    assert node['files'][0].endswith(f'config/{task}_node.yaml')
    assert 'backend: openvino' in Path(node['written']).read_text()
    stereo = TASKS[task].stereo
    expected = {
        'left/image_rect': '/l/image_rect', 'left/camera_info': '/l/camera_info',
        'right/image_rect': '/r/image_rect', 'right/camera_info': '/r/camera_info',
    } if stereo else {'image': '/c/image_rect', 'camera_info': '/c/camera_info'}
    assert node['remappings'] == expected


def test_all_in_one_process(prefix):
    """perception_node on the pair, with the chosen tasks; rectify takes the raw images."""
    node, = described(
        'perception.launch.py', tasks='segmentation,visual_odometry', rectify='true',
        namespace='robot', use_sim_time='true',
    )
    assert node['executable'] == 'perception_node' and node['name'] == '/robot/perception_node'
    assert node['remappings']['left/image'] == 'left/image_raw'
    written = Path(node['written']).read_text()
    assert '- segmentation\n' in written and '- stereo_depth\n' not in written
    assert 'rectify: true' in written and 'use_sim_time: true' in written


def test_separate_processes_share_results(prefix):
    """Six nodes; odometry takes depth and mask of the others, unless told not to."""
    nodes = {node['executable']: node for node in described(
        'perception.launch.py', one_process='false', left='/l', right='/r'
    )}
    assert set(nodes) == {f'{task}_node' for task in TASKS}
    odometry = nodes['visual_odometry_node']['remappings']
    assert odometry['mask'] == 'segmentation_node/mask'
    assert odometry['depth/stddev'] == 'stereo_depth_node/depth/stddev'
    assert nodes['mono_depth_node']['remappings']['image'] == '/l/image_rect'
    alone = {node['executable']: node for node in described(
        'perception.launch.py', one_process='false', share_results='false'
    )}
    assert 'mask' not in alone['visual_odometry_node']['remappings']


def test_wrong_task_is_one_line(prefix):
    """Before any process starts."""
    with pytest.raises(PerceptionError, match='tasks:=juggling: they are segmentation'):
        described('perception.launch.py', tasks='juggling')


def test_a_parameter_file_that_is_not_there_is_one_line(prefix):
    """launch warns and goes on; the nodes would run with other parameters than meant."""
    with pytest.raises(PerceptionError, match=r'params_file:=/no\.yaml: there is no such file'):
        described('perception.launch.py', params_file='/no.yaml')


def test_a_launched_node_gets_files_arguments_and_environment(prefix, tmp_path, monkeypatch):
    """Really launched: user's file over ours, arguments over both; images are not lost."""
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'MALLOC_TOP_PAD_'):
        monkeypatch.delenv(name, raising=False)
    user = tmp_path / 'user.yaml'
    user.write_text(
        '/**/visual_odometry_node:\n  ros__parameters:\n    max_features: 123\n'
        '    rectify: false\n    mount: parameter\n'
    )
    service = LaunchService()
    source = PythonLaunchDescriptionSource(str(ROOT / 'launch/visual_odometry.launch.py'))
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
        source, launch_arguments=[
            ('params_file', str(user)), ('rectify', 'true'), ('namespace', 'robot'),
        ],
    )]))
    told, ended = {}, []

    def look():
        try:
            told.update(_ask('/robot/visual_odometry_node', ['max_features', 'rectify', 'window']))
            pid = _pid_of('visual_odometry_node')
            told['environment'] = Path(f'/proc/{pid}/environ').read_text().split('\0')
        finally:
            service.shutdown()

    thread = threading.Thread(target=look)
    thread.start()
    ended.append(service.run())
    thread.join(30)
    assert told['max_features'].integer_value == 123
    assert told['rectify'].bool_value is True
    assert told['window'].integer_value > 0
    assert any(e.startswith('FASTDDS_DEFAULT_PROFILES_FILE=') for e in told['environment'])
    assert 'MALLOC_TOP_PAD_=67108864' in told['environment']
    assert ended == [0]


def _ask(node, names):
    import rclpy
    from rcl_interfaces.srv import GetParameters
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor

    context = Context()
    rclpy.init(args=[], context=context)
    asking = rclpy.create_node('asking', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(asking)
    client = asking.create_client(GetParameters, f'{node}/get_parameters')
    try:
        assert client.wait_for_service(30.0)
        future = client.call_async(GetParameters.Request(names=names))
        executor.spin_until_future_complete(future, 20.0)
        return dict(zip(names, future.result().values, strict=True))
    finally:
        executor.shutdown()
        asking.destroy_node()
        context.try_shutdown()


def _pid_of(executable):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for entry in Path('/proc').iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / 'cmdline').read_text()
                except OSError:
                    continue
                if f'lib/perception_nodes/{executable}' in command:
                    return int(entry.name)
        time.sleep(0.1)
    raise AssertionError(f'{executable} does not run')


def test_every_launch_file_is_installed():
    """What setup.py lists, as colcon installs it."""
    files = {path.name for path in (ROOT / 'launch').glob('*.launch.py')}
    assert files == {f'{task}.launch.py' for task in TASKS} | {'perception.launch.py'}


def test_a_seventh_task_is_launched(prefix, seventh):
    """By the record alone; its launch file is two lines of its own."""
    from perception_nodes.ros.tools.launching import task_launch_description

    context = LaunchContext()
    context.launch_configurations['camera'] = '/c'
    nodes = []
    for entity in task_launch_description('image_quality').entities:
        nodes += entity.execute(context) or []
    node = _facts(nodes[0], context)
    assert node['executable'] == 'image_quality_node'
    assert node['remappings'] == {'image': '/c/image_rect', 'camera_info': '/c/camera_info'}
