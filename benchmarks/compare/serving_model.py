"""The models that are served, fitted with ecseq, and the events of the users to be scored.

What the models have learned hardly matters to the time of a score; their sizes do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from models import full_length
from numpy.typing import NDArray

import ecseq

# As serving_bench.cpp has them: histories overlap in one table, each begins SHIFT rows after the
# one before.
USERS, LENGTH, FEATURES, SHIFT = 100_000, 50, 32, 7
HIDDEN, HEAD = 32, 16
# Graph layer and representatives. The peers have the first; gate and head are in all of them.
MODELS = (("sage_mean", 500), ("sage_mean", 5000), ("gat", 500), ("attention", 500))
COMPARED = MODELS[0]
CHECKED = 1000  # users of whom the programs must say the same
_TRAINING = 10_000  # users


def path_of(folder: Path, model: tuple[str, int], ending: str = "safetensors") -> Path:
    gnn, representatives = model
    return folder / f"{gnn}_{representatives}.{ending}"


def history(events: NDArray[np.float32], user: int) -> NDArray[np.float32]:
    """[LENGTH, FEATURES], a view"""
    return events[user * SHIFT : user * SHIFT + LENGTH]


def histories(events: NDArray[np.float32], users: int) -> NDArray[np.float32]:
    """Of the first users. [users, LENGTH, FEATURES], a copy"""
    return np.stack([history(events, user) for user in range(users)])


def write(
    folder: Path,
) -> tuple[NDArray[np.float32], dict[tuple[str, int], NDArray[np.float32]]]:
    """Writes models and events for serving_bench. Returns the events, [USERS * SHIFT + LENGTH,
    FEATURES], and of each model what the estimator says of the first users, [CHECKED]."""
    rng = np.random.default_rng(1)
    events = rng.uniform(-1, 1, (USERS * SHIFT + LENGTH, FEATURES)).astype(np.float32)
    events.tofile(folder / "events.f32")

    x = histories(rng.permutation(events), _TRAINING)
    late = x[:, -10:].sum(axis=1)
    logit = late[:, 0] + late[:, 1] - 0.5 * late[:, 2] ** 2
    y = (rng.random(_TRAINING) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    sequences = full_length(x)
    encoder = ecseq.SequenceEncoder("lstm", HIDDEN, max_epochs=5, random_state=0).fit(sequences, y)
    first = full_length(histories(events, CHECKED))
    scores = {}
    for gnn, representatives in MODELS:
        model = ecseq.ECSeqClassifier(
            encoder,
            n_representatives=representatives,
            gnn=gnn,
            hidden_size=HIDDEN,
            head=(HEAD,),
            gate=False,  # which might leave the relation layer out
            controls=False,
            max_epochs=5,
            random_state=0,
        ).fit(sequences, y)
        model.save(path_of(folder, (gnn, representatives)))
        scores[gnn, representatives] = model.predict_proba(first)[:, 1]
    return events, scores
