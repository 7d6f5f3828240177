# SPDX-License-Identifier: Apache-2.0
"""What a metric is: name, unit, direction, label and definition, kept beside what computes it.

Tables, reports, the command line and docs/metrics.md derive from these records.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from perception_nodes.types import PerceptionError

__all__ = ['DENSITY', 'MetricInfo', 'find_info']

_VARIABLE = re.compile(r'<(\w+)>')


@dataclass(frozen=True)
class MetricInfo:
    """One metric, or a family of metrics whose name holds a variable.

    Attributes
    ----------
    name : key of ``compute()``; a variable stands in angle brackets, as in ``iou_<class>``.
    label : for readers, without the unit; may hold the name's variable.
    definition : one or two sentences: what is averaged over what, and the source.
    unit : of the value ('' for fractions and counts).
    better : direction of improvement; '' if neither, as of a coverage with a nominal value.
    """

    name: str
    label: str
    definition: str
    unit: str = ''
    better: Literal['high', 'low', ''] = ''

    def __post_init__(self) -> None:
        if not re.fullmatch(r'[a-z0-9_<>]+', self.name):
            raise PerceptionError(f'{self.name!r} is no metric name: lower case, digits and _')
        if self.better not in ('high', 'low', ''):
            raise PerceptionError(f"{self.name}: better is 'high', 'low' or '', not {self.better}")
        if not self.label or not self.definition:
            raise PerceptionError(f'{self.name} needs a label and a definition')

    @property
    def title(self) -> str:
        """Label with the unit after a comma."""
        return f'{self.label}, {self.unit}' if self.unit else self.label

    def named(self, name: str) -> 'MetricInfo | None':
        """Return the record of a concrete name; None if the name is another metric's."""
        pattern = _VARIABLE.sub(r'(?P<\1>.+)', self.name)
        found = re.fullmatch(pattern, name)
        if found is None:
            return None
        label = _VARIABLE.sub(lambda variable: found[variable[1]], self.label)
        return replace(self, name=name, label=label)


DENSITY = MetricInfo(
    'density', 'density', 'Share of the ground truth that has an estimate.', better='high'
)


def find_info(infos: Sequence[MetricInfo], name: str) -> MetricInfo:
    """Return the record of a metric by the name that ``compute()`` uses.

    Raises
    ------
    KeyError
        If no record has this name: whoever computes a metric describes it.
    """
    for info in infos:
        if (found := info.named(name)) is not None:
            return found
    raise KeyError(f'metric {name} is not described')
