"""The plot of a task without one of its own: each method's difference to the base."""

from __future__ import annotations

from pathlib import Path

from ecseq_report import Figures

from ecseq.metrics import paired_difference


def differences(figures: Figures, path: Path) -> None:
    """Mean paired differences to the first row that others are compared with, and their 95 %
    intervals from two seeds on; a panel per metric that is compared."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    base, metrics = figures.part.against[0], figures.part.compared
    methods = [name for name in figures.methods if name != base][::-1]
    figure, axes = pyplot.subplots(
        1,
        len(metrics),
        figsize=(3.5 + 3 * len(metrics), 1.2 + 0.3 * len(methods)),
        squeeze=False,
        sharey=True,
    )
    for axis, metric in zip(axes[0], metrics, strict=True):
        for height, method in enumerate(methods):
            ours, theirs = figures.differences(method, base, metric)
            if not ours:
                continue
            if len(ours) > 1:
                found = paired_difference(ours, theirs)
                axis.plot([found.low, found.high], [height, height], color="tab:blue", alpha=0.5)
            gain = figures.gain(method, base, metric)
            axis.plot(gain, height, "o", color="tab:blue")
        axis.axvline(0, color="grey", linestyle="--", linewidth=1)
        axis.set_title(f"{metric.heading} less that of {base}", fontsize=9)
    axes[0, 0].set_yticks(range(len(methods)), methods, fontsize=8)
    axes[0, 0].set_ylim(-0.6, len(methods) - 0.4)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
