"""The frozen scorer: the same scores as the estimator's, one user at a time."""

from __future__ import annotations

import ast
import copy
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ecseq
from conftest import DAY
from ecseq import Scorer, _core

# States are asked far beyond their last event here, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")

WINDOW = 4
FEATURES = ["amount", "shop", "hour"]


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 1500
    terminal = rng.integers(0, 30, n)
    bad = rng.random(30) < 0.3
    return pd.DataFrame(
        {
            "card": rng.integers(0, 120, n),
            "ts": 1e9 + np.sort(rng.uniform(0, 40, n)) * DAY,
            "amount": rng.lognormal(size=n),
            "shop": rng.choice(["books", "food", "travel"], n),
            "hour": rng.integers(0, 24, n),
            "terminal": [f"t{i}" for i in terminal],
            "fraud": (rng.random(n) < np.where(bad[terminal], 0.7, 0.05)).astype(int),
        }
    )


@pytest.fixture(scope="module")
def windows(payments: pd.DataFrame) -> ecseq.Sequences:
    cards = ecseq.Sequences.from_frame(
        payments, by="card", time="ts", features=FEATURES, label="fraud", entities=["terminal"]
    )
    return cards.windows(WINDOW)


@pytest.fixture(scope="module")
def model(windows: ecseq.Sequences) -> ecseq.ECSeqClassifier:
    """Reads categories and times, hears timed entities and is calibrated: all at once."""
    return ecseq.ECSeqClassifier(
        encoder=ecseq.SequenceEncoder(
            "gru", hidden_size=6, categorical={"shop": 3}, time_features=True, max_epochs=4
        ),
        relations=[ecseq.SimilarityRelation(20), ecseq.EntityRelation("terminal")],
        calibrate="platt",
        max_epochs=6,
    ).fit(windows)


@pytest.fixture(scope="module")
def scorer(model: ecseq.ECSeqClassifier) -> Scorer:
    return Scorer(model)


def events_of(windows: ecseq.Sequences, row: int) -> list[dict[str, Any]]:
    """A window as a service has it: what Sequences made numbers of, as it was in the table."""
    shops = windows.categories["shop"]
    return [
        {"amount": amount, "shop": shops[int(shop)], "hour": hour, "card": "not read"}
        for amount, shop, hour in windows[row].tolist()
    ]


def request_of(windows: ecseq.Sequences, row: int) -> dict[str, Any]:
    assert windows.times is not None
    return {
        "times": windows.times[windows.starts[row] : windows.stops[row]],
        "entities": {"terminal": windows.end_entities["terminal"][row]},
    }


