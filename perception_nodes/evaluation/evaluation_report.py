# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a report: figures, table against the baselines, plots, frames."""


import numpy as np

from perception_nodes.evaluation.evaluate import Evaluation
from perception_nodes.evaluation.method import MethodResult
from perception_nodes.evaluation.metrics_table import metrics_table
from perception_nodes.evaluation.plots import lines
from perception_nodes.evaluation.report import format_number
from perception_nodes.evaluation.report_parts import (
    Bars,
    Details,
    Gallery,
    Part,
    Report,
    Section,
)
from perception_nodes.evaluation.scorers import Scorer
from perception_nodes.evaluation.trajectories import evo_section
from perception_nodes.files.documents import to_json

__all__ = ['evaluation_report']


def evaluation_report(evaluation: Evaluation) -> Report:
    """Lay an evaluation out; made with ``details`` it has frames, too."""
    methods = (evaluation.ours, *evaluation.baselines)
    split = f', {evaluation.split}' if evaluation.split else ''
    figures = [
        (format_number(evaluation.ours.metrics[info.name]), info.title)
        for info in evaluation.scorer.headline_infos
        if info.name in evaluation.ours.metrics
    ]
    milliseconds = evaluation.ours.ms_per_frame
    figures.append((f'{milliseconds["p50"]:.0f} ms', f'a frame, p99 {milliseconds["p99"]:.0f} ms'))
    sections = [
        Section('Metrics', _metrics_parts(evaluation, methods), evaluation.source.note),
        Section('Plots', _plots(evaluation, methods)),
    ]
    if evaluation.ours.images:
        sections.append(
            Section(
                'Frames',
                _galleries(evaluation.ours, evaluation.scorer),
                'Spread over the set, not chosen.',
            )
        )
    alignment = evaluation.protocol.alignment
    if alignment is not None:
        sections.append(evo_section('ours', alignment, evaluation.ours.metrics))
    sections.append(
        Section('Result', (Details('JSON', to_json(evaluation.result(), indent=2)),))
    )
    task = evaluation.task.replace('_', ' ').capitalize()
    return Report(
        title=f'{task} on {_data_name(evaluation)}{split}',
        subtitle=f'{len(evaluation.ours.frame_values)} frames, model {evaluation.model} on '
        f'{evaluation.ours.backend}'
        + (f', fed by {", ".join(evaluation.protocol.inputs)}' if evaluation.protocol.inputs
           else '')
        + ''.join(f', {name} {text}' for name, text in evaluation.parameters.items())
        + (f', beside {", ".join(baseline.name for baseline in evaluation.baselines)}'
           if evaluation.baselines else ''),
        headline=figures,
        sections=[section for section in sections if section.parts],
    )  # fmt: skip


def _data_name(evaluation: Evaluation) -> str:
    """Name the data set; a bag by its folder."""
    return evaluation.root.name if evaluation.dataset == 'bag' else evaluation.dataset


def _galleries(ours: MethodResult, scorer: Scorer) -> list[Part]:
    """One row a frame; frames with one image share a row."""
    if all(len(images) == 1 for images in ours.images):
        return [Gallery([images[0] for images in ours.images], 2)]
    return [*scorer.legend(), *(Gallery(images, len(images)) for images in ours.images)]


def _metrics_parts(evaluation: Evaluation, methods: tuple[MethodResult, ...]) -> list[Part]:
    parts: list[Part] = []
    if evaluation.baselines:
        parts += [
            Bars(
                info.label,
                [(method.name, method.metrics.get(info.name)) for method in methods],
                unit=info.unit,
                lower_is_better=info.better == 'low',
            )
            for info in evaluation.scorer.headline_infos
            if info.better
        ]
        parts.append(
            Bars(
                'Time of a frame, median',
                [(method.name, method.ms_per_frame['p50']) for method in methods],
                unit='ms',
                lower_is_better=True,
            )
        )
    infos = evaluation.ours.metric.infos
    return [*parts, metrics_table({method.name: method.metrics for method in methods}, infos)]


def _plots(evaluation: Evaluation, methods: tuple[MethodResult, ...]) -> list[Part]:
    plots: list[Part] = list(
        evaluation.scorer.plots({method.name: method.metric for method in methods})
    )
    if label := evaluation.scorer.frame_label:
        values = {method.name: np.array(method.frame_values) for method in methods}
        plots.append(lines(values, f'{label}, of single frames', y_label=label))
    plots.append(
        lines(
            {method.name: np.array(method.call_ms) for method in methods},
            'Time of single frames',
            y_label='ms',
        )
    )
    return plots
