# SPDX-License-Identifier: Apache-2.0
"""The task of measuring motion in the image."""

from perception_nodes.pipelines.tasks.task import Implementation, Task


def _load() -> Implementation:
    from perception_nodes.messages import flow as messages
    from perception_nodes.pipelines.optical_flow import OpticalFlowConfig, OpticalFlowPipeline

    return Implementation(
        OpticalFlowConfig,
        lambda open_model, model, config: OpticalFlowPipeline(open_model(model), config),
        messages.TOPICS, messages.flow_messages, decode=messages.flow_from_messages,
        required=('flow',),
    )


TASK = Task(
    'optical_flow', 'motion of the pixels since the previous image, with its one-sigma', _load,
    'optical_flow',
)
