"""A model with the states of all its users and entities, for a Python service."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ecseq import _core
from ecseq._checks import as_moment
from ecseq._explaining import cases_asked
from ecseq._explanations import Explanation
from ecseq._scorer import Moment, Score, Scorer, keys_of


class LiveScorer:
    """All that a service holds: the model that is current, a state for every user, and the
    entities' memories as they are now. Events come with `on_event`, labels later with `label`; a
    stream scores as the estimator's ``replay`` of it.

    Safe from any number of threads; the GIL is released while it works.

    Parameters
    ----------
    path : str or path
        Of a model file.
    window : int
        See `Scorer`: n for a model fitted on ``Sequences.windows(n)``.
    max_users : int
        States kept; beyond, the user unused longest is forgotten. 0: all.
    max_waiting : int
        Events that wait for their label; beyond, the oldest is forgotten.
    labels_on_arrival : bool
        A label counts as known at once, not as late as in training.
    map_file : bool
        See `Scorer.load`; of the first model and of those that `reload` takes.
    """

    def __init__(
        self,
        path: Any,
        *,
        window: int = 0,
        max_users: int = 0,
        max_waiting: int = 1 << 20,
        labels_on_arrival: bool = False,
        map_file: bool = True,
    ) -> None:
        for name, value in (
            ("window", window),
            ("max_users", max_users),
            ("max_waiting", max_waiting),
        ):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise ValueError(f"{name}: expected a number of at least 0, got {value!r}")
        self._core = _core.LiveScorer(
            str(path),
            int(window),
            int(max_users),
            int(max_waiting),
            bool(labels_on_arrival),
            bool(map_file),
        )
        self._scorer = Scorer._of(self._core.scorer)

    @property
    def scorer(self) -> Scorer:
        """The model that is current, frozen: with the entities of its file."""
        return self._scorer

    @property
    def version(self) -> int:
        """1 for the first model, 2 after a `reload`, and so on."""
        return self._core.version

    @property
    def n_users(self) -> int:
        """Users with a state."""
        return self._core.n_users

    @property
    def n_waiting(self) -> int:
        """Events that wait for their label."""
        return self._core.n_waiting

    def on_event(
        self,
        user: Hashable,
        event: Any,
        *,
        time: Moment,
        entities: Mapping[str, Any] | None = None,
        event_id: Hashable | None = None,
    ) -> Score:
        """Score an event of a user by what is known at its moment; then users and entities know it.

        Parameters
        ----------
        user : any id
        event : array [n_features] or dict by `Scorer.feature_names`
        time : seconds or a date
        entities : dict of name to id, as in `Scorer.score`
        event_id : any id, optional
            By which its label comes; by default made of user and time. An event whose id waits for
            its label already is refused: send an event twice and it counts once.

        Raises ``ValueError``, with nothing changed, for what does not fit.
        """
        moment = as_moment(time, "time")
        row = self._scorer._rows.event(event, "event")
        keys = self._scorer._keys(entities)
        return self._core.on_event(
            _key(user, "user"), self._event_id(user, moment, event_id), row, moment, keys
        )

    def label(
        self,
        y: float,
        *,
        now: Moment,
        event_id: Hashable | None = None,
        user: Hashable | None = None,
        time: Moment | None = None,
    ) -> bool:
        """The label of an event, by its id, or by user and time where it had none.

        y: the class, or the value. now: the moment. False where no such event waits for a label.
        """
        moment = 0.0
        if event_id is None:
            if user is None or time is None:
                raise ValueError("label: give event_id, or user and time of the event")
            moment = as_moment(time, "time")
        value = float(y)
        if self._scorer.classes is not None:
            found = np.flatnonzero(self._scorer.classes == y)
            if len(found) != 1:
                raise ValueError(f"y: {y!r} is not one of the classes {self._scorer.classes}")
            value = float(found[0])
        return self._core.label(
            self._event_id(user, moment, event_id), value, as_moment(now, "now")
        )

    def score(
        self,
        events: Any,
        *,
        times: ArrayLike | None = None,
        time: Moment | None = None,
        entities: Mapping[str, Any] | None = None,
    ) -> Score:
        """`Scorer.score` by what entities are known for now; changes nothing."""
        return self._core.score(*self._scorer._request(events, times, time, entities))

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
        """`Scorer.explain` by what entities are known for now; changes nothing."""
        n_cases = cases_asked(top)
        scorer = self._scorer
        request = scorer._request(events, times, time, entities)
        return scorer._explanation(self._core.explain(*request, n_cases, str(method)), entities)

    def explain_event(
        self,
        user: Hashable,
        event: Any,
        top: int = 5,
        *,
        time: Moment,
        entities: Mapping[str, Any] | None = None,
        method: str = "auto",
    ) -> Explanation:
        """Why `on_event` of this event scores as it does; asked before it, and nothing of it stays.

        user, event, time and entities are those of `on_event`; top and method those of `explain`.
        """
        n_cases = cases_asked(top)
        scorer = self._scorer
        found = self._core.explain_event(
            _key(user, "user"),
            scorer._rows.event(event, "event"),
            as_moment(time, "time"),
            scorer._keys(entities),
            n_cases,
            str(method),
        )
        return scorer._explanation(found, entities)

    def reload(self, path: Any) -> None:
        """Another model file in the place of this one, verified first, while scoring goes on.

        States of users go on if its encoder is the same, memories of entities if its relations are.
        Raises `ModelFileError`, and then the old model stays.
        """
        self._core.reload(str(path))
        self._scorer = Scorer._of(self._core.scorer)

    def save(self, folder: Any) -> None:
        """Write the states of users and entities to a folder."""
        self._core.save(str(folder))

    def restore(self, folder: Any) -> None:
        """Read what `save` wrote. Raises `ModelFileError`, with nothing changed, where it does not
        fit this model or is damaged."""
        self._core.restore(str(folder))

    def staleness(self, now: Moment) -> float:
        """Seconds since the newest event that the entities have seen."""
        return self._core.staleness(as_moment(now, "now"))

    @staticmethod
    def _event_id(user: Hashable, moment: float, event_id: Hashable | None) -> int:
        if event_id is None:
            return _core.event_id(_key(user, "user"), moment)
        return _key(event_id, "event_id")


def _key(identifier: Hashable, name: str) -> int:
    """64 bits of any id."""
    if identifier is None:
        raise ValueError(f"{name}: expected an id, got None")
    return int(keys_of(identifier, False, name)[0])
