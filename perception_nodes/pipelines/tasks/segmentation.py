# SPDX-License-Identifier: Apache-2.0
"""The task of labelling the pixels of an image."""

from perception_nodes.pipelines.tasks.task import AuxiliaryInput, Implementation, Task


def _load() -> Implementation:
    from perception_nodes.messages import segmentation as messages
    from perception_nodes.pipelines.segmentation import SegmentationConfig, SegmentationPipeline

    return Implementation(
        SegmentationConfig,
        lambda open_model, model, config: SegmentationPipeline(open_model(model), config),
        messages.TOPICS, messages.segmentation_messages, messages.label_info_messages,
        messages.segmentation_from_messages, ('mask',),
    )


TASK = Task(
    'segmentation', 'classes of the pixels and how certain they are', _load, 'segmentation',
    takes=(
        AuxiliaryInput(
            'optical_flow', 'flow', ('flow', 'flow/stddev', 'flow/interval'), when='temporal'
        ),
    ),
)
