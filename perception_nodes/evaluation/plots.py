# SPDX-License-Identifier: Apache-2.0
"""The drawings of a report, as SVG in the page's ink, so that light and dark both read well."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from perception_nodes.evaluation.report_parts import Plot
from perception_nodes.metrics.calibration import ReliabilityCurve
from perception_nodes.metrics.uncertainty import SparsificationCurve
from perception_nodes.types import Array, FloatArray

__all__ = [
    'lines', 'place_matches', 'precision_recall', 'reliability', 'sparsification', 'trajectory',
]

# Replaced by currentColor in the SVG; a colour that no plot uses otherwise.
_INK = '#010203'
_COLOURS = ('#3b82f6', '#f59e0b', '#10b981', '#ef4444', '#8b5cf6', '#94a3b8')
_RC: Any = {
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'font.sans-serif': ['DejaVu Sans'],
    'font.size': 9.5,
    'text.color': _INK,
    'axes.edgecolor': _INK,
    'axes.labelcolor': _INK,
    'xtick.color': _INK,
    'ytick.color': _INK,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.linewidth': 0.7,
    'grid.color': _INK,
    'grid.alpha': 0.12,
    'grid.linewidth': 0.7,
    'axes.grid': True,
    'axes.axisbelow': True,
    'legend.frameon': False,
    'lines.linewidth': 1.6,
}


@mpl.rc_context(_RC)
def reliability(
    curve: ReliabilityCurve,
    caption: str,
    *,
    x_label: str = 'confidence',
    y_label: str = 'accuracy',
) -> Plot:
    """Plot empirical against nominal values, with the share of the estimates below."""
    figure, axes = _figure(4.4, 3.9)
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6)
    axes.bar(
        curve.nominal, curve.weight / max(float(np.max(curve.weight)), 1e-12) * 0.25,
        width=0.8 / len(curve.nominal), color=_COLOURS[5], alpha=0.45, label='share',
    )  # fmt: skip
    known = np.isfinite(curve.empirical)
    axes.plot(
        curve.nominal[known], curve.empirical[known], marker='o', markersize=3.5, color=_COLOURS[0]
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_label, ylabel=y_label, aspect='equal')
    return _plot(figure, caption)


@mpl.rc_context(_RC)
def sparsification(curve: SparsificationCurve, caption: str) -> Plot:
    """Error of what is left when the most uncertain go first, and when the worst go first."""
    figure, axes = _figure(4.4, 3.5)
    axes.fill_between(
        curve.removed, curve.by_error, curve.by_uncertainty, color=_COLOURS[0], alpha=0.15, lw=0
    )
    axes.plot(curve.removed, curve.by_uncertainty, color=_COLOURS[0], label='by uncertainty')
    axes.plot(curve.removed, curve.by_error, color=_COLOURS[1], label='by error (oracle)')
    axes.axhline(1.0, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6)
    axes.set(xlim=(0, 1), xlabel='fraction removed', ylabel='error left / error of all')
    axes.set_ylim(0.0, max(1.05, float(np.max(curve.by_uncertainty))) * 1.2)
    axes.legend(loc='upper right')
    return _plot(figure, caption)


@mpl.rc_context(_RC)
def trajectory(
    paths_m: Mapping[str, FloatArray], caption: str, *, forward_up: bool = True
) -> Plot:
    """Top view of paths.

    Parameters
    ----------
    paths_m : name -> [N, 2 or more] positions in odom (x forward, y left at the start), metres;
        the truth, if there is one, last.
    forward_up : x of odom points up and y to the left; else x to the right and y up.
    """
    figure, axes = _figure(4.4, 3.9)
    for index, (name, path) in enumerate(paths_m.items()):
        x, y = (-path[:, 1], path[:, 0]) if forward_up else (path[:, 0], path[:, 1])
        truth = name == 'truth'
        axes.plot(
            x, y, label=name, color=_INK if truth else _COLOURS[index % len(_COLOURS)],
            linewidth=1.0 if truth else 1.8, linestyle=(0, (4, 2)) if truth else '-',
        )  # fmt: skip
        axes.plot(x[-1:], y[-1:], 'o', markersize=4, color=axes.lines[-1].get_color())
    axes.set_aspect('equal', adjustable='datalim')
    axes.set(
        xlabel='to the right, m' if forward_up else 'x, m',
        ylabel='forward, m' if forward_up else 'y, m',
    )
    axes.legend(loc='best')
    return _plot(figure, caption)


@mpl.rc_context(_RC)
def lines(
    series: Mapping[str, FloatArray],
    caption: str,
    *,
    x: FloatArray | None = None,
    x_label: str = 'frame',
    y_label: str = '',
    from_zero: bool = True,
    wide: bool = True,
) -> Plot:
    """One or more series over frames or time, across the page or half of it; NaN leaves a gap."""
    figure, axes = _figure(*((12.0, 3.1) if wide else (5.6, 2.7)))
    for index, (name, values) in enumerate(series.items()):
        places = np.arange(len(values)) if x is None else x
        axes.plot(
            places, values, label=name, color=_COLOURS[index % len(_COLOURS)],
            marker='o' if len(values) < 40 else None, markersize=3,
        )  # fmt: skip
    axes.set(xlabel=x_label, ylabel=y_label)
    if from_zero:
        axes.set_ylim(bottom=0.0)
    if len(series) > 1:
        axes.legend(loc='best', ncol=3)
    return _plot(figure, caption, wide=wide)


@mpl.rc_context(_RC)
def place_matches(
    image_s: FloatArray, place_s: FloatArray, probability: FloatArray, verified: Array,
    caption: str,
) -> Plot:
    """Times of places over the times of the images that resemble them.

    Parameters
    ----------
    image_s, place_s : [N] seconds. probability : [N] 0..1, darker is likelier.
    verified : bool [N], ringed.
    """
    figure, axes = _figure(4.4, 3.9)
    last = float(np.max(image_s, initial=1.0))
    axes.plot([0, last], [0, last], color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6)
    for chosen, ring in ((~verified, 'none'), (verified, _COLOURS[1])):
        if chosen.any():
            axes.scatter(
                image_s[chosen], place_s[chosen], s=26, color=_COLOURS[0], edgecolors=ring,
                linewidths=1.4, alpha=np.clip(0.15 + 0.85 * probability[chosen], 0, 1),
            )
    axes.set(xlabel='image, s', ylabel='place, s', aspect='equal')
    return _plot(figure, caption)


@mpl.rc_context(_RC)
def precision_recall(curves: Mapping[str, tuple[FloatArray, FloatArray]], caption: str) -> Plot:
    """Precision over recall of several methods; curves: name -> (recall, precision)."""
    figure, axes = _figure(4.4, 3.7)
    for index, (name, (recall, precision)) in enumerate(curves.items()):
        axes.plot(
            recall, precision, label=name, color=_COLOURS[index % len(_COLOURS)],
            marker='o', markersize=2.5,
        )  # fmt: skip
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel='recall', ylabel='precision')
    axes.legend(loc='lower left')
    return _plot(figure, caption)


def _figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in), layout='constrained')
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def _plot(figure: Figure, caption: str, wide: bool = False) -> Plot:
    """Write the SVG, the same bytes each time; its ids are salted with the caption."""
    text = io.StringIO()
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    with mpl.rc_context({'svg.hashsalt': caption}):
        figure.savefig(text, format='svg', metadata={'Date': None, 'Creator': None})
    svg = text.getvalue()
    svg = svg[svg.index('<svg') :].replace(_INK, 'currentColor')
    return Plot(svg.replace("'DejaVu Sans'", 'system-ui, sans-serif'), caption, wide)
