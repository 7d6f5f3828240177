# SPDX-License-Identifier: Apache-2.0
"""A pipeline that notes how long its calls take."""

import time
from typing import Any

from perception_nodes.inference.runner import Runner
from perception_nodes.pipelines.pipeline import Pipeline

__all__ = ['TimedPipeline']


class TimedPipeline:
    """Passes everything on to a pipeline.

    Attributes
    ----------
    call_ms : wall time of every call that was answered, milliseconds.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.call_ms: list[float] = []

    @property
    def config(self) -> Any:
        """The pipeline's."""
        return self._pipeline.config

    @property
    def runners(self) -> tuple[Runner, ...]:
        """The pipeline's."""
        return self._pipeline.runners

    def reset(self, **options: Any) -> None:
        """Reset the pipeline."""
        self._pipeline.reset(**options)

    def __call__(self, *inputs: Any, **auxiliary: Any) -> Any:
        """Call the pipeline."""
        start_ns = time.perf_counter_ns()
        result = self._pipeline(*inputs, **auxiliary)
        self.call_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        return result
