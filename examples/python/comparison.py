"""Several methods over several seeds as a Markdown table: quality, and gain over the first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecseq.metrics import paired_difference


class Comparison:
    """Collects ``metrics[name]`` of every method and seed; the first method added is the base."""

    def __init__(self, metrics: Mapping[str, str]) -> None:
        """metrics: key in the metrics given to `add` -> heading of its column."""
        self._headings = dict(metrics)
        self._rows: dict[str, list[list[float]]] = {}

    def add(self, method: str, metrics: Mapping[str, float]) -> None:
        """One more seed of ``method``. Seeds come in the same order for every method."""
        self._rows.setdefault(method, []).append([100 * metrics[key] for key in self._headings])

    def markdown(self) -> str:
        """Mean +- sd over seeds; from two seeds on also the paired difference to the base."""
        base_name, base = next((name, np.array(rows)) for name, rows in self._rows.items())
        paired = len(base) > 1
        head = ["x 100", *self._headings.values()]
        if paired:
            head += [f"{heading} - {base_name} [95 %]" for heading in self._headings.values()]
        lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
        for name, rows in self._rows.items():
            values = np.array(rows)
            line = [name]
            for column in values.T:
                spread = f" ± {column.std(ddof=1):.2f}" if paired else ""
                line.append(f"{column.mean():.2f}{spread}")
            if paired and name == base_name:
                line += [""] * len(self._headings)
            elif paired:
                for ours, theirs in zip(values.T, base.T, strict=True):
                    gain = paired_difference(ours, theirs)
                    line.append(f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]")
            lines.append(line)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
