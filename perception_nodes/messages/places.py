# SPDX-License-Identifier: Apache-2.0
"""Place matches as the topics of place_recognition_node."""

from collections.abc import Container
from typing import Any

import numpy as np

from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.points import cloud_message
from perception_nodes.messages.primitives import (
    NS_PER_S,
    header,
    pose_with_covariance,
    twist_with_covariance,
)
from perception_nodes.messages.topics import ODOMETRY, POINT_CLOUD, Topic
from perception_nodes.types import FloatArray, PlaceMatch, PlaceMatches

# stamp: seconds, because PointField has no 64-bit integer; good to half a microsecond.
PLACE_POINT = np.dtype({
    'names': ['x', 'y', 'z', 'id', 'stamp', 'similarity', 'probability', 'inliers'],
    'formats': ['<f4', '<f4', '<f4', '<u4', '<f8', '<f4', '<f4', '<u4'],
    'offsets': [0, 4, 8, 12, 16, 24, 28, 32],
    'itemsize': 40,
})
UNKNOWN_TWIST_VARIANCE = 1e6

TOPICS = (
    Topic('matches', POINT_CLOUD, 'candidate places at where they are in the map'),
    Topic(
        'pose', 'geometry_msgs/msg/PoseWithCovarianceStamped',
        'base_link in the map by the best verified match',
    ),
    Topic('loop_closure', ODOMETRY, 'base_link in the frame place_<id>'),
)


def place_messages(
    result: PlaceMatches, factory: MessageFactory, wanted: Container[str],
    context: Context | None = None,
) -> dict[str, Any]:
    """Make the wanted topics of the candidates; pose and loop closure only of a verified one.

    Returns
    -------
    topic name (as in ``topics.TOPICS``) to message.
    """
    messages = {}
    if 'matches' in wanted:
        messages['matches'] = cloud_message(
            _points(result), factory, result.stamp_ns, result.map_frame, dense=True
        )
    best = next((match for match in result.matches if match.verified), None)
    if best is None:
        return messages
    if 'pose' in wanted:
        messages['pose'] = _pose_in_map(best, result.stamp_ns, factory, result.map_frame)
    if 'loop_closure' in wanted:
        messages['loop_closure'] = _loop_closure(
            best, result.stamp_ns, factory, result.base_frame
        )
    return messages


def _points(result: PlaceMatches) -> Any:
    points = np.zeros(len(result.matches), PLACE_POINT)
    for point, match in zip(points, result.matches, strict=True):
        point['x'], point['y'], point['z'] = match.map_from_place[:3, 3]
        point['id'] = match.place_id
        point['stamp'] = match.place_stamp_ns / NS_PER_S
        point['similarity'] = match.similarity
        point['probability'] = match.probability
        point['inliers'] = match.inliers
    return points


def _pose_in_map(match: PlaceMatch, stamp: int, factory: MessageFactory, frame: str) -> Any:
    place_from_base, covariance = _relative(match)
    # The covariance is along the place's axes; the message wants the map's.
    turn = np.zeros((6, 6))
    turn[:3, :3] = turn[3:, 3:] = match.map_from_place[:3, :3]
    return factory.make(
        'geometry_msgs/msg/PoseWithCovarianceStamped', header=header(factory, stamp, frame),
        pose=pose_with_covariance(
            factory, match.map_from_place @ place_from_base, turn @ covariance @ turn.T
        ),
    )


def _loop_closure(match: PlaceMatch, stamp: int, factory: MessageFactory, frame: str) -> Any:
    place_from_base, covariance = _relative(match)
    return factory.make(
        'nav_msgs/msg/Odometry', header=header(factory, stamp, f'place_{match.place_id}'),
        child_frame_id=frame, pose=pose_with_covariance(factory, place_from_base, covariance),
        twist=twist_with_covariance(
            factory, np.zeros(6), UNKNOWN_TWIST_VARIANCE * np.eye(6)
        ),
    )


def _relative(match: PlaceMatch) -> tuple[FloatArray, FloatArray]:
    """Pose now in the place's frame and its covariance, of a verified match."""
    if match.place_from_base is None or match.covariance is None:
        raise ValueError(f'place {match.place_id} is not verified: it has no relative pose')
    return match.place_from_base, match.covariance
