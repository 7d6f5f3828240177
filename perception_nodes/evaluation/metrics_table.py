# SPDX-License-Identifier: Apache-2.0
"""The metrics of several methods side by side, described by their records."""

from collections.abc import Mapping, Sequence

from perception_nodes.evaluation.report_parts import Table
from perception_nodes.metrics.info import MetricInfo, find_info

__all__ = ['metrics_table']


def metrics_table(
    methods: Mapping[str, Mapping[str, float]], infos: Sequence[MetricInfo], caption: str = ''
) -> Table:
    """Set the metrics of several methods side by side, a row a metric, the best set off."""
    names = list(dict.fromkeys(name for metrics in methods.values() for name in metrics))
    rows = [find_info(infos, name) for name in names]
    return Table(
        ('metric', *methods),
        [
            (info.title, *(metrics.get(info.name) for metrics in methods.values()))
            for info in rows
        ],
        caption,
        [info.better for info in rows],
    )
