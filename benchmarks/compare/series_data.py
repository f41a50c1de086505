"""Parallel series of public data sets, with the split by time that every row of a table shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HOURS = 24
WEEK = 7 * HOURS


@dataclass(frozen=True)
class SeriesSet:
    """Y [time, series(, channels)] hourly, NaN where missing; rows [0, validation) train,
    [validation, test) validate, [test, end) test."""

    name: str
    Y: NDArray[np.float32]
    exogenous: NDArray[np.float32]
    validation: int
    test: int


def calendar(first: str, n: int) -> NDArray[np.float32]:
    """Cycles of the hour of day and of the day of week, and weekends, of n hours: [n, 7]."""
    hours = np.datetime64(first, "h") + np.arange(n)
    since_monday = (hours - np.datetime64("1970-01-05", "h")).astype(int)
    hour = since_monday % HOURS / HOURS * 2 * np.pi
    day = since_monday % WEEK / WEEK * 2 * np.pi
    columns = [f(k * x) for x, k in ((hour, 1), (hour, 2), (day, 1)) for f in (np.sin, np.cos)]
    columns.append(since_monday % WEEK >= 5 * HOURS)
    return np.stack(columns, axis=1).astype(np.float32)


def nyc_bike1_tail(data: Path) -> SeriesSet:
    """In- and outflow of the grid cells that are ever used."""
    flow = np.load(data / "nyc_bike1_tail" / "nyc_bike1_tail.npz")["flow"].astype(np.float32)
    flow = flow[:, flow.sum(axis=(0, 2)) > 0]
    # 1,299 hours up to the end of 2014-09-30. Fifteen days of training do not say what Tuesdays are
    # like: hours and weekends only.
    features = calendar("2014-08-07T21", len(flow))[:, [0, 1, 2, 3, 6]]
    return SeriesSet("nyc_bike1_tail", flow, features, 370, 435)


def pedestrian_melbourne(data: Path) -> SeriesSet:
    """Counts of 55 sensors, 70/10/20 by time."""
    archive = np.load(data / "pedestrian_melbourne" / "pedestrian_melbourne.npz")
    counts = archive["counts"].astype(np.float32)
    counts[counts < 0] = np.nan
    n = len(counts)
    return SeriesSet(
        "pedestrian_melbourne", counts, calendar("2021-01-01", n), int(0.7 * n), int(0.8 * n)
    )


SETS = {"nyc_bike1_tail": nyc_bike1_tail, "pedestrian_melbourne": pedestrian_melbourne}
