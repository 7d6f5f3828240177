# SPDX-License-Identifier: Apache-2.0
"""Odometry as the topics of visual_odometry_node, and back."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.primitives import (
    header,
    pose_with_covariance,
    stamp_ns,
    transform_of_pose,
    twist_with_covariance,
)
from perception_nodes.messages.topics import ODOMETRY, Topic
from perception_nodes.types import FloatArray, Odometry

OK, WARN = 0, 1
LOST_VARIANCE = 9999.0  # m^2, rad^2; rtabmap_ros calls it BAD_COVARIANCE
# Odometry further from a stamp than this is not used for it.
MAX_GAP_NS = 200_000_000

TOPICS = (
    Topic('odometry', ODOMETRY, 'pose in odom, twist in base_link, covariances'),
    Topic('status', 'diagnostic_msgs/msg/DiagnosticStatus', 'tracking or lost, and why'),
    Topic('path', 'nav_msgs/msg/Path', 'poses so far, in odom', on_demand=True, cumulative=True),
)


def odometry_messages(
    result: Odometry, factory: MessageFactory, wanted: Container[str],
    context: Context | None = None,
) -> dict[str, Any]:
    """Make the wanted topics of one pose; the path is the context's history.

    Returns
    -------
    topic name (as in ``topics.TOPICS``) to message.
    """
    messages = {}
    if 'odometry' in wanted:
        messages['odometry'] = odometry_message(result, factory)
    if 'status' in wanted:
        messages['status'] = status_message(result, factory)
    if 'path' in wanted and context is not None and context.history is not None:
        messages['path'] = context.history.message(result.stamp_ns, result.frame_id)
    return messages


def odometry_message(result: Odometry, factory: MessageFactory) -> Any:
    """Make a nav_msgs/Odometry; of a lost vehicle it is the pose that is held, known to nobody.

    Whoever fuses odometry sees this topic alone. Lost is therefore written as rtabmap and others
    take it: a variance of LOST_VARIANCE or more on the diagonals, and a twist of zero.
    """
    pose_covariance, twist = result.pose_covariance, result.twist
    twist_covariance = result.twist_covariance
    if not result.tracking:
        unknown = LOST_VARIANCE * np.eye(6)
        pose_covariance, twist_covariance = pose_covariance + unknown, twist_covariance + unknown
        twist = np.zeros(6)
    return factory.make(
        'nav_msgs/msg/Odometry', header=header(factory, result.stamp_ns, result.frame_id),
        child_frame_id=result.child_frame_id,
        pose=pose_with_covariance(factory, result.odom_from_base, pose_covariance),
        twist=twist_with_covariance(factory, twist, twist_covariance),
    )


def status_message(result: Odometry, factory: MessageFactory) -> Any:
    """Make a diagnostic_msgs/DiagnosticStatus: OK while tracking, WARN with the reason if not."""
    sigma = np.sqrt(np.maximum(np.diag(result.pose_covariance), 0.0))
    values = {
        'stamp_ns': str(result.stamp_ns),
        'tracking': str(result.tracking).lower(),
        'inliers': str(result.inliers),
        'matches': str(result.matches),
        'position_sigma_m': f'{np.linalg.norm(sigma[:3]):.4g}',
        'rotation_sigma_rad': f'{np.linalg.norm(sigma[3:]):.4g}',
    }
    return factory.make(
        'diagnostic_msgs/msg/DiagnosticStatus',
        level=factory.octet(OK if result.tracking else WARN), name='visual_odometry',
        message='tracking' if result.tracking else f'lost: {result.reason}', hardware_id='',
        values=[
            factory.make('diagnostic_msgs/msg/KeyValue', key=key, value=value)
            for key, value in values.items()
        ],
    )


def odometry_from_messages(messages: Mapping[str, Any]) -> Odometry:
    """Return the result that topics of one stamp carry.

    Parameters
    ----------
    messages : 'odometry' and, where it was recorded, 'status'.

    Raises
    ------
    PerceptionError
        If a message is malformed.
    """
    message = messages['odometry']
    values = {entry.key: entry.value for entry in getattr(messages.get('status'), 'values', ())}
    lost = float(message.pose.covariance[0]) >= LOST_VARIANCE
    tracking = values.get('tracking', str(not lost).lower()) == 'true'
    reason = 'the message has no valid covariance'
    if 'status' in messages:
        reason = messages['status'].message.partition('lost: ')[2]
    linear, angular = message.twist.twist.linear, message.twist.twist.angular
    return Odometry(
        stamp_ns(message.header.stamp), message.header.frame_id, message.child_frame_id,
        transform_of_pose(message.pose.pose), _square(message.pose.covariance),
        np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z], np.float64),
        _square(message.twist.covariance), tracking, '' if tracking else reason,
        int(values.get('inliers', 0)), int(values.get('matches', 0)),
    )


def odometry_between(around: Sequence[Odometry], stamp_ns: int) -> Odometry | None:
    """Odometry at a stamp, its pose interpolated between the results around it.

    Parameters
    ----------
    around : the last one before the stamp and the first one after it, or one of them.

    Returns
    -------
    None if the nearest is further away than MAX_GAP_NS.
    """
    before, after = around[0], around[-1]
    nearest = min(around, key=lambda odometry: abs(odometry.stamp_ns - stamp_ns))
    if abs(nearest.stamp_ns - stamp_ns) > MAX_GAP_NS:
        return None
    if before.stamp_ns == after.stamp_ns:
        return nearest
    part = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
    step = se3.log(se3.inverse(before.odom_from_base) @ after.odom_from_base)
    return replace(
        nearest, stamp_ns=stamp_ns, odom_from_base=before.odom_from_base @ se3.exp(part * step)
    )


def _square(covariance: Any) -> FloatArray:
    return np.array(covariance, np.float64).reshape(6, 6)
