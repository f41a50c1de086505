"""The card payments of the tasks of ecseq.py: windows of a card's last 20 payments, by day."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ecseq

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/python"))
import card_fraud as payments

DAY = payments.DAY
TERMINAL = "terminal_id"
SOURCE = (
    "`card_fraud`: the Fraud Detection Handbook's *simulated* payments, in which part of the fraud "
    "is made at terminals by design; a payment is scored from the card's last 20, events hold "
    "nothing about the terminal, labels are known 7 days late"
)


@cache
def windows(data: Path) -> ecseq.Sequences:
    """One sequence per payment, with times, labels and terminals."""
    cards = ecseq.Sequences.from_frame(
        payments.read_payments(data / "card_fraud" / "transactions.csv.gz", None),
        by="customer_id",
        time="time_s",
        features=payments.FEATURES,
        label="fraud",
        entities=[TERMINAL],
    )
    return cards.windows(20)


def of_days(data: Path, first: int, end: int) -> ecseq.Sequences:
    """The payments of the days from `first` to before `end`."""
    found = windows(data)
    return found[payments.between(found, (first, end))]


def drawn(rows: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most `most` of the row numbers, in order."""
    return np.arange(rows) if rows <= most else np.sort(rng.choice(rows, most, replace=False))
