"""Remaining time of a case in an event log, from each of its prefixes."""

from __future__ import annotations

from pathlib import Path

import ecseq_payments as payments
import numpy as np
import pandas as pd
from ablation_data import Parts

import ecseq

DAY = payments.DAY


def read(path: Path, rows: int, rng: np.random.Generator) -> Parts:
    """A prefix as its last 20 events, labelled with the days that remain; full cases left out.

    The first two thirds of the cases by their start, of which the last fifth validates; the other
    third tests. At most `rows` prefixes train, half as many validate.
    """
    log = pd.read_csv(path, parse_dates=["CompleteTimestamp"])
    log["time"] = log["CompleteTimestamp"].astype("int64") / 1e9
    if log["CompleteTimestamp"].dtype == "datetime64[us]":
        log["time"] *= 1e3
    case = log.groupby("CaseID", sort=False)["time"]
    log["start"], log["end"] = case.transform("min"), case.transform("max")
    log = log.sort_values(["start", "CaseID", "time"], kind="stable")
    # The last event of a case leaves nothing to predict.
    log = log[log.groupby("CaseID", sort=False).cumcount(ascending=False) > 0]
    log["gap"] = np.log1p(log.groupby("CaseID", sort=False)["time"].diff().fillna(0))
    log["since_start"] = np.log1p(log["time"] - log["start"])
    for name, period in (("hour", DAY), ("weekday", 7 * DAY)):
        angle = 2 * np.pi * (log["time"] % period) / period
        log[f"{name}_sin"], log[f"{name}_cos"] = np.sin(angle), np.cos(angle)
    lengths = log.groupby("CaseID", sort=False).size().to_numpy()
    features = ["ActivityID", "gap", "since_start", "hour_sin", "hour_cos"]
    features += ["weekday_sin", "weekday_cos"]
    cases = ecseq.Sequences(
        log[features].to_numpy(np.float32),
        np.concatenate([[0], np.cumsum(lengths)]),
        feature_names=features,
        labels=((log["end"] - log["time"]) / DAY).to_numpy(np.float32),
    )
    end = [round(share * len(cases)) for share in (0.8 * 2 / 3, 2 / 3, 1)]
    train, validation, test = (
        cases[np.arange(low, high)].windows(20)
        for low, high in ((0, end[0]), (end[0], end[1]), (end[1], end[2]))
    )
    return Parts(
        train[payments.drawn(len(train), rows, rng)].compact(),
        validation[payments.drawn(len(validation), rows // 2, rng)].compact(),
        test.compact(),
    )
