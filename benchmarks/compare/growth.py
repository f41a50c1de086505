"""How times grow with N: the exponent of a power law, and the log-log plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Points = Sequence[tuple[int, float]]  # (N, seconds)


def exponent(points: Points) -> float:
    """b of seconds = a N^b, by least squares of the logarithms. Needs two sizes."""
    n, seconds = np.log(np.array(points, dtype=float)).T
    return float(np.polyfit(n, seconds, 1)[0])


def plot(curves: Mapping[str, Points], path: Path) -> None:
    """Seconds against N, one line per compressor, with the fitted exponents and y ~ N."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5))
    for name, points in curves.items():
        n, seconds = zip(*points, strict=True)
        label = f"{name}: N^{exponent(points):.2f}" if len(points) > 1 else name
        axes.loglog(n, seconds, marker="o", label=label)
    sizes = sorted({n for points in curves.values() for n, _ in points})
    low = min(seconds for points in curves.values() for _, seconds in points)
    axes.loglog(
        sizes, [low * n / sizes[0] for n in sizes], color="grey", linestyle=":", label="linear"
    )
    axes.set_xlabel("N, rows")
    axes.set_ylabel("seconds")
    axes.grid(which="both", alpha=0.2)
    axes.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
