# SPDX-License-Identifier: Apache-2.0
"""A seventh task, without a model: how sharp and how well exposed an image is.

What ``messages/image_quality.py`` (with the result's class), ``pipelines/image_quality.py``,
``pipelines/tasks/image_quality.py`` and ``evaluation/scorers/image_quality.py`` would hold.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from perception_nodes.evaluation.report_parts import ReportImage
from perception_nodes.evaluation.samples import GroundTruth
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.image import encode_image
from perception_nodes.messages.topics import IMAGE, Topic
from perception_nodes.metrics.info import MetricInfo
from perception_nodes.pipelines.images import grey, require_range
from perception_nodes.pipelines.tasks import Implementation, Task
from perception_nodes.types import Array, Image

TOPICS = (
    Topic('status', 'diagnostic_msgs/msg/DiagnosticStatus', 'sharpness and exposure'),
    Topic('clipped', IMAGE, 'mono8, 255 where the image is too dark or too bright',
          on_demand=True),
)


@dataclass(frozen=True)
class ImageQuality:
    """Quality of one image: variance of its Laplacian, and share of clipped pixels 0..1."""

    stamp_ns: int
    frame_id: str
    sharpness: float
    clipped: Array


@dataclass(frozen=True)
class ImageQualityConfig:
    """What counts as clipped.

    Attributes
    ----------
    dark, bright : grey values at and below, and at and above, which a pixel is clipped, 0..255.
    """

    dark: int = 2
    bright: int = 253

    def __post_init__(self) -> None:
        require_range('dark', self.dark, 0, 255)
        require_range('bright', self.bright, self.dark, 255)


class ImageQualityPipeline:
    """Image in, ImageQuality out; no state, no model."""

    runners = ()

    def __init__(self, config: ImageQualityConfig | None = None) -> None:
        self.config = config or ImageQualityConfig()

    def reset(self) -> None:
        """Forget nothing: every image stands for itself."""

    def __call__(self, image: Image) -> ImageQuality:
        """Measure an image."""
        values = grey(image)
        clipped = (values <= self.config.dark) | (values >= self.config.bright)
        return ImageQuality(
            image.stamp_ns, image.frame_id, float(cv2.Laplacian(values, cv2.CV_64F).var()), clipped
        )


def messages_of(
    result: ImageQuality, factory: MessageFactory, wanted: Container[str],
    context: Context | None = None,
) -> dict[str, Any]:
    """Make the wanted topics."""
    messages = {}
    if 'status' in wanted:
        values = {'stamp_ns': result.stamp_ns, 'frame_id': result.frame_id,
                  'sharpness': result.sharpness, 'clipped': float(result.clipped.mean())}
        messages['status'] = factory.make(
            'diagnostic_msgs/msg/DiagnosticStatus', level=factory.octet(0), name='image_quality',
            message='', hardware_id='', values=[
                factory.make('diagnostic_msgs/msg/KeyValue', key=key, value=str(value))
                for key, value in values.items()
            ],
        )
    if 'clipped' in wanted:
        messages['clipped'] = encode_image(
            result.clipped.astype(np.uint8) * 255, 'mono8', factory, result.stamp_ns,
            result.frame_id,
        )
    return messages


def result_of(messages: Mapping[str, Any]) -> ImageQuality:
    """Give back the result; of the clipped pixels their share alone."""
    values = {entry.key: entry.value for entry in messages['status'].values}
    return ImageQuality(
        int(values['stamp_ns']), values['frame_id'], float(values['sharpness']),
        np.array([[float(values['clipped'])]]),
    )


def load() -> Implementation:
    """What runs the task."""
    return Implementation(
        ImageQualityConfig, lambda open_model, model, config: ImageQualityPipeline(config), TOPICS,
        messages_of, decode=result_of, required=('status',),
    )


TASK = Task('image_quality', 'sharpness and exposure of the image', load)


class QualityMetric:
    """Means over the frames."""

    infos = (
        MetricInfo('sharpness', 'sharpness', 'Variance of the Laplacian, mean over the frames.',
                   better='high'),
        MetricInfo('clipped', 'clipped pixels', 'Share of pixels, mean over the frames.',
                   better='low'),
    )

    def __init__(self) -> None:
        self.results: list[ImageQuality] = []

    def compute(self) -> dict[str, float]:
        """Return the means."""
        return {
            'sharpness': float(np.mean([result.sharpness for result in self.results])),
            'clipped': float(np.mean([result.clipped.mean() for result in self.results])),
        }


class ImageQualityScorer(Scorer):
    """It needs no ground truth."""

    task = TASK.name
    metric_type = QualityMetric
    headlines = ('sharpness', 'clipped')
    frame_label = 'sharpness'

    def score(self, metric: QualityMetric, truth: GroundTruth, result: ImageQuality) -> float:
        """Add one frame."""
        metric.results.append(result)
        return result.sharpness

    def images(
        self, image: Image | None, truth: GroundTruth, result: ImageQuality,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show which pixels are clipped."""
        shown = np.repeat(result.clipped.astype(np.uint8)[..., None] * 255, 3, axis=2)
        return [ReportImage(shown, 'clipped pixels')]
