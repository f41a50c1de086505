"""``cross_fit=``: what encoders say of sequences that they were not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold

from ecseq._encoder import SequenceEncoder
from ecseq._inputs import core_sequences, seed_of, threads
from ecseq._sequences import Sequences


def require_cross_fit(
    folds: int, encoder: SequenceEncoder | None, codes: NDArray[np.float32], task: str
) -> None:
    """Refuses, before any work, what cannot be cross-fitted. codes: of the training rows [n]."""
    if isinstance(folds, bool) or not isinstance(folds, (int, np.integer)) or folds < 2:
        raise ValueError(f"cross_fit: expected a number of folds of at least 2, got {folds!r}")
    if encoder is None:
        raise ValueError("cross_fit: takes sequences and an encoder; X is a matrix of embeddings")
    fewest = (
        len(codes) if task == "regression" else int(np.unique(codes, return_counts=True)[1].min())
    )
    if fewest < folds:
        what = "rows" if task == "regression" else "rows of the smallest class"
        raise ValueError(f"cross_fit: {folds} folds of {fewest} {what}")


def cross_fitted_outputs(
    encoder: SequenceEncoder,
    training: Sequences,
    labels: NDArray[Any],
    held_out: Sequences,
    labels_held_out: NDArray[Any],
    folds: int,
) -> tuple[NDArray[np.float32], float]:
    """Logits or values [n, outputs] of each training sequence by an encoder of the same kind that
    was trained on the other folds (Chernozhukov et al. 2018), and the seconds that took.

    The validation part stops each of them early, as it did the encoder.
    """
    is_class = hasattr(encoder, "classes_")
    splitter: Any = (StratifiedKFold if is_class else KFold)(
        folds, shuffle=True, random_state=seed_of(encoder.random_state)
    )
    outputs: NDArray[np.float32] | None = None
    seconds = 0.0
    for others, fold in splitter.split(np.zeros(len(labels)), labels):
        fitted = clone(encoder).fit(
            training[others], labels[others], validation=(held_out, labels_held_out)
        )
        seconds += float(fitted.fit_report_["seconds"])
        core = fitted._core
        found = core.decide(
            core.encode(
                core_sequences(fitted._recoded(training[fold])), threads(encoder.num_threads)
            )
        )
        if outputs is None:
            outputs = np.empty((len(labels), found.shape[1]), dtype=np.float32)
        outputs[fold] = found
    assert outputs is not None
    return outputs, seconds
