# SPDX-License-Identifier: Apache-2.0
"""From a task's name to its pipeline with a loaded model: what nodes, replay and bench call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from perception_nodes.inference import Runner, open_runner
from perception_nodes.pipelines.mono_depth import MonoDepthConfig, MonoDepthPipeline
from perception_nodes.pipelines.optical_flow import OpticalFlowConfig, OpticalFlowPipeline
from perception_nodes.pipelines.perception import Perception
from perception_nodes.pipelines.place_recognition import (
    PlaceRecognitionConfig,
    PlaceRecognitionPipeline,
)
from perception_nodes.pipelines.segmentation import SegmentationConfig, SegmentationPipeline
from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, StereoDepthPipeline
from perception_nodes.pipelines.visual_odometry import (
    VisualOdometryConfig,
    VisualOdometryPipeline,
)
from perception_nodes.types import PerceptionError

Open = Callable[[str | Path], Runner]
NO_MODEL = 'none'


@dataclass(frozen=True)
class PipelineKind:
    """How the pipeline of a task is made.

    Attributes
    ----------
    config : its dataclass; built without arguments it holds the defaults.
    build : from (a function that opens a model, the model's name, the config) to the pipeline.
    model : name of the released model that it uses unless told otherwise.
    """

    config: type[Any]
    build: Callable[[Open, str | Path, Any], Any]
    model: str


def _visual_odometry(
    open_model: Open, model: str | Path, config: VisualOdometryConfig
) -> VisualOdometryPipeline:
    learned = config.front_end == 'learned' and model != NO_MODEL
    return VisualOdometryPipeline(open_model(model) if learned else None, config)


def _place_recognition(
    open_model: Open, model: str | Path, config: PlaceRecognitionConfig
) -> PlaceRecognitionPipeline:
    return PlaceRecognitionPipeline(open_model(model), config, open_model('features'))


PIPELINES: dict[str, PipelineKind] = {
    'segmentation': PipelineKind(
        SegmentationConfig,
        lambda open_model, model, config: SegmentationPipeline(open_model(model), config),
        'segmentation',
    ),
    'stereo_depth': PipelineKind(
        StereoDepthConfig,
        lambda open_model, model, config: StereoDepthPipeline(open_model(model), config),
        'stereo_depth',
    ),
    'mono_depth': PipelineKind(
        MonoDepthConfig,
        lambda open_model, model, config: MonoDepthPipeline(open_model(model), config),
        'mono_depth',
    ),
    'optical_flow': PipelineKind(
        OpticalFlowConfig,
        lambda open_model, model, config: OpticalFlowPipeline(open_model(model), config),
        'optical_flow',
    ),
    'visual_odometry': PipelineKind(VisualOdometryConfig, _visual_odometry, 'features'),
    'place_recognition': PipelineKind(
        PlaceRecognitionConfig, _place_recognition, 'place_recognition'
    ),
}


def build_pipeline(
    task: str, *, model: str | Path | None = None, config: Any = None, backend: str = 'auto',
    precision: str = 'fp16', threads: int = 0,
) -> Any:
    """Load a task's model and make its pipeline.

    Parameters
    ----------
    task : key of PIPELINES.
    model : released name or path; None = the task's own; 'none' = visual odometry without one.
    config : the task's config dataclass; None = its defaults.
    backend, precision, threads : as ``inference.open_runner`` takes them.

    Raises
    ------
    PerceptionError
        If the task is unknown, the config is another task's, or the model cannot be loaded.
    """
    if task not in PIPELINES:
        raise PerceptionError(f'no task {task!r}; there are {", ".join(PIPELINES)}')
    kind = PIPELINES[task]
    config = kind.config() if config is None else config
    if not isinstance(config, kind.config):
        raise PerceptionError(
            f'{task} takes a {kind.config.__name__}, not a {type(config).__name__}'
        )
    # Offline, every frame is answered by one and the same backend: results repeat.
    open_model = partial(
        open_runner, backend=backend, precision=precision, threads=threads, wait=True
    )
    return kind.build(open_model, kind.model if model is None else model, config)


def build_perception(
    configs: Mapping[str, Any], *, models: Mapping[str, str | Path] | None = None,
    backend: str = 'auto', precision: str = 'fp16', threads: int = 0,
) -> Perception:
    """Make several tasks' pipelines for one stream of frames.

    Parameters
    ----------
    configs : a config (or None for the defaults) for each wanted task.
    models : other models than the tasks' own.

    Raises
    ------
    PerceptionError
        As ``build_pipeline``.
    """
    named = models or {}
    return Perception(**{
        task: build_pipeline(
            task, model=named.get(task), config=config, backend=backend, precision=precision,
            threads=threads,
        )
        for task, config in configs.items()
    })
