# SPDX-License-Identifier: Apache-2.0
"""Scores and samples the results of a replay while it runs; what fails here costs no result."""

from collections.abc import Mapping
from typing import Any

from perception_nodes.bags.reader import BagReader
from perception_nodes.errors import reason_of
from perception_nodes.evaluation.recordings.sampled_frames import SampledFrames
from perception_nodes.evaluation.recordings.scores import Scores, SequenceScorer
from perception_nodes.pipelines.perception import Results

__all__ = ['ReplayObserver']


class ReplayObserver:
    """Takes the results of each frame as the pipelines returned them.

    Parameters
    ----------
    truth : bag with the ground truth, open for this alone.
    infos : model card of every task that runs, as ``model_info`` holds it.
    sampled : frames to keep for the report.

    Attributes
    ----------
    reason : why nothing was scored; '' = it was.
    """

    def __init__(
        self, truth: BagReader, infos: Mapping[str, Mapping[str, Any]], sampled: int
    ) -> None:
        self.sampled_frames = SampledFrames(sampled)
        self.reason = ''
        self._tasks = tuple(infos)
        self._scorer: SequenceScorer | None = None
        try:
            self._scorer = SequenceScorer(truth, self._tasks, infos)
        except Exception as error:  # whatever it is, the results are there
            self._give_up(error)

    def __call__(self, results: Results) -> None:
        """Count one frame."""
        for task, result in results.items():
            self.sampled_frames.keep(task, result)
            if self._scorer is not None:
                try:
                    self._scorer.add(task, result)
                except Exception as error:  # as above
                    self._give_up(error)

    def finish(self, messages: Mapping[str, int]) -> Scores:
        """Return the scores; empty ones if scoring failed."""
        try:
            if self._scorer is not None:
                return self._scorer.finish(messages)
        except Exception as error:  # as above
            self._give_up(error)
        return Scores(messages=messages)

    def _give_up(self, error: Exception) -> None:
        self._scorer, self.reason = None, reason_of(error)
