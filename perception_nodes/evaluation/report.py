# SPDX-License-Identifier: Apache-2.0
"""A report as one self-contained HTML file: figures, tables, bars, plots and images.

Say what it holds with the parts (:mod:`perception_nodes.evaluation.report_parts`) and write it::

    report = Report(
        title='Stereo depth on KITTI 2015',
        headline=(('8.9 %', 'D1, not occluded'), ('46 ms', 'a frame, median')),
        sections=(
            Section('Accuracy', (Table(('metric', 'ours', 'sgbm'), (('d1', 0.07, 0.089),)),)),
            Section('Frames', (Image(image, 'left image'), Image(colours, 'depth, 0-80 m'))),
        ),
    )
    write_report(Path('report.html'), report)

Neighbouring images form a grid (a Gallery one with so many columns), neighbouring plots a row,
neighbouring tables columns. Plots come from :mod:`perception_nodes.evaluation.plots`.
"""

import base64
import html
import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from perception_nodes import __version__
from perception_nodes.evaluation.report_parts import (
    Bars,
    Cell,
    Details,
    Gallery,
    Legend,
    Plot,
    Report,
    ReportImage,
    Section,
    Table,
    Text,
)
from perception_nodes.evaluation.report_style import CSS
from perception_nodes.files import write_atomically
from perception_nodes.types import PerceptionError

__all__ = ['format_number', 'render_report', 'write_report']

_NOTHING = '\N{EN DASH}'


def write_report(path: Path, report: Report) -> None:
    """Write the page to a temporary name beside the path and rename it.

    Raises
    ------
    PerceptionError
        If the folder is not writable or the disk is full.
    """
    write_atomically(Path(path), render_report(report).encode())


def render_report(report: Report) -> str:
    """Return the page as HTML; it loads nothing from anywhere."""
    links = ''.join(
        f'<a href="#s{index}">{_text(section.title)}</a>'
        for index, section in enumerate(report.sections)
    )
    figures = ''.join(
        f'<div><b>{_text(figure)}</b><span>{_text(label)}</span></div>'
        for figure, label in report.headline
    )
    body = ''.join(_section(index, section) for index, section in enumerate(report.sections))
    footer = report.footer or f'perception_nodes {__version__}'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{_text(report.title)}</title><style>{CSS}</style></head>\n<body><main>\n'
        f'<header><h1>{_text(report.title)}</h1><p>{_text(report.subtitle)}</p></header>\n'
        + (f'<nav>{links}</nav>\n' if len(report.sections) > 2 else '')
        + (f'<div class="figures">{figures}</div>\n' if figures else '')
        + body
        + f'<footer>{_text(footer)}</footer>\n</main></body></html>\n'
    )


def format_number(value: float) -> str:
    """Write a number with four significant digits; NaN and infinities as a dash."""
    if not math.isfinite(value):
        return _NOTHING
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e6):
        return f'{int(value)}'
    if 1e3 <= abs(value) < 1e6:
        return f'{value:.0f}'
    return f'{value:.4g}' if 1e-4 <= abs(value) < 1e3 else f'{value:.2e}'


def _section(index: int, section: Section) -> str:
    body = ''
    for kind, group in groupby(section.parts, type):
        parts = list(group)
        if kind is ReportImage:
            one = ' one' if len(parts) == 1 else ''
            body += f'<div class="images{one}">{"".join(map(_image, parts))}</div>\n'
        elif kind is Plot:
            body += f'<div class="plots">{"".join(map(_plot, parts))}</div>\n'
        elif kind is Table:
            body += f'<div class="tables">{"".join(map(_table, parts))}</div>\n'
        else:
            body += ''.join(_RENDERERS[kind](part) for part in parts)
    text = f'<p>{_text(section.text)}</p>\n' if section.text else ''
    return f'<section id="s{index}"><h2>{_text(section.title)}</h2>\n{text}{body}</section>\n'


def _paragraph(part: Text) -> str:
    return f'<p>{_text(part.text)}</p>\n'


def _details(part: Details) -> str:
    return (
        f'<details><summary>{_text(part.summary)}</summary>'
        f'<pre>{_text(part.text)}</pre></details>\n'
    )


