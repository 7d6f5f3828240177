# SPDX-License-Identifier: Apache-2.0
"""What a report is made of; :mod:`perception_nodes.evaluation.report` writes it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perception_nodes.types import Array

__all__ = [
    'Bars',
    'Cell',
    'Details',
    'Gallery',
    'Legend',
    'Part',
    'Plot',
    'Report',
    'ReportImage',
    'Section',
    'Table',
    'Text',
]

Cell = str | int | float | None


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Details:
    """Text as it is (JSON, a log), folded away under its summary."""

    summary: str
    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells under column names; the first column is the row's name.

    Attributes
    ----------
    better : for each row 'high', 'low' or '': which of its numbers is set off as the best.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ''
    better: Sequence[str] = ()

    def best(self, number: int) -> set[int]:
        """Columns of the best number of a row; none if there is nothing to compare."""
        better = self.better[number] if number < len(self.better) else ''
        numbers = {
            column: float(cell)
            for column, cell in enumerate(self.rows[number])
            if isinstance(cell, int | float) and math.isfinite(cell)
        }
        if better not in ('high', 'low') or len(numbers) < 2:
            return set()
        best = max(numbers.values()) if better == 'high' else min(numbers.values())
        return {column for column, value in numbers.items() if value == best}


@dataclass(frozen=True)
class Bars:
    """One quantity of several methods as bars; the first method is ours.

    Attributes
    ----------
    items : (method, value >= 0 or None).
    unit : written after the numbers. lower_is_better : stated in the title.
    """

    title: str
    items: Sequence[tuple[str, float | None]]
    unit: str = ''
    lower_is_better: bool = False

    def percent(self, value: float | None) -> float:
        """Length of a bar in percent of the longest; 0 for what has no value."""
        finite = [size for _, size in self.items if size is not None and math.isfinite(size)]
        if value is None or not math.isfinite(value):
            return 0.0
        return 100.0 * max(value, 0.0) / (max(finite) or 1.0)


@dataclass(frozen=True)
class ReportImage:
    """An image, uint8 RGB [H, W, 3] or mono [H, W], with its caption.

    Attributes
    ----------
    exact : PNG instead of JPEG, for masks and drawings.
    max_width_px : wider images are embedded at this width.
    """

    image: Array
    caption: str = ''
    exact: bool = False
    max_width_px: int = 760


@dataclass(frozen=True)
class Plot:
    """A drawing: inline SVG whose ink is ``currentColor``; wide ones take a row of their own."""

    svg: str
    caption: str = ''
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Images in rows of so many columns; what belongs together stands in one row."""

    images: Sequence[ReportImage]
    columns: int


@dataclass(frozen=True)
class Legend:
    """What the colours of the images mean: (name, (R, G, B)) each."""

    entries: Sequence[tuple[str, tuple[int, int, int]]]


Part = Text | Details | Table | Bars | ReportImage | Gallery | Legend | Plot


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on what is shown, and the parts in order."""

    title: str
    parts: Sequence[Part] = ()
    text: str = ''


@dataclass(frozen=True)
class Report:
    """The whole page.

    Attributes
    ----------
    headline : (figure, what it is) pairs shown large at the top.
    footer : where it came from: command, versions.
    """

    title: str
    sections: Sequence[Section] = ()
    subtitle: str = ''
    headline: Sequence[tuple[str, str]] = ()
    footer: str = ''
