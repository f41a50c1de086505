"""The report's figures as inline SVG.

Colours of lines and text come from the page's CSS variables, so that the figures follow its light
or dark theme; only the colours of the map are computed, because they carry a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

FloatArray = NDArray[np.float64]

_WIDTH, _HEIGHT = 420.0, 330.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 14.0, 14.0, 46.0
_CURVE_POINTS = 201
_NO_FRAUD, _FRAUD = (76, 134, 176), (226, 82, 65)


@dataclass(frozen=True)
class Curves:
    """Curves of one model over seeds, on a common grid.  x: [points]; ys: [seeds, points]."""

    name: str
    style: str  # a CSS class of the page: "base" or "ours"
    x: FloatArray
    ys: FloatArray


def roc_curves(
    name: str, style: str, labels: Sequence[FloatArray], scores: Sequence[FloatArray]
) -> Curves:
    """ROC curves (false positive rate to recall), one per seed."""
    grid = np.linspace(0.0, 1.0, _CURVE_POINTS)
    ys = []
    for label, score in zip(labels, scores, strict=True):
        false_positive_rate, recall, _ = roc_curve(label, score)
        ys.append(np.interp(grid, false_positive_rate, recall))
    return Curves(name, style, grid, np.array(ys))


def precision_curves(
    name: str, style: str, labels: Sequence[FloatArray], scores: Sequence[FloatArray]
) -> Curves:
    """Precision-recall curves (recall to precision), one per seed."""
    grid = np.linspace(0.0, 1.0, _CURVE_POINTS)
    ys = []
    for label, score in zip(labels, scores, strict=True):
        precision, recall, _ = precision_recall_curve(label, score)
        # A step function: at a given recall the best threshold that reaches at least it.
        order = np.argsort(recall, kind="stable")
        best = np.maximum.accumulate(precision[order][::-1])[::-1]
        at = np.searchsorted(recall[order], grid, side="left")
        ys.append(best[np.minimum(at, best.size - 1)])
    return Curves(name, style, grid, np.array(ys))


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _path(x: FloatArray, y: FloatArray) -> str:
    points = (f"{_number(float(a))},{_number(float(b))}" for a, b in zip(x, y, strict=True))
    return "M" + "L".join(points)


def _across(x: FloatArray) -> FloatArray:
    return _LEFT + x * (_WIDTH - _LEFT - _RIGHT)


def _down(y: FloatArray) -> FloatArray:
    return _TOP + (1.0 - y) * (_HEIGHT - _TOP - _BOTTOM)


def _svg(label: str, body: Iterable[str], height: float = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_number(_WIDTH)} {_number(height)}" role="img" '
        f'aria-label="{escape(label)}">{"".join(body)}</svg>'
    )


def _unit_axes(x_label: str, y_label: str) -> list[str]:
    parts = []
    left, right = _LEFT, _WIDTH - _RIGHT
    top, bottom = _TOP, _HEIGHT - _BOTTOM
    for tick in np.linspace(0.0, 1.0, 6):
        x = float(_across(np.array([tick]))[0])
        y = float(_down(np.array([tick]))[0])
        parts.append(
            f'<path class="grid" d="M{_number(x)},{_number(top)}V{_number(bottom)}'
            f'M{_number(left)},{_number(y)}H{_number(right)}"/>'
            f'<text x="{_number(x)}" y="{_number(bottom + 16)}" text-anchor="middle">'
            f"{_number(float(tick))}</text>"
            f'<text x="{_number(left - 7)}" y="{_number(y + 4)}" text-anchor="end">'
            f"{_number(float(tick))}</text>"
        )
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    parts.append(
        f'<text class="axis" x="{_number(middle_x)}" y="{_number(_HEIGHT - 8)}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
        f'<text class="axis" x="13" y="{_number(middle_y)}" text-anchor="middle" '
        f'transform="rotate(-90 13 {_number(middle_y)})">{escape(y_label)}</text>'
    )
    return parts


def curve_figure(
    title: str,
    x_label: str,
    y_label: str,
    curves: Sequence[Curves],
    *,
    rule: float | None = None,
) -> str:
    """Thin lines for the seeds and a thick one for their mean; ``rule`` draws a horizontal line."""
    parts = _unit_axes(x_label, y_label)
    if rule is not None:
        y = float(_down(np.array([rule]))[0])
        parts.append(
            f'<path class="rule" d="M{_number(_LEFT)},{_number(y)}H{_number(_WIDTH - _RIGHT)}"/>'
        )
    for curve in curves:
        x = _across(curve.x)
        if len(curve.ys) > 1:
            parts += [
                f'<path class="seed {curve.style}" d="{_path(x, _down(y))}"/>' for y in curve.ys
            ]
        parts.append(
            f'<path class="mean {curve.style}" d="{_path(x, _down(curve.ys.mean(axis=0)))}"/>'
        )
    return _svg(title, parts)


def principal_plane(vectors: FloatArray) -> FloatArray:
    """Project vectors [k, h] on their two leading principal directions: [k, 2].

    The sign of a principal direction is arbitrary; it is fixed by the entry of largest size.
    """
    centred = vectors - vectors.mean(axis=0, keepdims=True)
    if min(centred.shape) < 2:
        return np.hstack([centred[:, :1], np.zeros((len(centred), 1))])
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(2), largest])
    plane: FloatArray = centred @ (directions * signs[:, None]).T
    return plane


def _shade(share: float) -> str:
    # The square root spreads the small shares, where nearly all representatives lie.
    weight = float(np.sqrt(min(max(share, 0.0), 1.0)))
    red, green, blue = (round(a + weight * (b - a)) for a, b in zip(_NO_FRAUD, _FRAUD, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def representative_map(vectors: FloatArray, mass: FloatArray, share: FloatArray) -> str:
    """Map of representatives: vectors [k, h], mass [k], share of positive cases [k]."""
    plane = principal_plane(np.asarray(vectors, dtype=np.float64))
    low, high = plane.min(axis=0), plane.max(axis=0)
    unit = (plane - low) / np.where(high > low, high - low, 1.0)
    legend = 44.0
    x = 16.0 + unit[:, 0] * (_WIDTH - 32.0)
    y = 16.0 + (1.0 - unit[:, 1]) * (_HEIGHT - legend - 32.0)
    radius = 1.8 + 7.5 * np.sqrt(mass / mass.max())
    parts = []
    for k in np.argsort(-mass, kind="stable"):
        parts.append(
            f'<circle cx="{_number(float(x[k]))}" cy="{_number(float(y[k]))}" '
            f'r="{_number(float(radius[k]))}" fill="{_shade(float(share[k]))}" class="dot">'
            f"<title>representative {int(k)}: {mass[k]:.0f} training sequences, "
            f"{100 * share[k]:.1f} % fraud</title></circle>"
        )
    steps = 40
    bar_left, bar_width, bar_top = 100.0, 220.0, _HEIGHT - 34.0
    for step in range(steps):
        shade = _shade(((step + 0.5) / steps) ** 2)
        parts.append(
            f'<rect x="{_number(bar_left + step * bar_width / steps)}" y="{_number(bar_top)}" '
            f'width="{_number(bar_width / steps + 0.3)}" height="9" fill="{shade}"/>'
        )
    for tick in (0.0, 0.05, 0.25, 0.5, 1.0):
        at = bar_left + float(np.sqrt(tick)) * bar_width
        parts.append(
            f'<text x="{_number(at)}" y="{_number(bar_top + 24)}" text-anchor="middle">'
            f"{100 * tick:.0f} %</text>"
        )
    parts.append(
        f'<text class="axis" x="{_number(bar_left - 10)}" y="{_number(bar_top + 9)}" '
        f'text-anchor="end">share of fraud</text>'
    )
    return _svg("Map of the representatives", parts)


def stage_bars(seconds: Mapping[str, float]) -> str:
    """Horizontal bars of seconds per stage, longest possible names kept readable."""
    line, name_width = 27.0, 150.0
    height = line * len(seconds) + 8.0
    longest = max(seconds.values(), default=0.0) or 1.0
    parts = []
    for row, (stage, value) in enumerate(seconds.items()):
        y = 6.0 + row * line
        length = max(1.0, value / longest * (_WIDTH - name_width - 60.0))
        parts.append(
            f'<text class="axis" x="{_number(name_width - 8)}" y="{_number(y + 14)}" '
            f'text-anchor="end">{escape(stage)}</text>'
            f'<rect class="bar" x="{_number(name_width)}" y="{_number(y + 2)}" '
            f'width="{_number(length)}" height="16" rx="2"/>'
            f'<text x="{_number(name_width + length + 6)}" y="{_number(y + 14)}">'
            f"{value:.2f} s</text>"
        )
    return _svg("Seconds per stage", parts, height)