def _table(table: Table) -> str:
    head = ''.join(f'<th>{_text(column)}</th>' for column in table.columns)
    rows = ''
    for index, row in enumerate(table.rows):
        best = _best(row, table.better[index] if index < len(table.better) else '')
        cells = ''.join(
            f'<td class="best">{_cell(cell)}</td>' if column in best else f'<td>{_cell(cell)}</td>'
            for column, cell in enumerate(row)
        )
        rows += f'<tr>{cells}</tr>'
    caption = f'<caption>{_text(table.caption)}</caption>' if table.caption else ''
    return (
        f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div>\n'
    )


def _best(row: Sequence[Cell], better: str) -> set[int]:
    """Columns of the best number of a row; none if there is nothing to compare."""
    numbers = {
        column: float(cell)
        for column, cell in enumerate(row)
        if isinstance(cell, int | float) and math.isfinite(cell)
    }
    if better not in ('high', 'low') or len(numbers) < 2:
        return set()
    best = max(numbers.values()) if better == 'high' else min(numbers.values())
    return {column for column, number in numbers.items() if number == best}


def _bars(bars: Bars) -> str:
    finite = [value for _, value in bars.items if value is not None and math.isfinite(value)]
    top = max(finite, default=0.0) or 1.0
    direction = 'less is better' if bars.lower_is_better else 'more is better'
    rows = ''
    for index, (name, value) in enumerate(bars.items):
        size = float('nan') if value is None else value
        width = 100.0 * max(size, 0.0) / top if math.isfinite(size) else 0.0
        kind = ' class="ours"' if index == 0 else ''
        number = f'{format_number(size)} {_text(bars.unit)}'
        rows += (
            f'<span>{_text(name)}</span><i{kind} style="width:{width:.1f}%"></i>'
            f'<em>{number}</em>'
        )
    return f'<div class="bars"><h3>{_text(bars.title)} · {direction}</h3>{rows}</div>\n'


def _gallery(gallery: Gallery) -> str:
    columns = f'style="grid-template-columns: repeat({gallery.columns}, minmax(0, 1fr))"'
    return f'<div class="images" {columns}>{"".join(map(_image, gallery.images))}</div>\n'


def _legend(legend: Legend) -> str:
    entries = ''.join(
        f'<span><i style="background:rgb({red},{green},{blue})"></i>{_text(name)}</span>'
        for name, (red, green, blue) in legend.entries
    )
    return f'<div class="legend">{entries}</div>\n'


def _image(picture: ReportImage) -> str:
    image = picture.image
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise PerceptionError(f'an image is uint8 [H, W(, 3)], not {image.dtype} {image.shape}')
    height, width = image.shape[:2]
    if width > picture.max_width_px:
        size = (picture.max_width_px, max(1, round(height * picture.max_width_px / width)))
        image = cv2.resize(
            image, size, interpolation=cv2.INTER_NEAREST if picture.exact else cv2.INTER_AREA
        )
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    kind = 'png' if picture.exact else 'jpeg'
    options = [] if picture.exact else [cv2.IMWRITE_JPEG_QUALITY, 88]
    coded = base64.b64encode(cv2.imencode(f'.{kind}', image, options)[1].tobytes()).decode()
    caption = f'<figcaption>{_text(picture.caption)}</figcaption>' if picture.caption else ''
    return (
        f'<figure><img alt="{_text(picture.caption)}" loading="lazy" '
        f'src="data:image/{kind};base64,{coded}">{caption}</figure>'
    )


def _plot(plot: Plot) -> str:
    wide = ' class="wide"' if plot.wide else ''
    caption = f'<figcaption>{_text(plot.caption)}</figcaption>' if plot.caption else ''
    return f'<figure{wide}>{plot.svg}{caption}</figure>'


def _cell(cell: Cell) -> str:
    if cell is None:
        return _NOTHING
    return _text(cell) if isinstance(cell, str) else format_number(cell)


def _text(text: str) -> str:
    return html.escape(str(text))


_RENDERERS = {
    Text: _paragraph,
    Details: _details,
    Bars: _bars,
    Gallery: _gallery,
    Legend: _legend,
}
