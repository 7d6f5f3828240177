# SPDX-License-Identifier: Apache-2.0
"""The metrics of several methods side by side."""

from perception_nodes.evaluation.report import Table

__all__ = ['better_direction', 'metrics_table']

_HIGH = ('miou', 'iou_', 'accuracy', 'delta', 'auroc', 'recall', 'ap', 'valid_', 'tracked_')
_NEITHER = ('coverage', 'median_scale', 'path_m')


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
        [(name, *(metrics.get(name) for metrics in methods.values())) for name in names],
        caption,
        [better_direction(name) for name in names],
    )
