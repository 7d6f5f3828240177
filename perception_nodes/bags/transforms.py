# SPDX-License-Identifier: Apache-2.0
"""Where a camera sits on the vehicle, by the static transforms that a bag holds."""

import numpy as np

from perception_nodes.bags.reader import BagReader
from perception_nodes.geometry import se3
from perception_nodes.messages.primitives import transform_of_transform
from perception_nodes.types import FloatArray, PerceptionError

STATIC = '/tf_static'


def static_transforms(bag: BagReader) -> dict[str, tuple[str, FloatArray]]:
    """Read /tf_static: child frame to (parent frame, parent_from_child [4, 4]).

    A transform that is none (a quaternion 0 0 0 0) is passed over, as tf2 does, and noted.
    """
    if STATIC not in bag.topics():
        return {}
    tree: dict[str, tuple[str, FloatArray]] = {}
    for entry in bag.messages([STATIC]):
        for transform in entry.message.transforms:
            parent = transform.header.frame_id.lstrip('/')
            child = transform.child_frame_id.lstrip('/')
            try:
                pose = transform_of_transform(transform.transform)
            except PerceptionError as error:
                bag.note(f'{STATIC} from {parent} to {child} is passed over: {error}')
                continue
            before = tree.get(child)
            if before is not None and (
                before[0] != parent or not np.allclose(before[1], pose, atol=1e-6)
            ):
                bag.note(
                    f'{STATIC} places {child} in two ways, on {before[0]} and on {parent}: the '
                    'later one counts'
                )
            tree[child] = parent, pose
    return tree


def base_from_frame(
    bag: BagReader, frame: str, base_frame: str = 'base_link'
) -> FloatArray | None:
    """Pose of a frame in the vehicle's frame.

    Returns
    -------
    base_from_frame, float64 [4, 4]; None if /tf_static does not connect the two, or goes round in
    a circle, which is noted.
    """
    tree = static_transforms(bag)
    try:
        frame_chain = _to_root(tree, frame.lstrip('/'))
        base_chain = _to_root(tree, base_frame.lstrip('/'))
    except PerceptionError as error:
        bag.note(str(error))
        return None
    shared = next((name for name in frame_chain if name in base_chain), None)
    if shared is None:
        return None
    return se3.inverse(base_chain[shared]) @ frame_chain[shared]


def _to_root(
    tree: dict[str, tuple[str, FloatArray]], frame: str
) -> dict[str, FloatArray]:
    """Every ancestor of a frame, itself first, to ancestor_from_frame."""
    chain: dict[str, FloatArray] = {frame: np.eye(4)}
    while frame in tree:
        parent, parent_from_child = tree[frame]
        if parent in chain:
            raise PerceptionError(f'{STATIC} has a loop at frame {parent}')
        chain[parent] = parent_from_child @ chain[frame]
        frame = parent
    return chain
