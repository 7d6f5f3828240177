# SPDX-License-Identifier: Apache-2.0
"""A report as one self-contained HTML file: figures, tables, bars, plots and images.

Say what it holds with the parts (:mod:`perception_nodes.evaluation.report_parts`) and write it::

    report = Report(
        title='Stereo depth on KITTI 2015',
        headline=(('8.9 %', 'D1, not occluded'), ('46 ms', 'a frame, median')),
        sections=(
            Section('Accuracy', (Table(('metric', 'ours', 'sgbm'), (('d1', 0.07, 0.089),)),)),
            Section('Frames', (ReportImage(image, 'left image'), ReportImage(colours, 'depth'))),
        ),
    )
    write_report(Path('report.html'), report)

Neighbouring images form a grid (a Gallery one with so many columns), neighbouring plots a row,
neighbouring tables columns. Plots come from :mod:`perception_nodes.evaluation.plots`.
"""

import base64
import math
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from perception_nodes import __version__
from perception_nodes.evaluation.report_parts import Cell, Part, Report, ReportImage, Section
from perception_nodes.evaluation.templates import TEMPLATES
from perception_nodes.files.atomic import write_atomically
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
    return TEMPLATES.get_template('report.html.j2').render(
        report=report, version=__version__, number=_cell, groups=_groups, data_url=_data_url
    ).lstrip()


def format_number(value: float) -> str:
    """Write a number with four significant digits; NaN and infinities as a dash."""
    if not math.isfinite(value):
        return _NOTHING
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e6):
        return f'{int(value)}'
    if 1e3 <= abs(value) < 1e6:
        return f'{value:.0f}'
    return f'{value:.4g}' if 1e-4 <= abs(value) < 1e3 else f'{value:.2e}'


def _cell(cell: Cell) -> str:
    if cell is None:
        return _NOTHING
    return cell if isinstance(cell, str) else format_number(cell)


def _groups(section: Section) -> list[tuple[str, list[Part]]]:
    """Neighbouring parts of one kind, with the kind's name."""
    return [(kind.__name__, list(parts)) for kind, parts in groupby(section.parts, type)]


def _data_url(shown: ReportImage) -> str:
    """Return an image as an address that holds it: JPEG, or PNG if it is to be exact."""
    image = shown.image
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise PerceptionError(f'an image is uint8 [H, W(, 3)], not {image.dtype} {image.shape}')
    height, width = image.shape[:2]
    if width > shown.max_width_px:
        size = (shown.max_width_px, max(1, round(height * shown.max_width_px / width)))
        image = cv2.resize(
            image, size, interpolation=cv2.INTER_NEAREST if shown.exact else cv2.INTER_AREA
        )
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    kind = 'png' if shown.exact else 'jpeg'
    options = [] if shown.exact else [cv2.IMWRITE_JPEG_QUALITY, 88]
    coded = cv2.imencode(f'.{kind}', image, options)[1].tobytes()
    return f'data:image/{kind};base64,{base64.b64encode(coded).decode()}'

