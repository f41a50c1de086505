"""Split labelled events by time, so that nothing is learned from what was not yet known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class TimeSplit:
    """Masks [n] of disjoint parts, in this order of time.

    ``waiting`` holds the events just before the test whose labels were not known when it began:
    nothing is trained on them, but they happen, so a replay of the test starts with them.
    """

    training: BoolArray
    validation: BoolArray
    waiting: BoolArray
    test: BoolArray


def split_by_time(
    times: Any,
    *,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.25,
    label_delay: float = 0.0,
) -> TimeSplit:
    """The last ``test_fraction`` of the events is the test, the rest less the waiting ones is
    learned from, and the last ``validation_fraction`` of that is the validation.

    times: [n] seconds; label_delay: seconds.  Events of the same second stay together.
    """
    for name, fraction in (
        ("validation_fraction", validation_fraction),
        ("test_fraction", test_fraction),
    ):
        if not 0.0 < fraction < 1.0:
            raise ValueError(f"{name}: expected a number between 0 and 1, got {fraction}")
    times = np.asarray(times, dtype=np.float64)
    if times.size == 0:
        raise ValueError("times: expected at least one event, got none")
    test_start = np.quantile(times, 1.0 - test_fraction, method="lower")
    test = times >= test_start
    waiting = ~test & (times > test_start - label_delay)
    known = ~test & ~waiting
    if not known.any():
        raise ValueError(
            f"the first {1 - test_fraction:.0%} of the events lie within the label delay of "
            f"{label_delay / 86_400:g} days before the test, so no label is known for training"
        )
    validation_start = np.quantile(times[known], 1.0 - validation_fraction, method="lower")
    validation = known & (times >= validation_start)
    training = known & ~validation
    if not training.any():
        raise ValueError("the events are too few or too simultaneous to split by time")
    return TimeSplit(training, validation, waiting, test)
