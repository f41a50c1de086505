"""Credit card clients who default next month: a sequence encoder, and ECSeq on top of it.

Each of 30,000 clients is a sequence of six months, oldest first: repayment status, bill and payment
as a share of the limit; limit, sex, education, marital status and age are the same at every step.
The split is 80/10/10, stratified, and a new one for every seed.

No column names an entity that clients share, so the rows by entity use a stand-in: clients of the
same sex, education, marital status, limit and five years of age. There are no times: a training
client sees the labels of all others of its group (leave-one-out). It is a group that the encoder
could form by itself, so little is to be expected of it.

    python examples/python/uci_credit_default.py --data /path/to/data --seeds 5
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
from sklearn.model_selection import train_test_split

import ecseq
from ecseq.metrics import binary_metrics

LABEL = "default.payment.next.month"
# The newest month has index 1 in the amounts and, for a reason of its own, 0 in the status.
MONTHS = [("PAY_0", 1)] + [(f"PAY_{i}", i) for i in range(2, 7)]
STATIC = ["log_limit", "SEX", "EDUCATION", "MARRIAGE", "AGE"]


def read_months(path: Path) -> pd.DataFrame:
    """One row per client and month."""
    clients = pd.read_csv(path)
    limit = clients["LIMIT_BAL"]
    clients["log_limit"] = np.log(limit)
    age_group = 5 * (clients["AGE"] // 5)
    profile = [clients[c].astype(str) for c in ("SEX", "EDUCATION", "MARRIAGE", "LIMIT_BAL")]
    clients["profile"] = profile[0].str.cat([*profile[1:], age_group.astype(str)], sep="/")
    months = []
    for status, i in MONTHS:
        month = clients[["ID", *STATIC, "profile", LABEL]].copy()
        month["month"] = -i
        month["status"] = clients[status]
        month["bill"] = clients[f"BILL_AMT{i}"] / limit
        month["paid"] = np.log1p(100 * clients[f"PAY_AMT{i}"] / limit)
        months.append(month)
    return pd.concat(months)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("ECSEQ_DATA"), help="default: $ECSEQ_DATA")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data is: --data or the environment variable ECSEQ_DATA")
    path = Path(arguments.data) / "uci_credit_default" / "UCI_Credit_Card.csv.gz"
    if not path.exists():
        parser.error(f"no file {path}")

    # Sorted by month first, so that from_frame needs no time: all clients end in the same month.
    months = read_months(path).sort_values("month", kind="stable")
    clients = ecseq.Sequences.from_frame(
        months,
        by="ID",
        features=["status", "bill", "paid"],
        static=STATIC,
        label=LABEL,
        entities=["profile"],
    )
    labels, profiles = clients.labels, clients.end_entities["profile"]
    print(f"{len(clients)} clients, {100 * labels.mean():.1f} % default")
    print(f"{len(set(profiles))} profiles")

    similarity = ecseq.SimilarityRelation()
    by_profile = ecseq.EntityRelation("profile")
    table = Comparison({"auc": "AUC", "ap": "AP", "recall_at_p90": "R@P0.9"})

    for seed in range(arguments.seeds):
        begin = time.perf_counter()
        rows = np.arange(len(clients))
        train, rest = train_test_split(rows, test_size=0.2, stratify=labels, random_state=seed)
        validation, test = train_test_split(
            rest, test_size=0.5, stratify=labels[rest], random_state=seed
        )
        encoder = ecseq.SequenceEncoder(cell="lstm", hidden_size=32, random_state=seed)
        encoder.fit(clients[train], validation=clients[validation])
        scores = {"base (LSTM)": encoder.predict_proba(clients[test])[:, 1]}

        shuffled = np.random.default_rng(seed).permutation(profiles)
        for method, relations, ids in (
            ("ECSeq by similarity", [similarity], profiles),
            ("ECSeq by entity", [by_profile], profiles),
            ("ECSeq by both", [similarity, by_profile], profiles),
            ("ECSeq by entity, shuffled", [by_profile], shuffled),
        ):
            model = ecseq.ECSeqClassifier(
                encoder, relations=relations, controls=relations == [similarity], random_state=seed
            )
            model.fit(
                clients[train],
                entities={"profile": ids[train]},
                validation=(
                    clients[validation],
                    labels[validation],
                    {"entities": {"profile": ids[validation]}},
                ),
            )
            if relations == [similarity]:
                for control, name in (
                    ("logistic_regression", "logistic regression"),
                    ("mlp", "MLP"),
                ):
                    scores[name] = model.control_scores(clients[test], control)
            given = {"profile": ids[test]}
            scores[method] = model.predict_proba(clients[test], entities=given)[:, 1]

        for method, score in scores.items():
            table.add(method, binary_metrics(labels[test], score))
        print(f"seed {seed}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)

    print(f"\n{arguments.seeds} seeds, mean ± sd and paired differences:\n")
    print(table.markdown())


if __name__ == "__main__":
    main()
