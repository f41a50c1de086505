"""Data without shared entities, on which relations by similarity are not expected to gain: does the
gate keep the base, for every encoder?"""

from __future__ import annotations

import time
from pathlib import Path

import ablation_data
import ecseq_event_logs as event_logs
import numpy as np
import torch
from ecseq_peers import BoostedTrees, NeighbourVote
from ecseq_report import AP, AUC, MAE, Figures, Metric, Part, Rows, verdict
from ecseq_torch_gru import TorchGru
from numpy.typing import NDArray

import ecseq
from ecseq.metrics import binary_metrics, regression_metrics

HEADING = "Where nothing is to be gained"
ROWS = 20_000
RMSE = Metric("rmse", "RMSE", 1.0, 3)

BASE, SIMILARITY = "base (LSTM)", "ECSeq by similarity"
# What the gate's stacking does on validation rows without any relation: later cases are shorter.
CORRECTED = "base, corrected on validation by a line"
UNGATED = "ECSeq by similarity, gate=False"
BATCH_GNN = "ECSeq, nothing compressed (BatchGNN)"
TRANSFORMER, ON_TRANSFORMER = "base (Transformer)", "ECSeq on the Transformer"
GRU, ON_GRU = "linear on a PyTorch GRU", "ECSeq on the PyTorch GRU"
GATED = (
    (SIMILARITY, BASE),
    (BATCH_GNN, BASE),
    (ON_TRANSFORMER, TRANSFORMER),
    (ON_GRU, GRU),
)

SETS = {
    **{name: ablation_data.DATA_SETS[name] for name in ("uci_credit_default", "assist2015")},
    **{
        name: ablation_data.DataSet(
            f"event_logs/{name}.csv.gz", event_logs.read, "mae", categorical={"ActivityID": 8}
        )
        for name in ("helpdesk", "bpi_12_w")
    },
}


def _verdicts(figures: Figures) -> list[str]:
    """A loss is judged on the mean over seeds, and the worst seed is named."""
    regression = MAE in figures.part.metrics
    metric = MAE if regression else AUC
    out = []
    for ours, base in GATED:
        found, theirs = figures.differences(ours, base, metric)
        if not found:
            continue
        sign = -1 if regression else 1
        gains = [
            sign * (a - b) * (100 / b if regression else 1)
            for a, b in zip(found, theirs, strict=True)
        ]
        unit = "% of MAE" if regression else "points of AUC"
        limit = 0.5 if regression else 0.05
        text = f"gain {np.mean(gains):+.2f} {unit} (worst seed {min(gains):+.2f})"
        out.append(
            verdict(f"{ours}, over its base", text, f">= -{limit}", np.mean(gains) >= -limit)
        )
    if regression and SIMILARITY in figures.methods:
        text = figures.difference_text(SIMILARITY, CORRECTED, MAE)
        out.append(f"{SIMILARITY}, against the base corrected by a line: {text} days of MAE")
    return out


PARTS = {
    **{
        name: Part(name, text, (AUC, AP), (BASE,), (AUC,), _verdicts)
        for name, text in (
            (
                "uci_credit_default",
                f"Credit default: {ROWS:,} of 24,000 clients train, six months each; 80/10/10.",
            ),
            (
                "assist2015",
                f"Is the next answer right: {ROWS:,} answers drawn, as many validate, "
                "50,000 test; the published split by student.",
            ),
        )
    },
    **{
        name: Part(
            f"{name}, remaining days",
            f"Prefixes of cases, at most {ROWS:,} to train and half as many to validate, the first "
            "two thirds of the cases; days until the case ends. All models are trained on squared "
            "error.",
            (MAE, RMSE),
            (BASE, CORRECTED),
            (MAE,),
            _verdicts,
        )
        for name in ("helpdesk", "bpi_12_w")
    },
}


