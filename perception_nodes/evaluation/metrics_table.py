# SPDX-License-Identifier: Apache-2.0
"""The metrics of several methods side by side."""

from perception_nodes.evaluation.report_parts import Table

__all__ = ['better_direction', 'metric_label', 'metrics_table']

_HIGH = ('miou', 'iou_', 'accuracy', 'delta', 'auroc', 'recall', 'ap', 'density', 'tracked_')
_NEITHER = ('coverage', 'median_scale', 'path_m')

# For the page; the JSON file has the names themselves.
_LABELS = {
    'miou': 'mIoU',
    'ece': 'calibration error (ECE)',
    'nll': 'negative log likelihood',
    'auroc_error': 'AUROC of errors by uncertainty',
    'ause': 'AUSE',
    'd1': 'D1: off by 3 px and 5 %',
    'fl': 'Fl: off by 3 px and 5 %',
    'epe_px': 'end-point error, px',
    'bad1': 'off by over 1 px',
    'bad2': 'off by over 2 px',
    'bad3': 'off by over 3 px',
    'abs_rel': 'Abs Rel',
    'sq_rel_m': 'Sq Rel, m',
    'rmse_m': 'RMSE, m',
    'rmse_log': 'RMSE of the logarithm',
    'delta1': 'off by less than 1.25 times',
    'delta2': 'less than 1.25\N{SUPERSCRIPT TWO} times',
    'delta3': 'less than 1.25\N{SUPERSCRIPT THREE} times',
    'coverage1': 'inside one sigma',
    'coverage2': 'inside two sigma',
    'end_error_percent': 'end error, % of the path',
    't_rel_percent': 'drift of position, %',
    'r_rel_deg_per_100m': 'drift of heading, deg in 100 m',
    'ate_m': 'ATE, m',
    'rpe_m': 'RPE of a step, m',
    'rpe_deg': 'RPE of a step, deg',
    'ap': 'average precision',
}
_SCALED = '_median_scaled'
_UNITS = ('m', 'px', 'deg', 'ms')


def metric_label(metric: str) -> str:
    """Write a metric's name for a reader, its unit after a comma."""
    if metric.endswith(_SCALED):
        return f'{metric_label(metric.removesuffix(_SCALED))}, median-scaled'
    if metric in _LABELS:
        return _LABELS[metric]
    if metric.startswith('iou_'):
        return f'IoU of {metric.removeprefix("iou_")}'
    words = metric.split('_')
    unit = f', {words.pop()}' if len(words) > 1 and words[-1] in _UNITS else ''
    return ' '.join(words) + unit


def better_direction(metric: str) -> str:
    """Tell whether 'high' or 'low' values of a metric are better; '' if neither."""
    if metric.startswith(_NEITHER):
        return ''
    return 'high' if metric.startswith(_HIGH) else 'low'


def metrics_table(methods: dict[str, dict[str, float]], caption: str = '') -> Table:
    """Set the metrics of several methods side by side, a row a metric, the best set off."""
    names = list(dict.fromkeys(name for metrics in methods.values() for name in metrics))
    return Table(
        ('metric', *methods),
        [
            (metric_label(name), *(metrics.get(name) for metrics in methods.values()))
            for name in names
        ],
        caption,
        [better_direction(name) for name in names],
    )
