# SPDX-License-Identifier: Apache-2.0
"""The task of estimating depth from one image."""

from perception_nodes.pipelines.tasks.task import Implementation, Task


def _load() -> Implementation:
    from perception_nodes.messages import depth as messages
    from perception_nodes.pipelines.mono_depth import MonoDepthConfig, MonoDepthPipeline

    return Implementation(
        MonoDepthConfig,
        lambda open_model, model, config: MonoDepthPipeline(open_model(model), config),
        messages.MONO_TOPICS, messages.depth_messages, decode=messages.depth_from_messages,
        required=messages.REQUIRED,
    )


TASK = Task(
    'mono_depth', 'depth from one image, with its one-sigma', _load, 'mono_depth',
    needs_camera=True,
)
