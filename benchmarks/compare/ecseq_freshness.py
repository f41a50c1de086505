"""Freshness: an encoder frozen early, states of terminals that are refreshed more or less often.

The model is fitted once; `partial_fit` advances its states with the payments whose labels are known
by then, those of 7 days before and earlier. Retraining fits a new model on the same payments.
"""

from __future__ import annotations

import pickle
import statistics
import time
import warnings
from pathlib import Path

import ecseq_payments as payments
import numpy as np
from ecseq_report import AP, AUC, RECALL, Figures, Part, Rows, verdict
from numpy.typing import NDArray

import ecseq
from ecseq.metrics import binary_metrics

HEADING = "Freshness"
TRAIN_END, KNOWN, FIRST, LAST = 61, 70, 77, 182  # days: trained, gated, then without label, tested
WEEK = 7
DELAY = FIRST - KNOWN
ENCODER_ROWS = 100_000
BASE, RETRAINED = "base (LSTM of days 0-60)", "live, layer retrained every 28 days"
STATES = {"never": None, "every 28 days": 28, "weekly": 7, "daily": 1}


def _verdicts(figures: Figures) -> list[str]:
    against = figures.mean(RETRAINED, RECALL)
    out = []
    for name in ("daily", "live"):
        share = 100 * figures.mean(name, RECALL) / against
        text = f"{share:.1f} % of the R@P0.9 of retraining"
        out.append(verdict(f"States refreshed {name}", text, ">= 95 %", share >= 95))
    rows = [found["never"] for found in figures.rows.values()]
    base = [found[BASE] for found in figures.rows.values()]
    ages = [row["alarm_days"] for row in rows if row["alarm_days"] is not None]
    if ages:
        out.append(
            f"The alarm (`staleness`, `StaleStateWarning`) of states never refreshed sounds on day "
            f"{_days(ages)} of the test"
        )
    shares = {
        name: 100 * statistics.mean(found[name]["stale"] for found in figures.rows.values())
        for name in STATES
    }
    text = ", ".join(f"{name} {share:.0f} %" for name, share in shares.items())
    out.append(f"Share of the test days on which it sounds: {text}")
    below = [
        _first_below(row["ap_by_week"], b["ap_by_week"]) for row, b in zip(rows, base, strict=True)
    ]
    found = [weeks for weeks in below if weeks is not None]
    if found:
        out.append(
            f"States never refreshed fall below the base (AP of the week) after {_weeks(found)} "
            f"of test in {len(found)} of {len(below)} seeds"
        )
    return out


def _days(ages: list[float]) -> str:
    return f"{statistics.median(ages):.1f} ({min(ages):.1f} to {max(ages):.1f})"


def _weeks(weeks: list[int]) -> str:
    return f"{statistics.median(weeks):g} weeks ({min(weeks)} to {max(weeks)})"


def _first_below(ours: list[float], theirs: list[float]) -> int | None:
    """Weeks that pass before ours is below for the first time."""
    return next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a < b), None)


PARTS = {
    "card_fraud": Part(
        "States refreshed more or less often",
        f"{payments.SOURCE}. The LSTM is trained on {ENCODER_ROWS:,} windows of days 0-52 and "
        "stopped on 53-60, the relation layer by terminal (on the embedding and the LSTM's logit) "
        "on days 0-60 and gated on 61-69; then both are frozen. Test: days 77-181, pooled. `live` "
        "is `replay`; the others are advanced by `partial_fit`, with the payments of 7 days before "
        "and earlier (the labels of later ones are not known), and score until the next time.",
        (AUC, AP, RECALL),
        (BASE, RETRAINED),
        (RECALL,),
        _verdicts,
    )
}


class _Payments:
    """Rows as the relation layer gets them: embedding and logit of the frozen encoder."""

    def __init__(self, encoder: ecseq.SequenceEncoder, windows: ecseq.Sequences) -> None:
        probability = encoder.predict_proba(windows)[:, 1].astype(np.float64)
        logit = np.log(np.maximum(probability, 1e-7) / np.maximum(1 - probability, 1e-7))
        self.x = np.c_[encoder.transform(windows), logit].astype(np.float32)
        self.labels, self.times = windows.labels, windows.end_times
        self.terminal = windows.end_entities[payments.TERMINAL]
        self.day = (self.times // payments.DAY).astype(np.int64)
        self.base = probability.astype(np.float32)

    def between(self, first: int, end: int) -> NDArray[np.int64]:
        return np.flatnonzero((first <= self.day) & (self.day < end))

    def given(self, rows: NDArray[np.int64]) -> dict[str, object]:
        return {"entities": {payments.TERMINAL: self.terminal[rows]}, "times": self.times[rows]}

    def fit(self, train_end: int, end: int, seed: int) -> ecseq.ECSeqClassifier:
        """Fitted on the days before `train_end`, gated on those from there to before `end`."""
        rows, held_out = self.between(0, train_end), self.between(train_end, end)
        model = ecseq.ECSeqClassifier(
            relations=[ecseq.EntityRelation(payments.TERMINAL, label_delay="7d")],
            max_epochs=20,
            patience=4,
            controls=False,
            random_state=seed,
        )
        return model.fit(
            self.x[rows],
            self.labels[rows],
            **self.given(rows),
            validation=(self.x[held_out], self.labels[held_out], self.given(held_out)),
        )

    def refreshed(
        self, model: ecseq.ECSeqClassifier, days: int | None
    ) -> tuple[NDArray[np.float32], list[bool]]:
        """Scores of the test rows by a model that knows all until `DELAY` days before the first,
        and is advanced every so many days, or never; and by day whether its state is stale."""
        scores, stale = [], []
        for first in range(FIRST, LAST, days or LAST):
            end = min(LAST, first + (days or LAST))
            if first > FIRST:
                known = self.between(first - DELAY - (days or 0), first - DELAY)
                model.partial_fit(self.x[known], self.labels[known], **self.given(known))
            now = self.between(first, end)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ecseq.StaleStateWarning)
                scores.append(model.predict_proba(self.x[now], **self.given(now))[:, 1])
            noons = (np.arange(first, end) + 0.5) * payments.DAY
            stale += [model.staleness(float(noon)).stale for noon in noons]
        return np.concatenate(scores), stale

    def replayed(self, model: ecseq.ECSeqClassifier, first: int, end: int) -> NDArray[np.float32]:
        """Scores of the days from `first` to before `end` by a replay of what follows the rows that
        the model knows, those until `DELAY` days before."""
        rows = self.between(first - DELAY, end)
        scores = model.replay(self.x[rows], self.labels[rows], **self.given(rows))
        return scores[self.day[rows] >= first]