class _Seed:
    """The rows of one table and seed."""

    def __init__(self, source: ablation_data.DataSet, parts: ablation_data.Parts, seed: int):
        self._source, self._parts, self._seed = source, parts, seed
        self._regression = source.metric == "mae"
        self._estimator = ecseq.ECSeqRegressor if self._regression else ecseq.ECSeqClassifier
        self.rows: Rows = {}

    def add(self, name: str, scores: NDArray[np.float32], begin: float) -> None:
        judge = regression_metrics if self._regression else binary_metrics
        seconds = time.perf_counter() - begin
        self.rows[name] = {**judge(self._parts.test.labels, scores), "seconds": seconds}

    def run(self) -> Rows:
        lstm = self._encoder("lstm", BASE)
        self._related(SIMILARITY, lstm, controls=True)
        self._related(UNGATED, lstm, gate=False)
        self._peers(lstm)
        self._related('preset="paper"', lstm, preset="paper")
        nothing = [ecseq.SimilarityRelation(compressor="none")]
        self._related(BATCH_GNN, lstm, relations=nothing)
        self._related(ON_TRANSFORMER, self._encoder("transformer", TRANSFORMER))
        self._from_torch()
        return self.rows

    def _encoder(self, cell: str, name: str) -> ecseq.SequenceEncoder:
        begin = time.perf_counter()
        encoder = ecseq.SequenceEncoder(
            cell,
            hidden_size=32,
            n_heads=4,
            categorical=self._source.categorical,
            task="regression" if self._regression else "classification",
            max_epochs=20,
            patience=4,
            random_state=self._seed,
        )
        encoder.fit(self._parts.train, validation=self._parts.validation)
        test = self._parts.test
        if not self._regression:
            self.add(name, encoder.predict_proba(test)[:, 1], begin)
            return encoder
        self.add(name, encoder.predict(test), begin)
        if name == BASE:
            held_out = self._parts.validation
            slope, level = np.polyfit(encoder.predict(held_out), held_out.labels, 1)
            self.add(CORRECTED, slope * encoder.predict(test) + level, begin)
        return encoder

    def _related(
        self, name: str, encoder: ecseq.SequenceEncoder, controls: bool = False, **options: object
    ) -> None:
        parts = self._parts
        begin = time.perf_counter()
        model = self._estimator(encoder, controls=controls, random_state=self._seed, **options)
        model.fit(parts.train, validation=parts.validation)
        self.add(name, self._scores(model, parts.test), begin)
        self.rows[name]["gate"] = model.fit_report_["gate"]["choice"]
        if controls:
            linear = "linear regression" if self._regression else "logistic regression"
            for control, title in (("logistic_regression", linear), ("mlp", "MLP")):
                self.add(title, model.control_scores(parts.test, control), begin)
                del self.rows[title]["seconds"]

    def _scores(self, model: ecseq.ECSeqClassifier, X: object) -> NDArray[np.float32]:
        return model.predict(X) if self._regression else model.predict_proba(X)[:, 1]

    def _peers(self, encoder: ecseq.SequenceEncoder) -> None:
        parts = self._parts
        x, x_validation, x_test = (
            encoder.transform(p) for p in (parts.train, parts.validation, parts.test)
        )
        for name, peer in (
            ("boosted trees", BoostedTrees(self._regression, self._seed)),
            ("kNN vote", NeighbourVote(self._regression)),
        ):
            begin = time.perf_counter()
            peer.fit(x, parts.train.labels, x_validation, parts.validation.labels)
            self.add(name, peer.scores(x_test), begin)

    def _from_torch(self) -> None:
        parts = self._parts
        begin = time.perf_counter()
        gru = TorchGru(self._source.categorical, self._regression, self._seed)
        gru.fit(parts.train, parts.validation)
        x, x_validation, x_test = (
            gru.transform(p) for p in (parts.train, parts.validation, parts.test)
        )
        model = self._estimator(controls=False, random_state=self._seed)
        model.fit(x, parts.train.labels, validation=(x_validation, parts.validation.labels))
        self.add(GRU, model.base_scores(x_test), begin)
        self.add(ON_GRU, self._scores(model, x_test), begin)
        self.rows[ON_GRU]["gate"] = model.fit_report_["gate"]["choice"]


def run(data: Path, part: str, seed: int) -> Rows:
    torch.set_num_threads(1)
    source = SETS[part]
    parts = source.read(data / source.file, ROWS, np.random.default_rng(seed))
    return _Seed(source, parts, seed).run()