@pytest.mark.parametrize("calibrate", [None, "isotonic", "platt"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_those_of_a_classifier(training, later, classes, calibrate):
    y = (
        training.y
        if classes == 2
        else np.array(["a", "b", "c"])[training.y + (training.X[:, 2] > 0)]
    )
    model = ecseq.ECSeqClassifier(
        n_representatives=20, max_epochs=5, calibrate=calibrate, controls=False
    ).fit(training.X, y)
    scorer = Scorer(model)
    expected = model.predict_proba(later.X)
    if classes == 2:
        expected = expected[:, 1]
    assert np.ptp(expected) > 0.1
    scores = scorer.score_batch(later.X)
    close = np.isclose(scores, expected, atol=1e-5)
    # Where isotonic steps are steep, rounding shows.
    assert close.mean() > 0.95 if calibrate == "isotonic" else close.all()
    np.testing.assert_array_equal(scores, scorer.score_batch(later.X, num_threads=2))
    single = scorer.score(later.X[7])
    np.testing.assert_array_equal(single, scores[7])
    assert isinstance(single, float) == (classes == 2)
    assert scorer.classes is not None
    np.testing.assert_array_equal(scorer.classes, model.classes_)


def test_scores_are_those_of_a_regressor(training, later):
    model = ecseq.ECSeqRegressor(n_representatives=20, max_epochs=5).fit(
        training.X, training.X[:, 0] * training.X[:, 1]
    )
    scorer = Scorer(model)
    np.testing.assert_allclose(scorer.score_batch(later.X), model.predict(later.X), atol=1e-5)
    assert scorer.score(later.X[:1]) == scorer.score(later.X[0].tolist())
    assert scorer.classes is None


def test_histories_with_categories_times_and_entities(model, scorer, windows):
    expected = model.predict_proba(windows)[:, 1]
    assert len(np.unique(expected)) > 10
    scores = scorer.score_batch(windows)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    for row in range(0, 60, 7):
        events, request = events_of(windows, row), request_of(windows, row)
        assert scorer.score(events, **request) == scores[row]
        in_order = [[event[name] for name in FEATURES] for event in events]
        assert scorer.score(in_order, **request) == scores[row]
        assert scorer.score(np.array(in_order, dtype=object), **request) == scores[row]


def test_a_text_of_no_training_event_is_an_unknown_category(model, scorer, payments):
    later = payments.tail(50).assign(shop="toys")
    sequences = ecseq.Sequences.from_frame(
        later, by="card", time="ts", features=FEATURES, entities=["terminal"]
    )
    expected = model.predict_proba(sequences)[:, 1]
    np.testing.assert_allclose(scorer.score_batch(sequences), expected, atol=1e-5)
    events = events_of(sequences, 3)
    assert events[0]["shop"] == "toys"
    found = scorer.score(events, **request_of(sequences, 3))
    assert found == pytest.approx(expected[3], abs=1e-5)


def test_a_moment_may_be_a_date_and_is_the_latest_events_otherwise(scorer, windows):
    events, request = events_of(windows, 30), request_of(windows, 30)
    end = float(request["times"][-1])
    expected = scorer.score(events, **request)
    assert scorer.score(events, time=end, **request) == expected
    request["times"] = (request["times"] * 1e6).astype("datetime64[us]")
    assert scorer.score(events, **request) == pytest.approx(expected, abs=1e-6)
    assert scorer.score(events, time="2001-09-09", **request) != expected


def test_windows_are_replayed_event_by_event(model, windows):
    scorer = Scorer(model, window=WINDOW)
    expected = scorer.score_batch(windows)
    assert windows.times is not None
    state = scorer.start()
    owner = None
    found = []
    for row, card in enumerate(windows.ids):
        if card != owner:
            owner, state = card, scorer.start(user=int(card))
        found.append(
            scorer.update(
                state,
                events_of(windows, row)[-1],
                time=float(windows.times[row]),
                entities=request_of(windows, row)["entities"],
            )
        )
        # As it would lie in a store between two events.
        state = ecseq.State.from_bytes(state.bytes)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert scorer.window == WINDOW
    assert state.user == owner
    assert state.events == np.sum(windows.ids == owner)
    assert state.time == windows.times[-1]


def test_a_recurrent_network_goes_on_from_its_state(encoder, sequences):
    X, y = sequences
    model = ecseq.ECSeqClassifier(encoder=encoder, n_representatives=30, max_epochs=5).fit(X, y)
    scorer = Scorer(model)
    assert scorer.window == 0
    state = scorer.start()
    for t, event in enumerate(X[5]):
        before = model.predict_proba(ecseq.Sequences.from_list([X[5][: t + 1]]))[0, 1]
        assert scorer.update(state, event) == pytest.approx(before, abs=1e-5)
    assert scorer.score(X[5]) == scorer.score_batch([X[4], X[5]])[1]
    assert len(state.bytes) == scorer.state_size


class TestState:
    def test_survives_bytes_and_pickle(self, scorer, windows):
        request = request_of(windows, 0)
        event = {"time": 1e9, "entities": request["entities"]}
        state = scorer.start(user=2**64 - 1)
        scorer.update(state, events_of(windows, 0)[0], **event)
        for same in (
            ecseq.State.from_bytes(state.bytes),
            pickle.loads(pickle.dumps(state)),
            copy.deepcopy(state),
        ):
            assert same.bytes == state.bytes
            assert (same.user, same.events, same.time) == (2**64 - 1, 1, 1e9)
            assert same.encoder_id == scorer.encoder_id
            before = state.bytes
            scorer.update(same, events_of(windows, 1)[0], **event)
            assert state.bytes == before

    def test_altered_bytes_are_refused(self, scorer):
        stored = bytearray(scorer.start().bytes)
        stored[-1] ^= 1
        with pytest.raises(ecseq.ModelFileError, match="checksum"):
            ecseq.State.from_bytes(bytes(stored))
        with pytest.raises(ecseq.ModelFileError, match="at least"):
            ecseq.State.from_bytes(b"short")

    def test_that_of_another_window_is_refused(self, model, scorer, windows):
        state = Scorer(model, window=3).start()
        with pytest.raises(ValueError, match="state: not one of this model's encoder"):
            scorer.update(state, events_of(windows, 0)[0], time=1e9, entities={"terminal": "t1"})

    def test_is_as_it_was_after_a_refusal(self, scorer, windows):
        state, event = scorer.start(), events_of(windows, 0)[0]
        scorer.update(state, event, time=2e9, entities={"terminal": "t1"})
        before = state.bytes
        with pytest.raises(ValueError, match=r"time: .* is earlier"):
            scorer.update(state, event, time=1e9, entities={"terminal": "t1"})
        with pytest.raises(ValueError, match="event"):
            scorer.update(state, {**event, "amount": np.nan}, time=3e9, entities={"terminal": "t1"})
        assert state.bytes == before

    def test_embeddings_have_none(self, related):
        scorer = Scorer(related)
        assert scorer.window == 0
        with pytest.raises(ValueError, match="no encoder"):
            scorer.start()


def test_explanations_are_the_estimators(model, scorer, windows):
    for row in (0, 40):
        expected = model.explain(windows[[row]], top=3)[0]
        found = scorer.explain(events_of(windows, row), 3, **request_of(windows, row))
        assert str(found) == str(expected)
        assert found.score == pytest.approx(expected.score, abs=1e-5)
        assert [case.entity for case in found.entities] == [windows.end_entities["terminal"][row]]
        assert len(found.similar) == 3


class TestEntities:
    def test_ids_are_what_they_are_to_the_estimator(self, related, later):
        scorer = Scorer(related)
        expected = related.predict_proba(later.X, entities=later.entities, times=later.times)[:, 1]
        scores = scorer.score_batch(later.X, entities=later.entities, times=later.times)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        for same in (
            int(later.terminal[3]),
            str(later.terminal[3]),
            later.terminal[3],
            float(later.terminal[3]),
        ):
            found = scorer.score(later.X[3], time=later.times[3], entities={"terminal": same})
            assert found == scores[3]
        nobody = related.predict_proba(
            later.X[3:4], entities={"terminal": [None]}, times=later.times[3:4]
        )[0, 1]
        for none in (None, float("nan")):
            found = scorer.score(later.X[3], time=later.times[3], entities={"terminal": none})
            assert found == pytest.approx(nobody, abs=1e-5)
        assert nobody != pytest.approx(scores[3], abs=1e-4)

    def test_sets(self, training):
        rng = np.random.default_rng(0)
        sets = [[f"p{i}" for i in rng.integers(0, 9, rng.integers(0, 4))] for _ in training.y]
        model = ecseq.ECSeqClassifier(
            relations=[ecseq.EntityRelation("product", over="sequence")], max_epochs=5
        ).fit(training.X, training.y, entities={"product": sets})
        expected = model.predict_proba(training.X[:20], entities={"product": sets[:20]})[:, 1]
        scorer = Scorer(model)
        for row in range(20):
            found = scorer.score(training.X[row], entities={"product": sets[row]})
            assert found == pytest.approx(expected[row], abs=1e-5)
            assert found == scorer.score(training.X[row], entities={"product": np.array(sets[row])})
        said = scorer.explain(training.X[3], entities={"product": sets[3]})
        assert said.entities[0].entity == sets[3]

    @pytest.mark.parametrize(
        ("entities", "message"),
        [
            (None, "entities: the model needs 'terminal'"),
            ({}, "entities: the model needs 'terminal'"),
            ({"terminal": 1, "shop": 2}, "no relation by 'shop'; those it has: 'terminal'"),
            ({"shop": 2}, "no relation by 'shop'"),
        ],
    )
    def test_other_names_and_missing_ones_are_refused(self, related, later, entities, message):
        scorer = Scorer(related)
        with pytest.raises(ValueError, match=message):
            scorer.score(later.X[0], time=0, entities=entities)
        if entities and "shop" in entities:
            with pytest.raises(ValueError, match=message):
                scorer.score_batch(later.X[:1], times=[0], entities=entities)

    def test_what_is_no_id_is_refused(self, related, later):
        with pytest.raises(TypeError, match="entities: expected a dict of name to id, got 'list'"):
            Scorer(related).score(later.X[0], time=0, entities=[1])
        with pytest.raises(TypeError, match=r"entities\['terminal'\]: an id must be hashable"):
            Scorer(related).score(later.X[0], time=0, entities={"terminal": [1]})


class TestBadInput:
    def test_events(self, scorer, windows):
        events, request = events_of(windows, 10), request_of(windows, 10)
        one = {**request, "times": request["times"][-1:]}
        for bad, message in [
            ([], "events: expected at least one event"),
            ([{"amount": 1.0, "hour": 3}], r"events\[0\]: no value of 'shop'"),
            ([[1.0, 2.0, 3.0]], r"events\[0\]: 'shop' holds categories such as 'books'"),
            ([[1.0, "food"]], r"events\[0\]: expected 3 values"),
            ([[np.inf, "food", 3]], "events: infinity at row 0, column 0"),
        ]:
            with pytest.raises(ValueError, match=message):
                scorer.score(bad, **one)
        with pytest.raises(TypeError, match=r"events\[0\]: expected numbers"):
            scorer.score([["much", "food", 3]], **one)
        with pytest.raises(TypeError, match="events: expected an array or a list of events"):
            scorer.score(pd.DataFrame(events), **request)
        with pytest.raises(ValueError, match="times: expected one entry per event"):
            scorer.score(events, **{**request, "times": [1.0, 2.0, 3.0, 4.0, 5.0]})
        with pytest.raises(ValueError, match="times: the model's encoder reads them"):
            scorer.score(events, entities=request["entities"])

    def test_embeddings(self, related, later):
        scorer = Scorer(related)
        with pytest.raises(ValueError, match="events: expected 5 values"):
            scorer.score(later.X[0, :3], time=0, entities={"terminal": 1})
        with pytest.raises(ValueError, match="events: expected 5 values"):
            scorer.score(later.X[:2], time=0, entities={"terminal": 1})
        with pytest.raises(ValueError, match="time: the model needs the moment"):
            scorer.score(later.X[0], entities={"terminal": 1})
        with pytest.raises(ValueError, match="no names of features"):
            scorer.score({"a": 1}, time=0, entities={"terminal": 1})
        with pytest.raises(TypeError, match="X: this model was fitted on embeddings"):
            scorer.score_batch(ecseq.Sequences.from_list([later.X]))

    def test_columns_of_a_frame(self, training):
        frame = pd.DataFrame(training.X, columns=list("abcde"))
        scorer = Scorer(ecseq.ECSeqClassifier(max_epochs=2).fit(frame, training.y))
        assert scorer.feature_names == list("abcde")
        expected = scorer.score_batch(frame[:3])
        assert scorer.score(frame.iloc[1].to_dict()) == expected[1]
        with pytest.raises(ValueError, match="X: expected the columns"):
            scorer.score_batch(frame[["b", "a", "c", "d", "e"]])

    def test_arguments(self, model, scorer, windows):
        for window in (-1, 1.5, "all", True):
            with pytest.raises(ValueError, match="window: expected"):
                Scorer(model, window=window)
        for user in (-1, 2**64):
            with pytest.raises(ValueError, match="user: expected 0 to"):
                scorer.start(user)
        with pytest.raises(ValueError, match="top: expected"):
            scorer.explain(events_of(windows, 0), -1, **request_of(windows, 0))
        with pytest.raises(TypeError, match="state: expected a State"):
            scorer.update(b"", events_of(windows, 0)[0])
        with pytest.raises(ValueError, match="time: the model needs the moment of the event"):
            scorer.update(scorer.start(), events_of(windows, 0)[0], entities={"terminal": 1})

    def test_what_is_no_fitted_model(self, tmp_path):
        with pytest.raises(TypeError, match=r"estimator: expected a fitted .*Scorer\.load"):
            Scorer("model.ecseq")
        with pytest.raises(ValueError, match="not fitted"):
            Scorer(ecseq.ECSeqClassifier())
        with pytest.raises(ecseq.ModelFileError):
            Scorer.load(tmp_path / "nowhere")

    def test_a_head_of_the_callers_own(self, training):
        pytest.importorskip("skops")
        from sklearn.linear_model import LogisticRegression

        model = ecseq.ECSeqClassifier(
            head=LogisticRegression(max_iter=1000), n_representatives=10, controls=False
        ).fit(training.X, training.y)
        with pytest.raises(ValueError, match="head"):
            Scorer(model)


def test_a_file_a_pickle_and_a_copy_score_the_same(model, scorer, windows, tmp_path):
    path = tmp_path / "model.ecseq"
    model.save(path)
    expected = scorer.score_batch(windows)
    for same in (
        Scorer.load(path),
        Scorer.load(path, map_file=False),
        Scorer(ecseq.load(path)),
        pickle.loads(pickle.dumps(scorer)),
        copy.copy(scorer),
    ):
        np.testing.assert_array_equal(same.score_batch(windows), expected)
        events, request = events_of(windows, 9), request_of(windows, 9)
        assert same.score(events, **request) == expected[9]
        assert same.encoder_id == scorer.encoder_id
    mapped = Scorer.load(path)
    model.save(path)  # by renaming: who has mapped the file keeps the old one
    path.unlink()
    np.testing.assert_array_equal(mapped.score_batch(windows), expected)
    model.save(path)
    other = pickle.loads(pickle.dumps(Scorer.load(path, window=7)))
    assert other.window == 7
    assert other.encoder_id != scorer.encoder_id


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone says what is mapped")
def test_a_file_is_mapped_unless_it_is_to_be_read(model, tmp_path):
    path = tmp_path / "model.ecseq"
    model.save(path)

    def is_mapped() -> bool:
        return str(path) in Path("/proc/self/maps").read_text()

    for load in (Scorer.load, ecseq.LiveScorer):
        mapped = load(path)
        assert is_mapped()
        del mapped
        read = load(path, map_file=False)
        assert not is_mapped()
        del read


def test_a_file_without_names_of_features_reads_sequences(model, scorer, windows, tmp_path):
    core = _core.Model.from_bytes(model._described().to_bytes(), "test")
    description = json.loads(core.metadata)
    del description["feature_names_in"]
    core.set_metadata(json.dumps(description))
    core.save(str(tmp_path / "old.ecseq"))
    old = Scorer.load(tmp_path / "old.ecseq")
    np.testing.assert_array_equal(old.score_batch(windows), scorer.score_batch(windows))
    in_order = [[event[name] for name in FEATURES] for event in events_of(windows, 9)]
    with pytest.raises(ValueError, match="'shop' holds categories, and the model file does not"):
        old.score(in_order, **request_of(windows, 9))


def test_what_a_scorer_says_of_itself(scorer, related):
    assert scorer.n_features == 3
    assert scorer.feature_names == FEATURES
    assert scorer.embedding_size == 6
    assert scorer.entity_names == ["terminal"]
    assert repr(scorer) == "Scorer(binary, 3 features, entities terminal)"
    assert Scorer(related).feature_names is None


class TestThreads:
    def test_share_a_scorer(self, scorer, windows):
        expected = scorer.score_batch(windows)
        asked = [(events_of(windows, row), request_of(windows, row)) for row in range(200)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda one: scorer.score(one[0], **one[1]), asked * 3))
        np.testing.assert_array_equal(found, np.tile(expected[:200], 3))

    def test_take_turns_with_a_state(self, scorer, windows):
        state, event = scorer.start(), events_of(windows, 0)[0]

        def update(_: int) -> None:
            scorer.update(state, event, time=1e9, entities={"terminal": "t1"})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(update, range(400)))
        alone = scorer.start()
        for _ in range(400):
            scorer.update(alone, event, time=1e9, entities={"terminal": "t1"})
        assert state.bytes == alone.bytes

    @pytest.mark.parametrize("call", ["score", "score_batch", "update", "explain"])
    def test_others_go_on_meanwhile(self, encoder, sequences, ticking, call):
        X, y = sequences
        model = ecseq.ECSeqClassifier(
            encoder=encoder, n_representatives=10, max_epochs=2, controls=False
        ).fit(X, y)
        # Long work of the core itself: NumPy lets go of the GIL as well.
        core = Scorer(model, window=2000)._core
        history = np.ones((2000, 3), dtype=np.float32)
        many = (
            history,
            np.arange(1000, dtype=np.int64),
            np.arange(1000, dtype=np.int64) + 1000,
            None,
        )
        state = core.start(0)
        calls: dict[str, Callable[[], object]] = {
            "score": lambda: core.score(history, None, 0.0, []),
            "score_batch": lambda: core.score_batch(many, {}, None, 1),
            "update": lambda: core.update(state, history[0], 0.0, []),
            "explain": lambda: core.explain(history, None, 0.0, [], 5, "auto"),
        }
        work = calls[call]
        before = ticking[0]
        deadline = time.monotonic() + 60
        while ticking[0] == before and time.monotonic() < deadline:
            work()
        assert ticking[0] > before


