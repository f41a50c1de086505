"""Stale states: what training saw of ages, when the alarm comes, and that it comes in time."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecseq
from conftest import DAY, Embeddings
from ecseq import metrics
from ecseq._freshness import evidence_ages, in_words, staleness_at, trained_age


def ages_by_hand(keys: Any, times: Any, delay: float) -> list[float]:
    found = []
    for key, time in zip(keys, times, strict=True):
        known = [t for k, t in zip(keys, times, strict=True)
                 if k == key != 0 and t < time and t + delay <= time]  # fmt: skip
        if known:
            found.append(time - max(known))
    return sorted(found)


@pytest.mark.parametrize("delay", [0.0, 2.0, 7.0])
@pytest.mark.parametrize("seed", range(6))
def test_ages_are_those_found_by_hand(seed: int, delay: float) -> None:
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 5, 60).astype(np.uint64)  # 0: none
    times = rng.integers(0, 40, 60).astype(float)  # with ties
    got = np.sort(evidence_ages(keys, times, delay))
    np.testing.assert_array_equal(got, ages_by_hand(keys, times, delay))
    assert (got >= delay).all()


def test_rows_that_share_nothing_have_no_age() -> None:
    keys = np.arange(1, 9, dtype=np.uint64)
    assert trained_age(keys, np.arange(8.0), 0.0) is None
    assert trained_age(np.zeros(8, np.uint64), np.arange(8.0), 0.0) is None
    found = staleness_at(1e9, 0.0, {"card": None})
    assert not found.stale
    assert found.trained_age is None
    assert "nothing to go stale" in str(found)


def test_the_strictest_relation_decides() -> None:
    found = staleness_at(105.0, 100.0, {"card": None, "shop": 9.0, "device": 4.0})
    assert (found.by, found.age, found.trained_age, found.stale) == ("device", 5.0, 4.0, True)
    assert not staleness_at(104.0, 100.0, {"device": 4.0}).stale
    assert staleness_at(90.0, 100.0, {"device": 4.0}).age == 0.0


def test_the_fit_report_holds_the_ages(
    training: Embeddings, related: ecseq.ECSeqClassifier
) -> None:
    found = related.fit_report_["freshness"]
    assert found["latest_time"] == training.times.max()
    # The fixture's labels come a day late.
    keys = training.terminal.astype(np.uint64) + 1
    expected = np.quantile(ages_by_hand(keys, training.times, DAY), 0.9)
    assert found["trained_age"]["terminal"] == pytest.approx(expected)


def test_staleness_grows_with_time(training: Embeddings, related: ecseq.ECSeqClassifier) -> None:
    last = float(training.times.max())
    limit = related.fit_report_["freshness"]["trained_age"]["terminal"]
    fresh = related.staleness(last + 0.9 * limit)
    assert (fresh.stale, fresh.by) == (False, "terminal")
    assert fresh.age == pytest.approx(0.9 * limit)
    assert fresh.trained_age == limit
    late = related.staleness([last, last + 1.1 * limit])  # the latest counts
    assert late.stale
    assert "partial_fit" in str(late)
    assert "partial_fit" not in str(fresh)
    assert related.staleness(last - 5 * DAY).age == 0.0
    dates = np.array([int(last + 30 * DAY)], dtype="datetime64[s]")
    assert related.staleness(dates).age == related.staleness(dates[0]).age == 30 * DAY


def test_scoring_from_a_stale_state_warns_once_per_call(
    later: Embeddings, related: ecseq.ECSeqClassifier
) -> None:
    early = slice(0, 20)
    given: dict[str, Any] = {"entities": {"terminal": later.terminal}, "times": later.times}
    for method in (related.predict_proba, related.predict, related.decision_function):
        with pytest.warns(ecseq.StaleStateWarning, match="The state is 60 days old") as caught:
            method(later.X, **given)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    # Neither rows of soon after, nor a replay, which advances the state by itself.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        related.predict_proba(
            later.X[early],
            entities={"terminal": later.terminal[early]},
            times=later.times[early],
        )
        related.replay(later.X, later.y, **given)
    assert issubclass(ecseq.StaleStateWarning, UserWarning)


def test_partial_fit_makes_it_fresh_and_files_remember(
    training: Embeddings, later: Embeddings, related: ecseq.ECSeqClassifier, tmp_path: Path
) -> None:
    model = pickle.loads(pickle.dumps(related))
    moment = float(later.times.max()) + 1.0
    assert model.staleness(moment).stale
    model.partial_fit(later.X, later.y, entities=later.entities, times=later.times)
    assert model.staleness(moment).age == 1.0
    model.save(tmp_path / "model.ecseq")
    assert ecseq.load(tmp_path / "model.ecseq").staleness(moment) == model.staleness(moment)
    assert related.staleness(moment).stale  # a copy's state is its own


def test_now_is_for_models_of_dates(
    training: Embeddings, related: ecseq.ECSeqClassifier, relations: list[Any]
) -> None:
    with pytest.raises(ValueError, match="times: give the moment of scoring"):
        related.staleness()
    year = 365 * DAY
    model = ecseq.ECSeqClassifier(relations=relations, max_epochs=1).fit(
        training.X, training.y, entities=training.entities, times=training.times + 50 * year
    )
    found = model.staleness()
    assert found.stale
    assert found.age > year


def test_models_without_timed_entities_have_no_state(training: Embeddings) -> None:
    plain = ecseq.ECSeqClassifier(max_epochs=1).fit(training.X, training.y, times=training.times)
    with pytest.raises(ValueError, match="no entity relation fitted on times"):
        plain.staleness(0.0)
    plain.predict_proba(training.X, times=training.times + 1e9)
    untimed = ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("terminal")], max_epochs=1)
    untimed.fit(training.X, training.y, entities=training.entities)
    with pytest.raises(ValueError, match="no entity relation fitted on times"):
        untimed.staleness(0.0)
    with pytest.raises(ValueError, match="at least one moment"):
        ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("terminal")], max_epochs=1).fit(
            training.X, training.y, entities=training.entities, times=training.times
        ).staleness([])


def drifting_terminals(n: int, days: float, seed: int) -> Any:
    """Terminals turn bad for a fortnight now and then: labels are news only while they are fresh.

    Returns X, y, terminal, times.
    """
    rng = np.random.default_rng(seed)
    terminals = 60
    # Which fortnights of which terminal are bad; its phase is its own.
    bad = rng.random((terminals, int(days // 14) + 2)) < 0.12
    phase = rng.random(terminals) * 14
    terminal = rng.integers(0, terminals, n)
    day = np.sort(rng.random(n) * days)
    now = bad[terminal, ((day + phase[terminal]) // 14).astype(int)]
    X = rng.normal(size=(n, 3)).astype(np.float32)
    rate = np.where(now, 0.7, 0.02) + 0.1 * (X[:, 0] > 1)
    y = (rng.random(n) < rate).astype(int)
    return X, y, terminal, day * DAY


def test_the_alarm_comes_before_the_score_is_worse_than_the_base() -> None:
    X, y, terminal, times = drifting_terminals(14_000, 140.0, 0)
    past = times < 70 * DAY
    model = ecseq.ECSeqClassifier(
        relations=[ecseq.EntityRelation("terminal", label_delay="3d", windows=("7d", "all"))],
        max_epochs=20,
    ).fit(X[past], y[past], entities={"terminal": terminal[past]}, times=times[past])
    limit = model.fit_report_["freshness"]["trained_age"]["terminal"]
    assert 3 * DAY < limit < 14 * DAY  # as it follows from the data: no days are given

    # A state that ends at the start of each stretch, and rows of two stretches of ages after it.
    scores: dict[str, list[Any]] = {"fresh": [], "stale": []}
    for start in np.arange(70.0, 120.0, 5.0) * DAY:
        state = pickle.loads(pickle.dumps(model))
        known = (times >= 70 * DAY) & (times < start)
        if known.any():
            state.partial_fit(
                X[known], y[known], entities={"terminal": terminal[known]}, times=times[known]
            )
        for name, low, high in (("fresh", 0.0, limit), ("stale", 14 * DAY, 20 * DAY)):
            rows = (times >= start + low) & (times < start + high)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ecseq.StaleStateWarning)
                ours = state.predict_proba(
                    X[rows], entities={"terminal": terminal[rows]}, times=times[rows]
                )[:, 1]
            scores[name].append((y[rows], ours, state.base_scores(X[rows])))
        latest = times[known].max() if known.any() else times[past].max()
        assert not state.staleness(latest + 0.99 * limit).stale
        assert state.staleness(start + 14 * DAY).stale

    def gain(name: str) -> float:
        truth, ours, base = (np.concatenate(part) for part in zip(*scores[name], strict=True))
        return metrics.average_precision(truth, ours) - metrics.average_precision(truth, base)

    assert gain("fresh") > 0.15  # up to the alarm it pays
    assert gain("stale") < 0.25 * gain("fresh")  # and some way after it, it hardly does


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(86_400.0, "1 day"), (7.5 * 86_400, "7.5 days"), (7200, "2 hours"), (90, "1.5 minutes"),
     (0.0, "0 seconds")],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
