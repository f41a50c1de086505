"""What a forecaster says of the representatives: as they were, and what a forecast owes to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FrozenRepresentatives:
    """The representatives as they were after `moment` rows; see `ECSeqForecaster.freeze`."""

    moment: int
    nodes: Floats


@dataclass(frozen=True)
class SeriesCase:
    """A representative that a series hears.

    members : names of the series it stands for
    errors : its last errors, the mean of its members', in their standard deviations
    contribution : [horizon] or [horizon, channels], what the forecast owes to it
    """

    representative: int
    weight: float
    correlation: float
    members: list[Any]
    errors: Floats
    contribution: Floats


@dataclass(frozen=True)
class SeriesExplanation:
    """Why a series is forecast as it is; forecasts are [horizon] or [horizon, channels]."""

    series: Any
    forecast: Floats
    base: Floats
    without_relations: Floats
    errors: Floats
    cases: list[SeriesCase]

    def __str__(self) -> str:
        def numbers(x: Floats) -> str:
            return ", ".join(f"{value:.4g}" for value in np.ravel(x)[:4])

        lines = [
            f"Series {self.series}: {numbers(self.forecast)} ({numbers(self.base)} from itself "
            f"alone, {numbers(self.without_relations)} with every related group left out)."
        ]
        for case in self.cases:
            names = ", ".join(str(name) for name in case.members[:5])
            more = len(case.members) - 5
            lines.append(
                f"It moves with group {case.representative} (correlation {case.correlation:.2f}, "
                f"weight {case.weight:.2f}) of {names}"
                + (f" and {more} more" if more > 0 else "")
                + (f", whose last errors were {numbers(case.errors)}" if case.errors.size else "")
                + f" ({np.ravel(case.contribution)[0]:+.4g})."
            )
        return "\n".join(lines)