@pytest.fixture
def ticking() -> Iterator[list[int]]:
    """A count that another thread raises whenever the GIL is let go, but not by force."""
    count, stop = [0], threading.Event()

    def tick() -> None:
        while not stop.is_set():
            count[0] += 1
            time.sleep(1e-4)

    thread = threading.Thread(target=tick)
    thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    try:
        yield count
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()


class TestNumPyAlone:
    SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sklearn", "scipy", "pandas", "joblib", "pyarrow"):
            raise ImportError(f"{name} is not to be had here")

sys.meta_path.insert(0, Refuse())
import numpy as np
import ecseq

scorer = ecseq.Scorer.load(sys.argv[1])
events = [{"amount": 2.0, "shop": "food", "hour": 3}, {"amount": 9.0, "shop": "toys", "hour": 4}]
given = {"entities": {"terminal": "t4"}}
score = scorer.score(events, times=[1e9, 1e9 + 60], **given)
state = scorer.start()
scorer.update(state, events[0], time=1e9, **given)
assert np.isclose(scorer.update(state, events[1], time=1e9 + 60, **given), score, atol=1e-6)
assert "terminal t4" in str(scorer.explain(events, times=[1e9, 1e9 + 60], **given))
batch = ecseq.Sequences([[1.0, 2.0]], [0, 1])
assert ecseq.metrics.roc_auc([0, 1], [0.1, 0.2]) == 1.0
try:
    ecseq.ECSeqClassifier
