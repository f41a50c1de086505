"""Fraud among card payments: a sequence encoder, and ECSeq on top of it.

Each payment is scored from the card's last 20 payments up to it. The events carry the amount, the
time since the payment before, the hour and the weekday, and nothing about the terminal: what the
terminal was known for reaches the score only through ``EntityRelation("terminal_id")``. A fraud
becomes known 7 days after its payment.

The split is by time: days 0-89 train, 90-109 validation, 110-150 test. Test payments are replayed
in order, so that each is scored with what was known at its moment. The last row shuffles the
terminals: what it gains is not due to terminals.

The data is a simulation (Fraud Detection Handbook), in which some frauds are made at terminals.

    python examples/python/card_fraud.py --data /path/to/data --seeds 5
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from comparison import Comparison

import ecseq
from ecseq.metrics import binary_metrics

DAY = 86_400
TRAIN_DAYS, VALIDATION_DAYS, TEST_DAYS = (0, 90), (90, 110), (110, 151)
FEATURES = ["amount", "gap", "hour_sin", "hour_cos", "weekday_sin", "weekday_cos"]


def read_payments(path: Path, n_cards: int | None) -> pd.DataFrame:
    """The payments with their features, sorted by card and time."""
    payments = pd.read_csv(path).sort_values(["customer_id", "time_s"], kind="stable")
    if n_cards is not None:
        payments = payments[
            payments["customer_id"].isin(payments["customer_id"].unique()[:n_cards])
        ]
    gap = payments.groupby("customer_id")["time_s"].diff()
    # A card's first payment counts as one after a month of rest.
    payments["gap"] = np.log1p(gap.fillna(30 * DAY))
    for name, period in (("hour", DAY), ("weekday", 7 * DAY)):
        angle = 2 * np.pi * (payments["time_s"] % period) / period
        payments[f"{name}_sin"], payments[f"{name}_cos"] = np.sin(angle), np.cos(angle)
    return payments


def between(windows: ecseq.Sequences, days: tuple[int, int]) -> np.ndarray:
    """Mask of the windows that end from day ``days[0]`` to before day ``days[1]``."""
    day = windows.end_times // DAY
    return (days[0] <= day) & (day < days[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("ECSEQ_DATA"), help="default: $ECSEQ_DATA")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cards", type=int, help="only the first CARDS cards, for a quick look")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data is: --data or the environment variable ECSEQ_DATA")
    path = Path(arguments.data) / "card_fraud" / "transactions.csv.gz"
    if not path.exists():
        parser.error(f"no file {path}")

    payments = read_payments(path, arguments.cards)
    cards = ecseq.Sequences.from_frame(
        payments,
        by="customer_id",
        time="time_s",
        features=FEATURES,
        label="fraud",
        entities=["terminal_id"],
    )
    windows = cards.windows(20)
    is_train, is_validation, is_test = (
        between(windows, days) for days in (TRAIN_DAYS, VALIDATION_DAYS, TEST_DAYS)
    )
    train, validation, test = windows[is_train], windows[is_validation], windows[is_test]
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        print(f"{name}: {len(part)} payments, {100 * part.labels.mean():.2f} % fraud")

    similarity = ecseq.SimilarityRelation()
    by_terminal = ecseq.EntityRelation(
        "terminal_id", windows=("1d", "7d", "30d", "all"), label_delay="7d"
    )
    terminals = windows.end_entities["terminal_id"]
    table = Comparison({"auc": "AUC", "ap": "AP", "recall_at_p90": "R@P0.9"})

    for seed in range(arguments.seeds):
        begin = time.perf_counter()
        encoder = ecseq.SequenceEncoder(cell="lstm", hidden_size=32, random_state=seed)
        encoder.fit(train, validation=validation)
        scores = {"base (LSTM)": encoder.predict_proba(test)[:, 1]}

        shuffled = np.random.default_rng(seed).permutation(terminals)
        for method, relations, ids in (
            ("ECSeq by similarity", [similarity], terminals),
            ("ECSeq by entity", [by_terminal], terminals),
            ("ECSeq by both", [similarity, by_terminal], terminals),
            ("ECSeq by entity, shuffled", [by_terminal], shuffled),
        ):
            model = ecseq.ECSeqClassifier(
                encoder, relations=relations, controls=relations == [similarity], random_state=seed
            )
            # Labels and times are those that the sequences carry.
            model.fit(
                train,
                entities={"terminal_id": ids[is_train]},
                validation=(
                    validation,
                    validation.labels,
                    {"entities": {"terminal_id": ids[is_validation]}},
                ),
            )
            if relations == [similarity]:
                scores["logistic regression"] = model.control_scores(test, "logistic_regression")
                scores["MLP"] = model.control_scores(test, "mlp")
            scores[method] = model.replay(test, entities={"terminal_id": ids[is_test]})

        for method, score in scores.items():
            table.add(method, binary_metrics(test.labels, score))
        print(f"seed {seed}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)

    print(f"\n{arguments.seeds} seeds, mean ± sd and paired differences:\n")
    print(table.markdown())


if __name__ == "__main__":
    main()
