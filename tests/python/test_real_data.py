"""The claims on public data, at full size. Needs the data folder: ECSEQ_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ecseq
from ecseq.metrics import average_precision, binary_metrics, roc_auc

pandas = pytest.importorskip("pandas")
DAY = 86_400

needs_data = pytest.mark.skipif(
    not os.environ.get("ECSEQ_DATA"),
    reason="ECSEQ_DATA does not name the folder of public data sets",
)


def data_file(name: str) -> Path:
    path = Path(os.environ["ECSEQ_DATA"]) / name
    if not path.exists():
        pytest.skip(f"no file {path}")
    return path


@needs_data
def test_terminals_explain_fraud_that_the_payment_does_not_show() -> None:
    payments = pandas.read_csv(data_file("card_fraud/transactions.csv.gz"))
    payments = payments.sort_values("time_s", kind="stable")
    y = payments["fraud"].to_numpy()
    times = payments["time_s"].to_numpy(dtype=float)
    hour = payments["time_s"] % DAY / DAY * 2 * np.pi
    X = np.stack([payments["amount"], np.sin(hour), np.cos(hour)], axis=1).astype(np.float32)
    terminals = payments["terminal_id"].to_numpy()
    shuffled = np.random.default_rng(0).permutation(terminals)
    day = times // DAY
    past, recent, later = day < 60, (day >= 60) & (day < 75), (day >= 75) & (day < 100)

    found = {}
    for name, ids in (("terminals", terminals), ("shuffled", shuffled)):
        model = ecseq.ECSeqClassifier(
            relations=[ecseq.EntityRelation("terminal_id", label_delay="7d")],
            controls=False,
            max_epochs=8,
        )
        model.fit(
            X[past],
            y[past],
            entities={"terminal_id": ids[past]},
            times=times[past],
            validation=(
                X[recent],
                y[recent],
                {"entities": {"terminal_id": ids[recent]}, "times": times[recent]},
            ),
        )
        scores = model.replay(
            X[later], y[later], entities={"terminal_id": ids[later]}, times=times[later]
        )
        found[name] = binary_metrics(y[later], scores)["ap"]
    base = average_precision(y[later], model.base_scores(X[later]))
    assert found["terminals"] > base + 0.2
    assert found["shuffled"] < base + 0.05


@needs_data
def test_clients_who_default_are_found() -> None:
    clients = pandas.read_csv(data_file("uci_credit_default/UCI_Credit_Card.csv.gz"))
    columns = [["PAY_0" if m == 1 else f"PAY_{m}", f"BILL_AMT{m}", f"PAY_AMT{m}"]
               for m in range(6, 0, -1)]  # fmt: skip
    events = np.stack([clients[names].to_numpy(np.float32) for names in columns], axis=1)
    y = clients["default.payment.next.month"].to_numpy()
    batch = ecseq.Sequences.from_padded(events, np.full(len(y), 6))
    train, test = np.arange(len(y)) % 10 < 8, np.arange(len(y)) % 10 >= 8
    encoder = ecseq.SequenceEncoder(max_epochs=8).fit(batch[train], y[train])
    model = ecseq.ECSeqClassifier(encoder, max_epochs=8).fit(batch[train], y[train])
    base = roc_auc(y[test], encoder.predict_proba(batch[test])[:, 1])
    ours = roc_auc(y[test], model.predict_proba(batch[test])[:, 1])
    assert base > 0.75
    assert ours > base - 0.005
