"""The released protocol, preset="paper", beside an implementation of the same in PyTorch."""

from __future__ import annotations

import time
from pathlib import Path

import ablation_data
import numpy as np
import torch
from ecseq_report import AP, AUC, RECALL, Figures, Part, Rows, verdict
from ecseq_torch import PaperModel

import ecseq
from ecseq.metrics import binary_metrics, paired_difference

HEADING = "The paper's protocol"
ROWS = 30_000
PER_CLASS = {0: 400, 1: 100}
BASE, OURS, THEIRS = "base (LSTM)", 'preset="paper"', "the same in PyTorch"


def _verdicts(figures: Figures) -> list[str]:
    if len(figures.rows) < 2:
        return []
    out = []
    for metric in (AUC, AP):
        ours, theirs = figures.differences(OURS, THEIRS, metric)
        found = paired_difference(ours, theirs)
        out.append(
            verdict(
                f"{metric.heading} of preset less that in PyTorch",
                f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]",
                "an interval that holds 0",
                found.low <= 0 <= found.high,
            )
        )
    alone = {
        name: np.mean([100 * rows[name]["isolation"] for rows in figures.rows.values()])
        for name in (OURS, THEIRS)
    }
    out.append(
        f"Validation rows without a representative: {alone[OURS]:.1f} % and {alone[THEIRS]:.1f} %"
    )
    return out


PARTS = {
    name: Part(
        name,
        f"{ROWS:,} training rows ({what}); both get the embeddings of the same LSTM, and train on "
        "the same rows. k-means (400 of class 0, 100 of class 1), cosine above 0.99, SAGE-mean, "
        "linear head, squared error of the sigmoid, Adam 5e-3, batches of 1000, patience 30 on "
        "validation AUC; no gate.",
        (AUC, AP, RECALL),
        (BASE, THEIRS),
        (AUC, AP),
        _verdicts,
    )
    for name, what in (
        ("card_fraud", "simulated payments; all frauds of days 0-89 and other payments drawn"),
        ("uci_credit_default", "24,000 there are; 80/10/10, stratified"),
    )
}


def run(data: Path, part: str, seed: int) -> Rows:
    torch.set_num_threads(1)
    source = ablation_data.DATA_SETS[part]
    parts = source.read(data / source.file, ROWS, np.random.default_rng(seed))
    begin = time.perf_counter()
    encoder = ecseq.SequenceEncoder("lstm", hidden_size=32, random_state=seed)
    encoder.fit(parts.train, validation=parts.validation)
    labels = parts.test.labels
    rows: Rows = {BASE: binary_metrics(labels, encoder.predict_proba(parts.test)[:, 1])}
    rows[BASE]["seconds"] = time.perf_counter() - begin
    x, x_validation, x_test = (
        encoder.transform(p) for p in (parts.train, parts.validation, parts.test)
    )
    given = x, parts.train.labels, x_validation, parts.validation.labels

    begin = time.perf_counter()
    model = ecseq.ECSeqClassifier(
        preset="paper", n_representatives=PER_CLASS, controls=False, random_state=seed
    )
    model.fit(given[0], given[1], validation=given[2:])
    seconds = time.perf_counter() - begin
    rows[OURS] = binary_metrics(labels, model.predict_proba(x_test)[:, 1])
    rows[OURS] |= {"seconds": seconds, "isolation": model.fit_report_["isolation_rate"]}

    begin = time.perf_counter()
    theirs = PaperModel(PER_CLASS, seed).fit(*given)
    seconds = time.perf_counter() - begin
    rows[THEIRS] = binary_metrics(labels, theirs.scores(x_test))
    rows[THEIRS] |= {"seconds": seconds, "isolation": theirs.isolation}
    return rows
