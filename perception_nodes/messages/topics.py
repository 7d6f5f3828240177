# SPDX-License-Identifier: Apache-2.0
"""The topics of every node: name, type, and when they are published."""

from dataclasses import dataclass

IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
ODOMETRY = 'nav_msgs/msg/Odometry'
STRING = 'std_msgs/msg/String'


@dataclass(frozen=True)
class Topic:
    """One topic that a node publishes.

    Attributes
    ----------
    name : below the node's own name: 'mask' is published as ``~/mask``.
    type : full ROS 2 type.
    meaning : one line for people, with the unit.
    latched : transient local: who comes later gets the last message.
    on_demand : made only while somebody listens, for it costs time and only eyes want it.
    optional : only where the package of its type is installed.
    """

    name: str
    type: str
    meaning: str
    latched: bool = False
    on_demand: bool = False
    optional: bool = False


_MODEL_INFO = Topic('model_info', STRING, 'JSON: model card and engine key', latched=True)

_DEPTH = (
    Topic('depth/image_rect', IMAGE, '32FC1, metres along the optical axis, NaN invalid'),
    Topic('depth/stddev', IMAGE, '32FC1, one sigma of the depth, metres, NaN invalid'),
    Topic('depth/camera_info', CAMERA_INFO, 'camera of exactly the depth image'),
)
_POINTS = Topic('points', POINT_CLOUD, 'x y z rgb sigma, metres', on_demand=True)

TOPICS: dict[str, tuple[Topic, ...]] = {
    'segmentation': (
        Topic('mask', IMAGE, 'mono8, class ids, 255 = unlabelled'),
        Topic('confidence', IMAGE, 'mono8, 0..255: probability of the label'),
        Topic('uncertainty', IMAGE, '32FC1, predictive entropy 0..1'),
        Topic('epistemic', IMAGE, '32FC1, mutual information 0..1; only with sampling'),
        Topic(
            'label_info', 'vision_msgs/msg/LabelInfo', 'names of the class ids', latched=True,
            optional=True,
        ),
        Topic('overlay', IMAGE, 'rgb8, the mask over the image', on_demand=True),
        _MODEL_INFO,
    ),
    'stereo_depth': (
        *_DEPTH,
        Topic('disparity', 'stereo_msgs/msg/DisparityImage', '32FC1, pixels, NaN invalid'),
        _POINTS,
        _MODEL_INFO,
    ),
    'mono_depth': (*_DEPTH, _POINTS, _MODEL_INFO),
    'optical_flow': (
        Topic('flow', IMAGE, '32FC2, pixels since the previous image, NaN invalid'),
        Topic('flow/stddev', IMAGE, '32FC1, one sigma, pixels'),
        Topic(
            'flow/interval', 'sensor_msgs/msg/TimeReference', 'time_ref: the previous stamp'
        ),
        Topic('flow/color', IMAGE, 'rgb8, Middlebury colours', on_demand=True),
        _MODEL_INFO,
    ),
    'visual_odometry': (
        Topic('odometry', ODOMETRY, 'pose in odom, twist in base_link, covariances'),
        Topic(
            'status', 'diagnostic_msgs/msg/DiagnosticStatus', 'tracking or lost, and why'
        ),
        Topic('path', 'nav_msgs/msg/Path', 'poses so far, in odom', on_demand=True),
        _MODEL_INFO,
    ),
    'place_recognition': (
        Topic('matches', POINT_CLOUD, 'candidate places at where they are in the map'),
        Topic(
            'pose', 'geometry_msgs/msg/PoseWithCovarianceStamped',
            'base_link in the map by the best verified match',
        ),
        Topic('loop_closure', ODOMETRY, 'base_link in the frame place_<id>'),
        _MODEL_INFO,
    ),
}


def node_name(task: str) -> str:
    """Name of the node of a task."""
    return f'{task}_node'


def full_name(task: str, topic: str) -> str:
    """Name of a topic when its node runs under its own name in the root namespace."""
    return f'/{node_name(task)}/{topic}'


def find_topic(task: str, name: str) -> Topic:
    """Look a topic up by its task and name; KeyError if the task has none of that name."""
    for topic in TOPICS[task]:
        if topic.name == name:
            return topic
    raise KeyError(f'{task} has no topic {name!r}')
