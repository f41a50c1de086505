"""Events as a service has them: rows of numbers and texts, or dicts by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq._checks import as_array, as_float32

_UNKNOWN = -1.0  # as in Sequences.recoded


class EventRows:
    """Reads events into the numbers that a model was fitted on.

    feature_names: of the columns, or None where the model holds none. categories: of the columns
    that were text, the values that the numbers 0, 1, ... stand for.
    """

    def __init__(
        self,
        n_features: int,
        feature_names: Sequence[str] | None,
        categories: Mapping[str, Sequence[Any]],
    ) -> None:
        self.n_features = n_features
        self._names = feature_names
        self._numbers: dict[int, dict[Any, float]] = {}
        self._nameless: str | None = None
        for name, values in categories.items():
            if feature_names is None or name not in feature_names:
                # Only Sequences can be read then: they know their columns.
                self._nameless = name
                continue
            numbers = {value: float(number) for number, value in enumerate(values)}
            self._numbers[feature_names.index(name)] = numbers

    def event(self, given: Any, name: str) -> NDArray[np.float32]:
        """One event [n_features]: an array, a list or a dict. name: of the argument."""
        if isinstance(given, Mapping):
            given = self._in_order(given, name)
        if self._nameless is not None:
            raise ValueError(
                f"{name}: {self._nameless!r} holds categories, and the model file does not say in "
                "which column; give Sequences, or save the model anew after a fit"
            )
        if self._numbers:
            given = self._numbered(given, name)
        row = as_float32(given, name)
        if row.shape != (self.n_features,):
            raise ValueError(
                f"{name}: expected {self.n_features} values, one per feature, got shape {row.shape}"
            )
        return row

    def history(self, given: Any, name: str) -> NDArray[np.float32]:
        """Events [length, n_features]: an array, or a list of what `event` takes."""
        if hasattr(given, "columns"):
            raise TypeError(
                f"{name}: expected an array or a list of events, got a {type(given).__name__}; its "
                "to_dict('records') is one"
            )
        plain = not self._numbers and self._nameless is None
        if plain and (isinstance(given, np.ndarray) or not _holds_dicts(given)):
            matrix = as_float32(given, name)
            if matrix.ndim != 2 or matrix.shape[1] != self.n_features or len(matrix) == 0:
                raise ValueError(
                    f"{name}: expected [length, {self.n_features}] with at least one event, got "
                    f"shape {matrix.shape}"
                )
            return matrix
        events = list(given)
        if not events:
            raise ValueError(f"{name}: expected at least one event, got none")
        return np.stack([self.event(event, f"{name}[{i}]") for i, event in enumerate(events)])

    def _in_order(self, given: Mapping[str, Any], name: str) -> list[Any]:
        if self._names is None:
            raise ValueError(
                f"{name}: the model holds no names of features, by which a dict could be read; "
                "give an array"
            )
        missing = [column for column in self._names if column not in given]
        if missing:
            raise ValueError(
                f"{name}: no value of {missing[0]!r}; the model reads {list(self._names)}"
            )
        return [given[column] for column in self._names]

    def _numbered(self, given: Any, name: str) -> list[Any]:
        """The same event with categories as their numbers."""
        values = list(given) if isinstance(given, (list, tuple)) else as_array(given, name).tolist()
        if not isinstance(values, list) or len(values) != self.n_features:
            raise ValueError(f"{name}: expected {self.n_features} values, one per feature")
        for column, numbers in self._numbers.items():
            value = values[column]
            first = next(iter(numbers))
            if isinstance(first, str) != isinstance(value, str):
                assert self._names is not None
                raise ValueError(
                    f"{name}: {self._names[column]!r} holds categories such as {first!r} in the "
                    f"fit, got {value!r}"
                )
            values[column] = numbers.get(value, _UNKNOWN)
        return values


def _holds_dicts(given: Any) -> bool:
    return isinstance(given, Sequence) and len(given) > 0 and isinstance(given[0], Mapping)
