"""Labels as the core takes them: class numbers or values, per sequence or per event."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq import _core
from ecseq._sequences import Sequences, ranges
from ecseq.metrics import binary_metrics, multiclass_metrics, regression_metrics


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits [n] of two classes, or [n, classes], to probabilities [n, classes]."""
    z = logits.astype(np.float64)
    if z.ndim == 1:
        positive = 1.0 / (1.0 + np.exp(-np.clip(z, -700, 700)))
        return np.stack([1.0 - positive, positive], axis=1).astype(np.float32)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = z / z.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def class_numbers(logits: NDArray[np.float32]) -> NDArray[np.intp]:
    """The most probable class [n] from logits [n] of two classes, or [n, classes]."""
    return (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(axis=1)


def require_sequences(X: Any) -> Sequences:
    if not isinstance(X, Sequences):
        raise TypeError(
            f"X: expected ecseq.Sequences, got {type(X).__name__}; see Sequences.from_frame, "
            "from_list and from_padded"
        )
    return X


def labels_of(sequences: Sequences, y: ArrayLike | None) -> NDArray[Any]:
    """The labels given, or those that the sequences carry. [n]"""
    if y is None:
        if sequences.labels is None:
            raise ValueError("y: no labels were given and X carries none")
        return np.asarray(sequences.labels)
    labels = np.asarray(y)
    if labels.ndim != 1 or len(labels) != len(sequences):
        raise ValueError(
            f"y: expected {len(sequences)} labels, one per sequence, got shape {labels.shape}"
        )
    return labels


def event_labels_of(sequences: Sequences, y: ArrayLike | None) -> NDArray[Any]:
    """A label for each event of each sequence, one sequence after the other."""
    n = int(sequences.lengths.sum())
    if y is None:
        if sequences.step_labels is None:
            raise ValueError("y: no labels were given and X carries none")
        labels_there: NDArray[Any] = sequences.step_labels[
            ranges(sequences.starts, sequences.lengths)
        ]
        return labels_there
    labels = np.asarray(y)
    if labels.ndim != 1 or len(labels) != n:
        raise ValueError(f"y: expected {n} labels, one per event, got shape {labels.shape}")
    return labels


def encode_labels(
    labels: NDArray[Any], task: str, known: NDArray[Any] | None = None
) -> tuple[str, NDArray[Any] | None, NDArray[np.float32]]:
    """(task for the core, classes or None, class numbers or values [n]).

    known: all classes there are, where the labels need not hold each of them.
    """
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.argmin(np.isfinite(labels)))
        raise ValueError(f"y: value at row {row} is not finite ({labels[row]})")
    if task == "auto":
        from sklearn.utils.multiclass import type_of_target  # scoring does without scikit-learn

        task = "regression" if type_of_target(labels) == "continuous" else "classification"
    if task == "regression":
        return "regression", None, np.ascontiguousarray(labels, dtype=np.float32)
    if known is not None:
        if len(known) < 2:
            raise ValueError(f"classes: expected at least two, got {known.tolist()}")
        name = "binary" if len(known) == 2 else "multiclass"
        return name, known, recode(labels, known, "y")
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y: only one class is present ({classes.tolist()[0]!r}); a classifier needs at least "
            "two classes"
        )
    name = "binary" if len(classes) == 2 else "multiclass"
    return name, classes, codes.astype(np.float32)


def recode(labels: ArrayLike, classes: NDArray[Any] | None, name: str) -> NDArray[np.float32]:
    """Labels of another part as class numbers of ``classes``; values for regression."""
    array = np.asarray(labels)
    if classes is None:
        values = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"{name}: label at row {row} is not finite")
        return values
    order = np.searchsorted(classes, array)
    order = np.clip(order, 0, len(classes) - 1)
    wrong = classes[order] != array
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: label {array[row].item()!r} at row {row} is not one of the classes "
            f"{classes.tolist()}"
        )
    return order.astype(np.float32)


def split_rows(
    sequences: Sequences,
    per: str,
    task: str,
    n_classes: int,
    codes: NDArray[np.float32],
    fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training and validation sequences, see `split_labelled`; per: what labels belong to."""
    if per == "sequence":
        times = sequences.end_times
        return split_labelled(times, task, n_classes, codes, fraction, seed)
    nothing = np.zeros(len(sequences), dtype=np.float32)
    return split_labelled(sequences.end_times, "regression", 0, nothing, fraction, seed)


def split_labelled(
    times: NDArray[np.float64] | None,
    task: str,
    n_classes: int,
    codes: NDArray[np.float32],
    fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training and validation rows: the latest validate where times are known."""
    if times is not None:
        training, validation = _core.split_by_time(times, float(fraction))
    else:
        training, validation = _core.split_at_random(task, n_classes, codes, float(fraction), seed)
    if task != "regression" and len(np.unique(codes[training])) < n_classes:
        raise ValueError(
            "validation_fraction: a class is absent from the training part of the split; give "
            "validation= explicitly"
        )
    return training, validation


def split_validation(
    validation: tuple[Sequences, ArrayLike] | Sequences, per: str = "sequence"
) -> tuple[Sequences, NDArray[Any]]:
    """The sequences and their labels, of which there are none where ``per`` is "none"."""
    if isinstance(validation, tuple) and len(validation) >= 2:
        held_out, y = require_sequences(validation[0]), validation[1]
    elif isinstance(validation, Sequences):
        held_out, y = validation, None
    else:
        raise ValueError("validation: expected (Sequences, labels), or Sequences")
    if per == "none":
        return held_out, np.zeros(0)
    return held_out, labels_of(held_out, y) if per == "sequence" else event_labels_of(held_out, y)


def metrics_of(
    task: str, codes: NDArray[np.float32], outputs: NDArray[np.float32]
) -> dict[str, float]:
    """Metrics of logits [n, outputs], or values [n, 1], against class numbers or values [n]."""
    if task == "regression":
        return regression_metrics(codes, outputs[:, 0])
    if task == "binary":
        return binary_metrics(codes.astype(int), probabilities(outputs[:, 0])[:, 1])
    return multiclass_metrics(codes.astype(int), probabilities(outputs))