def run(data: Path, part: str, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    early = payments.of_days(data, 0, 53)
    encoder = ecseq.SequenceEncoder("lstm", hidden_size=32, max_epochs=30, random_state=seed)
    encoder.fit(
        early[payments.drawn(len(early), ENCODER_ROWS, rng)],
        validation=payments.of_days(data, 53, TRAIN_END),
    )
    # Sorted by time, as states are advanced.
    windows = payments.windows(data)
    rows_by_time = np.argsort(windows.end_times, kind="stable")
    events = _Payments(encoder, windows[rows_by_time])
    test = events.between(FIRST, LAST)
    rows: Rows = {}

    def add(name: str, scores: NDArray[np.float32], begin: float) -> None:
        rows[name] = {
            **binary_metrics(events.labels[test], scores),
            "seconds": time.perf_counter() - begin,
            **_by_week(events, test, scores),
        }

    begin = time.perf_counter()
    add(BASE, events.base[test], begin)
    fitted = events.fit(TRAIN_END, KNOWN, seed)
    for name, days in STATES.items():
        begin = time.perf_counter()
        scores, stale = events.refreshed(_again(fitted), days)
        add(name, scores, begin)
        rows[name]["stale"] = float(np.mean(stale))
    rows["never"]["alarm_days"] = _alarm_day(fitted)
    begin = time.perf_counter()
    add("live", events.replayed(fitted, FIRST, LAST), begin)

    begin = time.perf_counter()
    scores = [events.replayed(fitted, FIRST, FIRST + 28)]
    for first in range(FIRST + 28, LAST, 28):
        model = events.fit(first - (FIRST - TRAIN_END), first - DELAY, seed)
        scores.append(events.replayed(model, first, min(LAST, first + 28)))
    add(RETRAINED, np.concatenate(scores), begin)
    return rows


def _again(model: ecseq.ECSeqClassifier) -> ecseq.ECSeqClassifier:
    """A copy, so that what one way of refreshing adds does not reach the next."""
    return pickle.loads(pickle.dumps(model))


def _by_week(
    events: _Payments, test: NDArray[np.int64], scores: NDArray[np.float32]
) -> dict[str, list[float]]:
    found = []
    for first in range(FIRST, LAST, WEEK):
        rows = (first <= events.day[test]) & (events.day[test] < first + WEEK)
        found.append(binary_metrics(events.labels[test][rows], scores[rows]))
    return {
        "ap_by_week": [week["ap"] for week in found],
        "recall_by_week": [week["recall_at_p90"] for week in found],
    }


def _alarm_day(model: ecseq.ECSeqClassifier) -> float | None:
    """Days of the test until `staleness` says stale; the state ends `DELAY` days before it."""
    limit = model.staleness(float(FIRST * payments.DAY)).trained_age
    return None if limit is None else limit / payments.DAY - DELAY


def plot(figures: Figures, path: Path) -> None:
    """R@P0.9 by week, mean over seeds, and where the alarm sounds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9, 4.5))
    for method in figures.methods:
        weeks = np.mean([f[method]["recall_by_week"] for f in figures.rows.values()], axis=0)
        style = "--" if method in (BASE, RETRAINED) else "-"
        axis.plot(FIRST + WEEK * np.arange(len(weeks)), 100 * weeks, style, label=method)
    alarms = [found["never"].get("alarm_days") for found in figures.rows.values()]
    if all(days is not None for days in alarms):
        axis.axvline(FIRST + float(np.median(alarms)), color="grey", linestyle=":")
        axis.annotate("alarm", (FIRST + float(np.median(alarms)), 2), color="grey")
    axis.set_xlabel(f"first day of the week (the state ends with day {KNOWN - 1})")
    axis.set_ylabel("R@P0.9 of the week, %")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
