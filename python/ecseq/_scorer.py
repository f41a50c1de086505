"""A frozen model that scores one user in microseconds. Depends on NumPy alone."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq import _core
from ecseq._calibration import Calibration
from ecseq._checks import as_moment, as_seconds
from ecseq._core import State
from ecseq._entity_ids import entity_keys, keys_of_sets, members_of
from ecseq._event_rows import EventRows
from ecseq._explaining import cases_asked, explanation_of
from ecseq._explanations import Explanation
from ecseq._inputs import Samples, core_sequences, finite_matrix, make_samples, threads
from ecseq._sequences import Sequences

Moment = float | str | datetime.date | np.datetime64
Score = float | NDArray[np.float32]


class Scorer:
    """A fitted model, frozen, for a service or a notebook: what does not depend on the target is
    computed beforehand, and a score takes microseconds.

    Scores equal those of the estimator up to rounding, calibrated where it is: for two classes the
    probability of the second, for several of each, for a regression the value. Entities are known
    as of the model's file; unlike an estimator, a scorer does not warn when that is stale.

    Immutable, and safe from any number of threads, which do not wait for one another: the GIL is
    released while it works. Importing and using it takes NumPy alone, not scikit-learn.

    Parameters
    ----------
    estimator : fitted ECSeqClassifier or ECSeqRegressor
        See `load` for a file. Its head must be one of ours.
    window : int
        What a state of `start` holds. 0: what the network has made of all events so far, where it
        can go on from that (LSTM and GRU in one direction), else the last 64 events; n: the last n
        events, as a model fitted on ``Sequences.windows(n)`` saw them.

    Attributes
    ----------
    classes : array [n_classes] or None
        None for a regression.
    feature_names : list of str or None
        Columns of an event, where the model knows them.

    Examples
    --------
    >>> import numpy as np
    >>> from ecseq import ECSeqClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 6)).astype(np.float32)
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> model = ECSeqClassifier(n_representatives=20, max_epochs=5).fit(X, y)
    >>> scorer = Scorer(model)
    >>> bool(np.isclose(scorer.score(X[0]), model.predict_proba(X[:1])[0, 1], atol=1e-5))
    True
    """

    def __init__(self, estimator: Any, *, window: int = 0) -> None:
        if not hasattr(estimator, "_described"):
            raise TypeError(
                "estimator: expected a fitted ECSeqClassifier or ECSeqRegressor, got "
                f"{type(estimator).__name__}; Scorer.load takes a file"
            )
        model = estimator._described()
        self._set(_core.Scorer.from_bytes(model.to_bytes(), "estimator", _window(window)))

    @classmethod
    def load(cls, path: Any, *, window: int = 0, map_file: bool = True) -> Scorer:
        """From a file that ``save`` wrote.

        ``map_file``: what a score reads where it lies in the file, an encoder's tables of
        categories, stays there: processes that score with one file share that memory. Such a file
        must not be written in place while it is in use, which would change scores unchecked, and
        where it became shorter the system would kill its readers; to replace it by renaming
        another onto its name, as ``save`` does, is safe. False: all is read into memory.

        Raises `ModelFileError` (a ``ValueError``) for a file that is missing, truncated or altered.
        """
        return cls._of(_core.Scorer.load(str(path), _window(window), bool(map_file)))

    @classmethod
    def _of(cls, core: _core.Scorer) -> Scorer:
        scorer = cls.__new__(cls)
        scorer._set(core)
        return scorer

    def _set(self, core: _core.Scorer) -> None:
        self._core = core
        description = _description(core.metadata)
        self.classes: NDArray[Any] | None = None
        if core.task != "regression":
            self.classes = np.arange(core.n_classes)
            if "classes" in description:
                kind = np.dtype(description["classes_dtype"])
                self.classes = np.asarray(description["classes"], dtype=kind)
        names = description.get("feature_names_in")
        self.feature_names: list[str] | None = None if names is None else list(names)
        self._categories = {
            name: np.asarray(values) for name, values in description.get("categories", {}).items()
        }
        self._rows = EventRows(
            core.n_features, self.feature_names, description.get("categories", {})
        )
        self._calibration: Calibration | None = None
        if "calibration" in description:
            self._calibration = Calibration.from_json(description["calibration"], core.n_classes)
        # Asked at every event.
        self._entity_sets = core.entity_sets
        self._has_encoder = core.has_encoder
        self._reads_event_times = core.reads_event_times
        self._has_timed_entities = core.has_timed_entities

    @property
    def n_features(self) -> int:
        """Columns of an event, or of the embedding."""
        return self._rows.n_features

    @property
    def embedding_size(self) -> int:
        return self._core.embedding_size

    @property
    def entity_names(self) -> list[str]:
        """By what the entity relations are."""
        return list(self._entity_sets)

    @property
    def encoder_id(self) -> int:
        """Identifies the encoder and `window`; a state of another one is refused."""
        return self._core.encoder_id

    @property
    def state_size(self) -> int:
        """Bytes of a state."""
        return self._core.state_size

    @property
    def window(self) -> int:
        """Events that a state's score is made of at most; 0 for all so far."""
        return self._core.window

    def score(
        self,
        events: Any,
        *,
        times: ArrayLike | None = None,
        time: Moment | None = None,
        entities: Mapping[str, Any] | None = None,
    ) -> Score:
        """Score one history.

        Parameters
        ----------
        events : array [length, n_features], or a list of events
            Oldest first; for a model on embeddings the embedding [n_features]. An event may be a
            dict by `feature_names`, whose other entries are ignored. Text columns hold their text.
        times : array [length], optional
            Seconds or datetime64, where the encoder reads times.
        time : seconds or a date, optional
            As of when the entities are asked, where the model was fitted on times; by default that
            of the latest event.
        entities : dict of name to id
            One for each of `entity_names`, None where there is none; a list or set of ids where the
            relation is by sets.

        Returns
        -------
        float, or array [n_classes] for several classes

        Raises
        ------
        ValueError, TypeError
            Naming the argument that is missing or does not fit.
        """
        return self._core.score(*self._request(events, times, time, entities))

    def score_batch(
        self,
        X: Any,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Score many rows: Sequences or a list of histories, or embeddings [n, n_features].

        entities ({name: ids [n]}) and times ([n], as of when they are asked) default to what
        Sequences carry.

        Returns the probability of the second class [n] for two classes, probabilities [n, classes]
        for several, values [n] for regression.
        """
        samples = self._samples(X, entities, times)
        scores = self._core.score_batch(
            samples.x, samples.entities, samples.times, threads(num_threads)
        )
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def explain(
        self,
        events: Any,
        top: int = 5,
        *,
        times: ArrayLike | None = None,
        time: Moment | None = None,
        entities: Mapping[str, Any] | None = None,
        method: str = "auto",
    ) -> Explanation:
        """Why a history is scored as it is, as the estimator's ``explain`` says it."""
        n_cases = cases_asked(top)
        request = self._request(events, times, time, entities)
        return self._explanation(self._core.explain(*request, n_cases, str(method)), entities)

    def start(self, user: int = 0) -> State:
        """The state of a user before the first event. user: yours, from 0 to 2**64 - 1."""
        if isinstance(user, bool) or not isinstance(user, (int, np.integer)):
            raise TypeError(f"user: expected an integer, got {user!r}")
        if not 0 <= user < 1 << 64:
            raise ValueError(f"user: expected 0 to 2**64 - 1, got {user}")
        return self._core.start(int(user))

    def update(
        self,
        state: State,
        event: Any,
        *,
        time: Moment | None = None,
        entities: Mapping[str, Any] | None = None,
    ) -> Score:
        """Read one event more into a state, and score: as `score` of all events so far (of the last
        `window` ones).

        event [n_features], time and entities are as in `score`. Raises ``ValueError``, with the
        state as it was, for what does not fit, and where the encoder reads times for an event
        earlier than the one before.
        """
        if not isinstance(state, State):
            raise TypeError(f"state: expected a State of start(), got {type(state).__name__}")
        if time is None:
            if self._reads_event_times or self._has_timed_entities:
                raise ValueError("time: the model needs the moment of the event")
            moment = 0.0
        else:
            moment = as_moment(time, "time")
        row = self._rows.event(event, "event")
        return self._core.update(state, row, moment, self._keys(entities))

    def _request(
        self,
        events: Any,
        times: ArrayLike | None,
        time: Moment | None,
        entities: Mapping[str, Any] | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None, float, list[NDArray[np.uint64]]]:
        """What the core takes."""
        if self._has_encoder:
            matrix = self._rows.history(events, "events")
        else:
            matrix = self._rows.event(_only(events), "events").reshape(1, -1)
        seconds = None if times is None else as_seconds(times, "times", len(matrix), "event")
        if seconds is None and self._reads_event_times:
            raise ValueError("times: the model's encoder reads them; give one per event")
        if time is not None:
            moment = as_moment(time, "time")
        elif seconds is not None:
            moment = float(seconds[-1])
        elif self._has_timed_entities:
            raise ValueError("time: the model needs the moment as of which entities are asked")
        else:
            moment = 0.0
        return matrix, seconds, moment, self._keys(entities)

    def _explanation(
        self, found: _core.Explanation, entities: Mapping[str, Any] | None
    ) -> Explanation:
        """What the core says of one request, with the ids that were given for it."""
        ids = {
            name: members_of(given) if self._entity_sets[name] else given
            for name, given in (entities or {}).items()
        }
        return explanation_of(found, ids, self.classes, self._calibration)

    def _keys(self, entities: Mapping[str, Any] | None) -> list[NDArray[np.uint64]]:
        """The keys of each relation's entities, in the order of the relations."""
        given = {} if entities is None else entities
        if not isinstance(given, Mapping):
            raise TypeError(
                f"entities: expected a dict of name to id, got {type(given).__name__!r}"
            )
        if given.keys() != self._entity_sets.keys():
            self._refuse_unknown(given)
            missing = next(name for name in self._entity_sets if name not in given)
            raise ValueError(
                f"entities: the model needs {missing!r}; give None where there is none"
            )
        return [
            keys_of(given[name], is_set, f"entities[{name!r}]")
            for name, is_set in self._entity_sets.items()
        ]

    def _refuse_unknown(self, entities: Mapping[str, Any]) -> None:
        unknown = [name for name in entities if name not in self._entity_sets]
        if unknown:
            known = ", ".join(map(repr, self._entity_sets)) or "none"
            raise ValueError(
                f"entities: the model has no relation by {unknown[0]!r}; those it has: {known}"
            )

    def _samples(
        self, X: Any, entities: Mapping[str, ArrayLike] | None, times: ArrayLike | None
    ) -> Samples:
        self._refuse_unknown(entities or {})
        needed = self._entity_sets
        if not self._has_encoder:
            if isinstance(X, Sequences):
                raise TypeError("X: this model was fitted on embeddings; got Sequences")
            columns = getattr(X, "columns", None)
            if columns is not None and self.feature_names not in (None, list(columns)):
                raise ValueError(
                    f"X: expected the columns {self.feature_names}, got {list(columns)}"
                )
            x = finite_matrix(X)
            return make_samples(x, len(x), None, entities, times, needed)
        if isinstance(X, Sequences):
            sequences = X.recoded(self._categories)
        elif isinstance(X, (list, tuple)):
            sequences = Sequences.from_list(
                [self._rows.history(history, f"X[{i}]") for i, history in enumerate(X)]
            )
        else:
            raise TypeError(
                "X: this model has an encoder; expected ecseq.Sequences or a list of histories, "
                f"got {type(X).__name__}"
            )
        return make_samples(
            core_sequences(sequences), len(sequences), sequences, entities, times, needed
        )

    def __repr__(self) -> str:
        parts = [self._core.task, f"{self.n_features} features"]
        parts += [f"window {self.window}"] if self.window else []
        parts += [f"entities {', '.join(self._entity_sets)}"] if self._entity_sets else []
        return f"Scorer({', '.join(parts)})"

    def __reduce__(self) -> Any:
        return _from_bytes, (self._core.to_bytes(), self.window)


def _from_bytes(model: bytes, window: int) -> Scorer:
    return Scorer._of(_core.Scorer.from_bytes(model, "pickle", window))


def _description(metadata: str) -> dict[str, Any]:
    """What the estimator's side of the file says; nothing if the C++ library wrote it."""
    try:
        description = json.loads(metadata) if metadata else None
    except json.JSONDecodeError:
        return {}
    return description if isinstance(description, dict) else {}


def _window(window: Any) -> int:
    if isinstance(window, bool) or not isinstance(window, (int, np.integer)):
        raise ValueError(f"window: expected an integer, got {window!r}")
    return int(window)


def _only(events: Any) -> Any:
    """The embedding, of a matrix that holds no other."""
    if not isinstance(events, (np.ndarray, Sequence)) or len(events) != 1:
        return events
    return events[0] if isinstance(events[0], Mapping) or np.ndim(events) == 2 else events


def keys_of(given: Any, is_set: bool, name: str) -> NDArray[np.uint64]:
    """The key of an id, or those of a set. name: of the argument, for errors."""
    if is_set:
        keys, _ = keys_of_sets([given], name, 1)
        return keys
    if type(given) is str or type(given) is int:  # the short way to what entity_keys gives
        return _core.keys_of_texts([str(given)])
    return entity_keys([given], name, 1)
