"""Fit a model on an event file, and measure it on the part that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import ecseq
from ecseq.cli.event_files import column_types, id_types, read_table, require_columns
from ecseq.cli.layout import EventLayout
from ecseq.cli.scoring import last_windows
from ecseq.demo.splitting import TimeSplit, split_by_time
from ecseq.metrics import binary_metrics, multiclass_metrics, regression_metrics

Say = Callable[[str], None]
Progress = Callable[[str, int, int, str], None]

_MANY_CLASSES = 20


@dataclass(frozen=True)
class FitRequest:
    """What to fit.  ``features`` may be empty: then all other numeric columns are taken."""

    events: Path
    layout: EventLayout
    task: str = "auto"  # "auto", "classification" or "regression"
    split: str = "auto"  # "auto", "time" or "random"
    label_delay: float = 0.0  # seconds
    validation_fraction: float = 0.2
    test_fraction: float = 0.25
    cell: str = "lstm"
    hidden_size: int = 32
    max_epochs: int = 30
    n_representatives: int = 0  # 0: the library's default
    seed: int = 0
    num_threads: int = 0  # 0: the library's default


@dataclass(frozen=True)
class FitOutcome:
    """The fitted model with its measures on the test part."""

    model: Any
    layout: EventLayout
    split: str
    sizes: dict[str, int]  # sequences per part
    test: dict[str, dict[str, float]]  # measures of each method
    seconds: dict[str, float]


def fit_events(request: FitRequest, say: Say, progress: Progress | None = None) -> FitOutcome:
    """Read, split, train the encoder and ECSeq, and compare them on the test part."""
    layout, table = _read(request)
    users = layout.sequences(table, with_label=True)
    if layout.per == "auto":
        layout = replace(layout, per="user" if _one_label_per_user(users) else "event")
    if layout.per == "user":
        if not _one_label_per_user(users):
            raise ValueError(
                f"label: column {layout.label!r} varies within a {layout.by}; use --per event"
            )
        sequences = last_windows(users, layout.window)
    else:
        sequences = users.windows(layout.window)
    labels, task = _labels(sequences, layout, request.task)
    how, split = _split(request, layout, sequences)
    _require_classes(task, labels, split, layout)
    say(
        f"{table.num_rows:,} events of {len(users):,} {layout.by}s; one sequence per {layout.per}, "
        f"at most {layout.window} events; {task}; split by {how}: "
        f"{split.training.sum():,} train, {split.validation.sum():,} validate, "
        f"{split.test.sum():,} test"
    )

    threads = request.num_threads or None
    training, validation = sequences[split.training], sequences[split.validation]
    encoder = ecseq.SequenceEncoder(
        request.cell,
        request.hidden_size,
        categorical=dict.fromkeys(sequences.categories, 8) or None,
        task=task,
        max_epochs=request.max_epochs,
        random_state=request.seed,
        num_threads=threads,
        verbose=progress or False,
    )
    relations: list[Any] = [ecseq.SimilarityRelation(request.n_representatives or None)]
    relations += [
        ecseq.EntityRelation(name, label_delay=request.label_delay) for name in layout.entities
    ]
    kind = ecseq.ECSeqRegressor if task == "regression" else ecseq.ECSeqClassifier
    model = kind(
        encoder=encoder,
        relations=relations,
        random_state=request.seed,
        num_threads=threads,
        verbose=progress or False,
    )
    model.fit(training, labels[split.training], validation=(validation, labels[split.validation]))
    measured = _measure(model, task, sequences, labels, split, how)
    if layout.entities:
        # The saved model is for what comes after this file, so it knows all of it.
        later = split.waiting | split.test
        model.partial_fit(sequences[later], labels[later])
    layout.store(model)
    sizes = {
        "training": int(split.training.sum()),
        "validation": int(split.validation.sum()),
        "test": int(split.test.sum()),
    }
    return FitOutcome(model, layout, how, sizes, measured, dict(model.fit_report_["seconds"]))


def _read(request: FitRequest) -> tuple[EventLayout, Any]:
    layout = request.layout
    present = column_types(request.events)
    require_columns(request.events, layout.columns(with_label=True), present)
    if not layout.features:
        used = {layout.by, layout.time, layout.label, *layout.entities}
        numeric = [
            name
            for name, kind in present.items()
            if name not in used
            and (
                pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            )
        ]
        if not numeric:
            raise ValueError(f"{request.events}: no numeric column is left to be a feature")
        layout = replace(layout, features=tuple(numeric))
    types = {
        name: pa.float64()
        for name in layout.features
        if pa.types.is_integer(present[name]) or pa.types.is_floating(present[name])
    }
    table = read_table(request.events, layout.columns(with_label=True), types)
    return replace(layout, id_types=id_types(table, layout)), table


def _one_label_per_user(users: ecseq.Sequences) -> bool:
    labels = users.step_labels
    if labels is None or len(labels) == len(users):
        return True
    change = labels[1:] != labels[:-1]
    change[users.offsets[1:-1] - 1] = False
    return not bool(change.any())


def _labels(sequences: ecseq.Sequences, layout: EventLayout, task: str) -> tuple[NDArray[Any], str]:
    labels = np.asarray(sequences.labels)
    is_number = labels.dtype.kind in "biuf"
    if task == "auto":
        distinct = np.unique(labels)
        whole = labels.dtype.kind != "f" or bool(np.all(labels == np.floor(labels)))
        few = len(distinct) <= _MANY_CLASSES
        task = "classification" if not is_number or (whole and few) else "regression"
    if task == "regression":
        if not is_number:
            raise ValueError(
                f"label: column {layout.label!r} holds text, so it cannot be a regression target"
            )
        return labels.astype(np.float64), task
    if labels.dtype.kind == "f":
        labels = labels.astype(np.int64)
    return labels, task


def _split(
    request: FitRequest, layout: EventLayout, sequences: ecseq.Sequences
) -> tuple[str, TimeSplit]:
    how = request.split
    if how == "auto":
        by_time = layout.time and (layout.per == "event" or layout.entities)
        how = "time" if by_time else "random"
    if how == "time":
        if not layout.time:
            raise ValueError("split: a split by time needs the time column, --time")
        split = split_by_time(
            sequences.end_times,
            validation_fraction=request.validation_fraction,
            test_fraction=request.test_fraction,
            label_delay=request.label_delay if layout.entities else 0.0,
        )
        return "time", split
    if layout.time and layout.entities:
        raise ValueError(
            "split: with --time and --entities the split must be by time, because the state of an "
            "entity must not know later labels"
        )
    return f"random {layout.by}s", _split_users(request, sequences)


def _split_users(request: FitRequest, sequences: ecseq.Sequences) -> TimeSplit:
    """All sequences of a user go to the same part."""
    _, user = np.unique(sequences.ids, return_inverse=True)
    n = int(user.max()) + 1
    n_test = round(request.test_fraction * n)
    n_validation = round(request.validation_fraction * (n - n_test))
    if min(n_test, n_validation, n - n_test - n_validation) < 1:
        raise ValueError(f"split: {n} users are too few for three parts")
    place = np.empty(n, dtype=np.int64)
    place[np.random.default_rng(request.seed).permutation(n)] = np.arange(n)
    rank = place[user]
    test = rank < n_test
    validation = ~test & (rank < n_test + n_validation)
    training = ~test & ~validation
    return TimeSplit(training, validation, np.zeros(len(rank), dtype=np.bool_), test)


def _require_classes(
    task: str, labels: NDArray[Any], split: TimeSplit, layout: EventLayout
) -> None:
    if task == "regression":
        return
    known = np.unique(labels[split.training])
    if len(known) < 2:
        raise ValueError(
            f"label: column {layout.label!r} has one value only in the training part, {known[0]!r}"
        )
    for name, part in (("validation", split.validation), ("test", split.test)):
        present = np.unique(labels[part])
        strange = np.setdiff1d(present, known)
        if len(strange):
            raise ValueError(
                f"label: {strange[0]!r} occurs in the {name} part and not in the training part"
            )
        if len(present) < 2:
            raise ValueError(
                f"label: the {name} part holds {present[0]!r} only, so nothing can be measured on "
                "it; give more events or a larger fraction"
            )


def _measure(
    model: Any,
    task: str,
    sequences: ecseq.Sequences,
    labels: NDArray[Any],
    split: TimeSplit,
    how: str,
) -> dict[str, dict[str, float]]:
    """Measures on the test part of the base encoder, two controls on its embedding, and ECSeq."""
    test = sequences[split.test]
    if how == "time":
        # From the moment when the labels stop being known for certain.
        later = np.flatnonzero(split.waiting | split.test)
        ours = model.replay(sequences[later], labels[later])[split.test[later]]
    elif task == "regression":
        ours = model.predict(test)
    else:
        ours = model.predict_proba(test)
        ours = ours[:, 1] if ours.shape[1] == 2 else ours
    scores = {
        "base encoder": model.base_scores(test),
        "logistic regression" if task != "regression" else "linear regression": (
            model.control_scores(test, "logistic_regression")
        ),
        "small MLP": model.control_scores(test, "mlp"),
        "ECSeq": ours,
    }
    truth = labels[split.test]
    if task == "regression":
        return {name: regression_metrics(truth, values) for name, values in scores.items()}
    if len(model.classes_) == 2:
        truth = (truth == model.classes_[1]).astype(np.float64)
        return {name: binary_metrics(truth, values) for name, values in scores.items()}
    return {
        name: multiclass_metrics(truth, values, model.classes_) for name, values in scores.items()
    }
