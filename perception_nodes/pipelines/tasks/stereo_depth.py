# SPDX-License-Identifier: Apache-2.0
"""The task of measuring depth with a stereo pair."""

from perception_nodes.pipelines.tasks.task import AuxiliaryInput, Implementation, Task


def _load() -> Implementation:
    from perception_nodes.messages import depth as messages
    from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, StereoDepthPipeline

    return Implementation(
        StereoDepthConfig,
        lambda open_model, model, config: StereoDepthPipeline(open_model(model), config),
        messages.STEREO_TOPICS, messages.depth_messages, decode=messages.depth_from_messages,
        required=messages.REQUIRED,
    )


TASK = Task(
    'stereo_depth', 'depth from a stereo pair, with its one-sigma', _load, 'stereo_depth',
    cameras=2,
)
# As other tasks take it.
DEPTH = AuxiliaryInput(
    TASK.name, 'depth', ('depth/image_rect', 'depth/stddev', 'depth/camera_info')
)