except ImportError as error:
    assert "sklearn" in str(error)
else:
    raise AssertionError("scikit-learn was there")
print(repr(score))
"""

    def test_is_enough_to_score(self, model, scorer, tmp_path):
        path = tmp_path / "model.ecseq"
        model.save(path)
        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT, str(path)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        events = [
            {"amount": 2.0, "shop": "food", "hour": 3},
            {"amount": 9.0, "shop": "toys", "hour": 4},
        ]
        expected = scorer.score(events, times=[1e9, 1e9 + 60], entities={"terminal": "t4"})
        assert float(done.stdout) == expected

    def test_every_public_name_is_there(self):
        for name in ecseq.__all__:
            assert getattr(ecseq, name) is not None
        assert set(ecseq.__all__) <= set(dir(ecseq))
        with pytest.raises(AttributeError, match="no attribute 'ECSeqClusterer'"):
            _ = ecseq.ECSeqClusterer
        exec("from ecseq import *", found := {})
        assert set(ecseq.__all__) <= set(found)

    def test_type_checkers_are_told_the_same_as_python(self):
        tree = ast.parse(Path(ecseq.__file__).read_text(encoding="utf-8"))
        (branch,) = (node for node in tree.body if isinstance(node, ast.If))
        imports = [node for node in branch.body if isinstance(node, ast.ImportFrom)]
        told = {
            alias.name: (node.module or "").partition(".")[2]
            for node in imports
            for alias in node.names
        }
        assert told == ecseq._LATER
        loaded_at_once = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        } - {"TYPE_CHECKING", "Any"}
        assert loaded_at_once | set(told) == set(ecseq.__all__)


@pytest.mark.skipif(
    not os.environ.get("ECSEQ_DATA"),
    reason="ECSEQ_DATA does not name the folder of public data sets",
)
def test_a_card_is_replayed_payment_by_payment():
    path = Path(os.environ["ECSEQ_DATA"]) / "card_fraud" / "transactions.csv.gz"
    if not path.exists():
        pytest.skip(f"no file {path}")
    payments = pd.read_csv(path)
    payments = payments[payments["customer_id"].isin(payments["customer_id"].unique()[:150])]
    payments = payments.assign(hour=payments["time_s"] % DAY / 3600)
    windows = ecseq.Sequences.from_frame(
        payments,
        by="customer_id",
        time="time_s",
        features=["amount", "hour"],
        label="fraud",
        entities=["terminal_id"],
    ).windows(20)
    past, future = windows.split_by_time(110 * DAY)
    model = ecseq.ECSeqClassifier(
        encoder=ecseq.SequenceEncoder("lstm", hidden_size=16, max_epochs=2),
        relations=[
            ecseq.SimilarityRelation(50),
            ecseq.EntityRelation("terminal_id", label_delay="7d"),
        ],
        max_epochs=3,
    ).fit(past)
    scorer = Scorer(model, window=20)
    expected = scorer.score_batch(future)
    np.testing.assert_allclose(expected, model.predict_proba(future)[:, 1], atol=1e-5)
    rows = np.flatnonzero(future.ids == future.ids[len(future) // 2])
    state, found = scorer.start(), []
    first = future[int(rows[0])]
    assert future.times is not None
    for event in first[:-1]:  # what came before
        scorer.update(state, event, time=0.0, entities={"terminal_id": None})
    for row in rows.tolist():
        found.append(
            scorer.update(
                state,
                future[row][-1],
                time=float(future.times[future.stops[row] - 1]),
                entities={"terminal_id": future.end_entities["terminal_id"][row]},
            )
        )
    np.testing.assert_allclose(found, expected[rows], atol=1e-6)
