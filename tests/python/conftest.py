"""Small data with known structure, shared by the tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

import ecseq

DAY = 86400.0


@dataclass(frozen=True)
class Embeddings:
    """Rows whose label a linear model of X cannot see, and partly their entity's doing."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    terminal: NDArray[np.int64]
    times: NDArray[np.float64]

    @property
    def entities(self) -> dict[str, NDArray[np.int64]]:
        return {"terminal": self.terminal}


def make_embeddings(n: int, seed: int, first_day: float = 0.0) -> Embeddings:
    rng = np.random.default_rng(seed)
    bad = np.random.default_rng(99).random(40) < 0.3
    X = rng.normal(size=(n, 5)).astype(np.float32)
    terminal = rng.integers(0, 40, n)
    rate = np.where(bad[terminal], 0.9, 0.05)
    y = ((X[:, 0] * X[:, 1] > 0.8) | (rng.random(n) < rate)).astype(np.int64)
    times = (first_day + np.linspace(0, 60, n)) * DAY
    return Embeddings(X, y, terminal, times)


def make_sequences(n: int, seed: int) -> tuple[ecseq.Sequences, NDArray[np.int64]]:
    """Label: does the first feature rise on the whole?"""
    rng = np.random.default_rng(seed)
    events = [rng.normal(size=(rng.integers(1, 13), 3)).astype(np.float32) for _ in range(n)]
    labels = np.array([int(x[:, 0].sum() + 0.3 * rng.normal() > 0) for x in events])
    return ecseq.Sequences.from_list(events), labels


@pytest.fixture(scope="session")
def training() -> Embeddings:
    return make_embeddings(1500, 1)


@pytest.fixture(scope="session")
def later() -> Embeddings:
    return make_embeddings(400, 2, first_day=60.0)


@pytest.fixture(scope="session")
def sequences() -> tuple[ecseq.Sequences, NDArray[np.int64]]:
    return make_sequences(600, 3)


@pytest.fixture(scope="session")
def relations() -> list[ecseq.SimilarityRelation | ecseq.EntityRelation]:
    return [
        ecseq.SimilarityRelation(40),
        ecseq.EntityRelation("terminal", windows=("7d", "all"), label_delay="1d"),
    ]


@pytest.fixture(scope="session")
def related(
    training: Embeddings, relations: list[ecseq.SimilarityRelation | ecseq.EntityRelation]
) -> ecseq.ECSeqClassifier:
    """A fitted model with a relation of each kind; tests must not change it."""
    return ecseq.ECSeqClassifier(relations=relations, max_epochs=15).fit(
        training.X, training.y, entities=training.entities, times=training.times
    )


@pytest.fixture(scope="session")
def encoder(sequences: tuple[ecseq.Sequences, NDArray[np.int64]]) -> ecseq.SequenceEncoder:
    return ecseq.SequenceEncoder(hidden_size=7, max_epochs=15, learning_rate=0.01).fit(*sequences)
