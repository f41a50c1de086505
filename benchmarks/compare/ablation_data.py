"""The data sets of ablation.py as sequences: training, validation and test part of each.

Rows are sampled where a part has more than is asked for; of card payments every fraud of the
training part stays. Samples and splits depend on the seed. The readers of card payments and clients
are those of examples/python.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

import ecseq

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/python"))
import card_fraud as payments
import uci_credit_default as clients

HELD_OUT_ROWS = 20_000  # at most, of validation; the test part may have more
TEST_ROWS = 50_000


@dataclass(frozen=True)
class Parts:
    """Sequences that carry their labels."""

    train: ecseq.Sequences
    validation: ecseq.Sequences
    test: ecseq.Sequences


@dataclass(frozen=True)
class DataSet:
    """A data set, and what its test part is judged by."""

    file: str
    read: Callable[[Path, int, np.random.Generator], Parts]
    metric: str  # of ecseq.metrics: "auc", "ap", "rmse"
    categorical: dict[str, int] | None = None

    @property
    def regression(self) -> bool:
        return self.metric == "rmse"


def sample(
    sequences: ecseq.Sequences, most: int, rng: np.random.Generator, keep: NDArray[np.bool_]
) -> ecseq.Sequences:
    """At most `most` of the sequences in their order: those to keep, and others drawn at random."""
    if len(sequences) <= most:
        return sequences
    kept, others = np.flatnonzero(keep), np.flatnonzero(~keep)
    kept = kept if len(kept) <= most // 2 else rng.choice(kept, most // 2, replace=False)
    drawn = rng.choice(others, most - len(kept), replace=False)
    return sequences[np.sort(np.concatenate([kept, drawn]))].compact()


def parts(
    train: ecseq.Sequences,
    validation: ecseq.Sequences,
    test: ecseq.Sequences,
    rows: int,
    rng: np.random.Generator,
    *,
    keep_positive: bool = False,
) -> Parts:
    keep = train.labels == 1 if keep_positive else np.zeros(len(train), bool)
    nothing = [np.zeros(len(part), bool) for part in (validation, test)]
    return Parts(
        sample(train, rows, rng, keep),
        sample(validation, min(rows, HELD_OUT_ROWS), rng, nothing[0]),
        sample(test, max(rows, TEST_ROWS), rng, nothing[1]),
    )


def read_card_fraud(path: Path, rows: int, rng: np.random.Generator) -> Parts:
    """A payment as the card's last 20; days 0-89, 90-109, 110-150."""
    table = payments.read_payments(path, None)
    windows = ecseq.Sequences.from_frame(
        table, by="customer_id", time="time_s", features=payments.FEATURES, label="fraud"
    ).windows(20)
    train, validation, test = (
        windows[payments.between(windows, days)]
        for days in (payments.TRAIN_DAYS, payments.VALIDATION_DAYS, payments.TEST_DAYS)
    )
    return parts(train, validation, test, rows, rng, keep_positive=True)


def read_uci_credit_default(path: Path, rows: int, rng: np.random.Generator) -> Parts:
    """A client as six months and the static columns; 80/10/10, stratified."""
    months = clients.read_months(path).sort_values("month", kind="stable")
    sequences = ecseq.Sequences.from_frame(
        months,
        by="ID",
        features=["status", "bill", "paid"],
        static=clients.STATIC,
        label=clients.LABEL,
    )
    seed = int(rng.integers(2**31))
    labels = sequences.labels
    train, rest = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=seed
    )
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=labels[rest], random_state=seed
    )
    return parts(sequences[train], sequences[validation], sequences[test], rows, rng)


def read_assist2015(path: Path, rows: int, rng: np.random.Generator) -> Parts:
    """An answer as the student's last 20 questions up to it: the skill of each, and whether the
    answer before it was right. The published split by student; a tenth of its training part
    validates."""
    table = pd.read_csv(path)
    skills = [np.array(text.split(), dtype=float) for text in table["skill_ids"]]
    answers = [np.array(text.split(), dtype=float) for text in table["correct"]]
    # The first question has no answer before it.
    before = [np.concatenate([[0.5], right[:-1]]) for right in answers]
    values = np.stack([np.concatenate(skills), np.concatenate(before)], axis=1)
    offsets = np.concatenate([[0], np.cumsum([len(right) for right in answers])])
    students = ecseq.Sequences(
        values.astype(np.float32),
        offsets,
        feature_names=["skill", "right_before"],
        labels=np.concatenate(answers).astype(np.int64),
    )
    held_out = rng.random(len(table)) < 0.1
    is_train = (table["split"] == "train").to_numpy()
    train, validation, test = (
        students[np.flatnonzero(mask)].windows(20)
        for mask in (is_train & ~held_out, is_train & held_out, ~is_train)
    )
    return parts(train, validation, test, rows, rng)


def read_pedestrian_melbourne(path: Path, rows: int, rng: np.random.Generator) -> Parts:
    """A station's next hour from its last 24 without a gap; 70/10/20 by time."""
    counts = np.load(path)["counts"]
    hours = np.arange(len(counts))
    calendar = []
    for period in (24, 7 * 24):
        angle = 2 * np.pi * (hours % period) / period
        calendar += [np.sin(angle), np.cos(angle)]
    values, offsets, labels, ends = [], [0], [], []
    for station in counts.T:
        # Runs of hours that are known, each less its last hour, which only serves as a label.
        known = np.flatnonzero(station >= 0)
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if len(run) <= 24:
                continue
            columns = [np.log1p(station[run[:-1]]), *(c[run[:-1]] for c in calendar)]
            values.append(np.stack(columns, axis=1).astype(np.float32))
            labels.append(station[run[1:]].astype(np.float32))
            ends.append(run[:-1])
            offsets.append(offsets[-1] + len(run) - 1)
    # Times in seconds, from which windows know their last hour.
    windows = ecseq.Sequences(
        np.concatenate(values),
        offsets,
        times=np.concatenate(ends) * 3600.0,
        labels=np.concatenate(labels),
    ).windows(24)
    windows = windows[windows.lengths == 24]
    hour = windows.end_times / 3600 / len(counts)
    train, validation, test = (
        windows[(low <= hour) & (hour < high)] for low, high in ((0, 0.7), (0.7, 0.8), (0.8, 1))
    )
    return parts(train, validation, test, rows, rng)


DATA_SETS = {
    "uci_credit_default": DataSet(
        "uci_credit_default/UCI_Credit_Card.csv.gz", read_uci_credit_default, "auc"
    ),
    "card_fraud": DataSet("card_fraud/transactions.csv.gz", read_card_fraud, "ap"),
    "assist2015": DataSet(
        "assistments/assist2015.csv.gz", read_assist2015, "auc", categorical={"skill": 16}
    ),
    "pedestrian_melbourne": DataSet(
        "pedestrian_melbourne/pedestrian_melbourne.npz", read_pedestrian_melbourne, "rmse"
    ),
}
