# SPDX-License-Identifier: Apache-2.0
"""A report is one file that loads nothing, escapes everything and is the same every time."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.evaluation import plots
from perception_nodes.evaluation.metrics_table import metrics_table
from perception_nodes.evaluation.report import format_number, render_report, write_report
from perception_nodes.evaluation.report_parts import (
    Bars,
    Details,
    Gallery,
    Legend,
    Report,
    ReportImage,
    Section,
    Table,
    Text,
)
from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.metrics.info import MetricInfo
from perception_nodes.metrics.uncertainty import Sparsification
from perception_nodes.types import PerceptionError

VOID_TAGS = {'meta', 'img', 'br'}


class Nesting(HTMLParser):
    """Checks that every tag outside of SVG is closed in order and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or '' for name, value in attrs if name in ('src', 'href')]
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG element that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def all_plots() -> list[plots.Plot]:
    generator = np.random.default_rng(0)
    sigma = generator.uniform(0.5, 2.0, 500)
    error = sigma * generator.normal(size=500)
    calibration, sparsification = GaussianCalibration(), Sparsification()
    calibration.update(error, sigma)
    sparsification.update(sigma, np.abs(error))
    path = np.cumsum(generator.normal(size=(30, 3)), axis=0)
    curve = sparsification.curve()
    assert curve is not None
    return [
        plots.reliability(calibration.curve(), 'coverage'),
        plots.sparsification(curve, 'sparsification'),
        plots.trajectory({'ours': path, 'truth': path + 0.1}, 'from above'),
        plots.lines({'a': error[:30], 'b': np.full(30, np.nan)}, 'errors', y_label='px'),
        plots.precision_recall({'ours': (np.array([0.1, 0.5]), np.array([1.0, 0.8]))}, 'pr'),
    ]


def make_report() -> Report:
    image = np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)
    return Report(
        'Depth <of> "walls" & floors',
        (
            Section('Numbers', (
                Table(('metric', 'ours', 'baseline'), (('d1', 0.07, 0.09), ('n', 3, None)),
                      better=('low', 'high')),
                Bars('D1', (('ours', 0.07), ('baseline', 0.09), ('none', None)), '%', True),
                Text('<b>plain</b>'),
            )),
            Section('Plots', all_plots(), 'Drawn.'),
            Section('Images', (
                ReportImage(image, 'colour'), ReportImage(image[..., 0], 'mono', exact=True),
                Gallery([ReportImage(image, 'left'), ReportImage(image, 'right')], 2),
                Legend([('Sky', (1, 2, 3))]),
                Details('JSON', '{"a": "<script>"}'),
            )),
        ),
        headline=(('7 %', 'D1'),),
    )  # fmt: skip


def test_the_page_is_well_formed_and_loads_nothing() -> None:
    page = render_report(make_report())
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.open == []
    assert nesting.sources
    assert all(source.startswith(('data:', '#')) for source in nesting.sources)
    assert 'url(http' not in page
    assert '<script' not in page
    assert '&lt;of&gt; &#34;walls&#34; &amp; floors' in page
    assert '&lt;b&gt;plain' in page
    assert 'background:rgb(1,2,3)' in page


def test_images_come_out_as_they_went_in() -> None:
    image = np.random.default_rng(2).integers(0, 255, (7, 9, 3), np.uint8)
    page = render_report(Report('t', (Section('s', (ReportImage(image, exact=True),)),)))
    coded = re.search(r'data:image/png;base64,([^"]+)"', page)
    assert coded
    data = np.frombuffer(base64.b64decode(coded.group(1)), np.uint8)
    assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], image)


def test_wide_images_are_scaled_down() -> None:
    image = np.zeros((100, 2000, 3), np.uint8)
    page = render_report(Report('t', (Section('s', (ReportImage(image, max_width_px=500),)),)))
    coded = re.search(r'base64,([^"]+)"', page)
    assert coded
    data = np.frombuffer(base64.b64decode(coded.group(1)), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (25, 500, 3)


def test_plots_are_valid_svg_in_the_ink_of_the_page() -> None:
    for plot in all_plots():
        root = ElementTree.fromstring(plot.svg)
        assert root.tag.endswith('svg')
        assert 'currentColor' in plot.svg
        assert '#010203' not in plot.svg
        assert '<text' in plot.svg
        identifiers = re.findall(r' id="([^"]+)"', plot.svg)
        assert len(set(identifiers)) == len(identifiers)


def test_the_same_report_is_the_same_bytes() -> None:
    assert render_report(make_report()) == render_report(make_report())


def test_the_best_of_a_row_is_set_off() -> None:
    page = render_report(make_report())
    assert '<td class="best">0.07</td><td>0.09</td>' in page
    assert page.count('class="best"') == 1
    infos = (
        MetricInfo('miou', 'mIoU', 'Mean.', better='high'), MetricInfo('x', 'x', 'Any.', 'px'),
    )  # fmt: skip
    table = metrics_table({'a': {'miou': 0.5, 'x': 1.0}, 'b': {'miou': 0.4}}, infos)
    assert table.rows == [('mIoU', 0.5, 0.4), ('x, px', 1.0, None)]
    assert table.better == ['high', '']


def test_neighbouring_tables_stand_in_columns() -> None:
    tables = [Table(('a', 'b'), [('x', 1)]), Table(('a', 'b'), [('y', 2)])]
    page = render_report(Report('r', [Section('s', tables), Section('t', tables[:1])]))
    assert page.count('<div class="tables"><div class="scroll">') == 2
    assert page.count('<div class="scroll">') == 3


def test_numbers_keep_four_digits() -> None:
    cases = {0.123456: '0.1235', 12345.6: '12346', 3: '3', 2.0: '2', 1e-7: '1.00e-07',
             float('nan'): '\N{EN DASH}'}  # fmt: skip
    for value, text in cases.items():
        assert format_number(value) == text


def test_a_report_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    write_report(path, make_report())
    assert path.read_text(encoding='utf-8').endswith('</html>\n')
    assert [entry.name for entry in tmp_path.iterdir()] == ['report.html']
    (tmp_path / 'file').write_text('x')
    with pytest.raises(PerceptionError, match='cannot write'):
        write_report(tmp_path / 'file' / 'report.html', make_report())


def test_images_must_be_uint8() -> None:
    report = Report('t', (Section('s', (ReportImage(np.zeros((3, 3), np.float32)),)),))
    with pytest.raises(PerceptionError, match='uint8'):
        render_report(report)
