"""What estimators are given, as the arrays that the core takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq._checks import as_seconds, check_finite
from ecseq._entity_ids import Keys, entity_keys, keys_of_sets, members_of, take
from ecseq._sequences import Sequences

FloatMatrix = NDArray[np.float32]
# Values [steps, features], starts [n], stops [n], times [steps] or None.
CoreSequences = tuple[FloatMatrix, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]
CoreX = FloatMatrix | CoreSequences


class Samples(NamedTuple):
    """Rows to learn from or to score, ready for the core."""

    x: CoreX
    entities: dict[str, Keys]
    times: NDArray[np.float64] | None

    def take(self, rows: NDArray[np.int64]) -> Samples:
        if isinstance(self.x, tuple):
            values, starts, stops, times = self.x
            x: CoreX = (values, starts[rows], stops[rows], times)
        else:
            x = np.ascontiguousarray(self.x[rows])
        return Samples(
            x,
            {name: take(keys, rows) for name, keys in self.entities.items()},
            None if self.times is None else self.times[rows],
        )


def core_sequences(sequences: Sequences) -> CoreSequences:
    return sequences.values, sequences.starts, sequences.stops, sequences.times


def make_samples(
    x: CoreX,
    n_rows: int,
    sequences: Sequences | None,
    entities: Mapping[str, ArrayLike] | None,
    times: ArrayLike | None,
    needed: Mapping[str, bool],
) -> Samples:
    """Joins X with the entities and times given, or carried by the Sequences.

    needed: the entities that the model's relations are by, and whether each is by sets of them. Of
    the Sequences a set takes the ids of all events, otherwise the last event's counts.
    """
    if sequences is not None and times is None:
        times = sequences.end_times
    keys: dict[str, Keys] = {}
    for name, is_set in needed.items():
        what = f"entities[{name!r}]"
        if name in (entities or {}):
            assert entities is not None
            given: Any = entities[name]
            keys[name] = (
                keys_of_sets(given, what, n_rows) if is_set else entity_keys(given, what, n_rows)
            )
        elif sequences is not None and name in sequences.entities:
            column = sequences.entities[name]
            if is_set:
                offsets = np.concatenate([[0], np.cumsum(sequences.lengths, dtype=np.int64)])
                keys[name] = (entity_keys(column, what, len(column))[sequences.steps()], offsets)
            else:
                keys[name] = entity_keys(column[sequences.stops - 1], what, n_rows)
    seconds = None if times is None else as_seconds(times, "times", n_rows)
    return Samples(x, keys, seconds)


def ids_of(
    sequences: Sequences | None,
    entities: Mapping[str, ArrayLike] | None,
    needed: Mapping[str, bool],
) -> dict[str, list[Any]]:
    """The ids that `make_samples` makes keys of, as the caller gave them: a row's id or list."""
    found: dict[str, list[Any]] = {}
    for name, is_set in needed.items():
        if name in (entities or {}):
            assert entities is not None
            given: Any = entities[name]
            found[name] = [members_of(row) for row in given] if is_set else list(given)
        elif sequences is not None and name in sequences.entities:
            column = sequences.entities[name].astype(object)
            ends = zip(sequences.starts, sequences.stops, strict=True)
            found[name] = [
                column[start:stop].tolist() if is_set else column[stop - 1] for start, stop in ends
            ]
    return found


def finite_matrix(X: ArrayLike) -> FloatMatrix:
    """X as the core takes it; refuses what is no matrix with rows, and NaN and infinity."""
    matrix = np.ascontiguousarray(X, dtype=np.float32)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"X: expected a matrix [n, h] with rows, got shape {matrix.shape}")
    check_finite(matrix, "X", [str(j) for j in range(matrix.shape[1])])
    return matrix


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn calls a random_state; None draws a new one."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state: expected at least 0, got {random_state}")
        return int(random_state)
    from sklearn.utils import check_random_state  # scoring does without scikit-learn

    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def class_weights(
    class_weight: Mapping[Any, float] | str | None, classes: NDArray[Any], codes: NDArray[Any]
) -> list[float]:
    """Weights in the order of ``classes``, or an empty list. codes: class number of each row."""
    if class_weight is None:
        return []
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(
                f"class_weight: {class_weight!r} is not one of None, 'balanced', or a dict"
            )
        from sklearn.utils.class_weight import (
            compute_class_weight,
        )  # scoring does without scikit-learn

        weights = compute_class_weight("balanced", classes=np.unique(codes), y=codes)
        return [float(w) for w in weights]
    unknown = [label for label in class_weight if label not in set(classes.tolist())]
    if unknown:
        raise ValueError(
            f"class_weight: {unknown[0]!r} is not one of the classes {classes.tolist()}"
        )
    weights = [float(class_weight.get(label, 1.0)) for label in classes.tolist()]
    if any(not w >= 0 for w in weights) or not any(w > 0 for w in weights):
        raise ValueError(f"class_weight: expected weights of at least 0, got {dict(class_weight)}")
    return weights


def training_options(estimator: Any, seed: int) -> dict[str, Any]:
    """The options that encoders and models share."""
    options: dict[str, Any] = {
        "hidden_size": positive(estimator.hidden_size, "hidden_size"),
        "learning_rate": float(estimator.learning_rate),
        "max_epochs": positive(estimator.max_epochs, "max_epochs"),
        "patience": positive(estimator.patience, "patience"),
        "seed": seed,
        "num_threads": threads(estimator.num_threads),
    }
    rate = options["learning_rate"]
    if not rate > 0:
        raise ValueError(f"learning_rate: expected a positive number, got {rate}")
    if estimator.batch_size is not None:
        options["batch_size"] = positive(estimator.batch_size, "batch_size")
    return options


def threads(num_threads: int | None) -> int:
    if num_threads is None:
        return 0
    return positive(num_threads, "num_threads")


def positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return int(value)
