"""A model with live states: a stream scores as the estimator's replay of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecseq

pandas = pytest.importorskip("pandas")
DAY = 86_400.0
WINDOW = 5


def payments(n: int, seed: int) -> Any:
    """Payments of cards at terminals, some of which are bad, in order of time."""
    rng = np.random.default_rng(seed)
    terminal = rng.integers(0, 15, n)
    bad = np.random.default_rng(0).random(15) < 0.3
    amount = rng.normal(size=n)
    fraud = (rng.random(n) < np.where(bad[terminal], 0.6, 0.03)) | (amount > 2.0)
    return pandas.DataFrame(
        {
            "card": [f"c{i}" for i in rng.integers(0, 25, n)],
            "ts": np.sort(rng.uniform(0, 80 * DAY, n)),
            "amount": amount,
            "other": rng.normal(size=n),
            "terminal": [f"t{i}" for i in terminal],
            "fraud": fraud.astype(int),
        }
    )


def sequences(frame: Any) -> Any:
    return ecseq.Sequences.from_frame(
        frame, by="card", time="ts", features=["amount", "other"], label="fraud",
        entities=["terminal"],
    )  # fmt: skip


def classifier(**parameters: Any) -> Any:
    return ecseq.ECSeqClassifier(
        encoder="gru",
        relations=[ecseq.SimilarityRelation(), ecseq.EntityRelation("terminal", label_delay="7d")],
        random_state=0,
        **parameters,
    )


def stream_scores(live: Any, frame: Any, delay: float) -> np.ndarray:
    """One payment after the other; the label of each comes `delay` later."""
    scores = []
    waiting = 0
    rows = list(frame.itertuples())
    for i, row in enumerate(rows):
        while rows[waiting].ts + delay <= row.ts:
            assert live.label(rows[waiting].fraud, event_id=waiting, now=row.ts)
            waiting += 1
        event = {"amount": row.amount, "other": row.other}
        scores.append(
            live.on_event(
                row.card, event, time=row.ts, entities={"terminal": row.terminal}, event_id=i
            )
        )
    return np.asarray(scores)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live") / "model.ecseq"
    classifier(max_epochs=4).fit(sequences(payments(1500, 1)).windows(WINDOW)).save(path)
    return path


def test_entities_learn_and_users_go_on(model_file: Path, tmp_path: Path) -> None:
    live = ecseq.LiveScorer(model_file, window=WINDOW)
    later = payments(200, 2)
    later["ts"] += 80 * DAY
    first = stream_scores(live, later[:100], 7 * DAY)
    assert np.all((first > 0) & (first < 1))
    assert live.n_users == later[:100]["card"].nunique()
    assert live.n_waiting > 0
    now = float(later["ts"][99])
    assert live.staleness(now + 60) == pytest.approx(60)
    live.save(tmp_path)

    other = ecseq.LiveScorer(model_file, window=WINDOW)
    assert other.n_users == 0
    other.restore(tmp_path)
    row = later.iloc[100]
    arguments: dict[str, Any] = {
        "time": row.ts, "entities": {"terminal": row.terminal}, "event_id": "next"
    }  # fmt: skip
    event = [row.amount, row.other]
    assert other.on_event(row.card, event, **arguments) == live.on_event(
        row.card, event, **arguments
    )
    with pytest.raises(ValueError, match="waits for its label"):
        live.on_event(row.card, event, **arguments)
    history = [[0.1, 0.2], [0.3, 0.4]]
    request: dict[str, Any] = {"time": now, "entities": {"terminal": "t1"}}
    found = live.explain(history, **request)
    assert found.score == pytest.approx(live.score(history, **request), abs=1e-5)

    assert live.version == 1
    live.reload(model_file)
    assert live.version == 2
    assert live.n_users == other.n_users
    (tmp_path / "bad").write_bytes(b"no model")
    with pytest.raises(ecseq.ModelFileError):
        live.reload(tmp_path / "bad")
    assert live.version == 2


def test_an_event_is_explained_as_it_is_going_to_be_scored(model_file: Path) -> None:
    live = ecseq.LiveScorer(model_file, window=WINDOW)
    frame = payments(60, 4)
    for i, row in enumerate(frame.itertuples()):
        event = [row.amount, row.other]
        entities = {"terminal": row.terminal}
        explanation = live.explain_event(row.card, event, 3, time=row.ts, entities=entities)
        users = live.n_users
        score = live.on_event(row.card, event, time=row.ts, entities=entities, event_id=i)
        assert explanation.score == pytest.approx(score, abs=1e-5)
        assert len(explanation.similar) <= 3
        assert live.n_users in (users, users + 1)
    assert live.n_waiting == 60
    with pytest.raises(ValueError, match="top"):
        live.explain_event("c1", [0.0, 0.0], -1, time=1.0, entities={"terminal": "t1"})


def test_labels_by_user_and_time(model_file: Path) -> None:
    live = ecseq.LiveScorer(model_file, window=WINDOW)
    live.on_event("c1", [0.0, 0.0], time=90 * DAY, entities={"terminal": "t1"})
    assert live.label(1, user="c1", time=90 * DAY, now=100 * DAY)
    assert not live.label(1, user="c1", time=90 * DAY, now=100 * DAY)
    assert not live.label(1, user="c2", time=90 * DAY, now=100 * DAY)
    with pytest.raises(ValueError, match="give event_id, or user and time"):
        live.label(1, now=0.0)
    with pytest.raises(ValueError, match="not one of the classes"):
        live.label(7, user="c1", time=90 * DAY, now=100 * DAY)


def test_refuses_what_does_not_fit(model_file: Path) -> None:
    with pytest.raises(ecseq.ModelFileError):
        ecseq.LiveScorer("/no/such/file")
    with pytest.raises(ValueError, match="window"):
        ecseq.LiveScorer(model_file, window=-1)
    live = ecseq.LiveScorer(model_file, window=WINDOW)
    good: dict[str, Any] = {"time": 0.0, "entities": {"terminal": "t1"}}
    with pytest.raises(ValueError, match="event"):
        live.on_event("c1", [0.0], **good)
    with pytest.raises(ValueError, match="NaN"):
        live.on_event("c1", [0.0, np.nan], **good)
    with pytest.raises(ValueError, match="user: expected an id"):
        live.on_event(None, [0.0, 0.0], **good)
    with pytest.raises(ValueError, match="terminal"):
        live.on_event("c1", [0.0, 0.0], time=0.0)
    assert live.n_users == 0
    assert live.n_waiting == 0


class TestExplain:
    """As `Scorer.explain`, of entities as they are known now."""

    def test_by_the_entities_of_its_file_it_says_what_the_scorer_says(
        self, model_file: Path
    ) -> None:
        live = ecseq.LiveScorer(model_file, window=WINDOW)
        history = [[0.1, 0.2], [0.3, 0.4]]
        request: dict[str, Any] = {"time": 80 * DAY, "entities": {"terminal": "t1"}}
        for method in ("auto", "occlusion", "gradient"):
            found = live.explain(history, 3, **request, method=method)
            expected = live.scorer.explain(history, 3, **request, method=method)
            assert str(found) == str(expected)
            assert found.method == ("occlusion" if method == "auto" else method)
            assert len(found.similar) == 3
            assert found.entities[0].entity == "t1"
        assert live.explain(history, 0, **request).similar == []

    def test_ids_of_a_set_are_a_list(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(300, 3)).astype(np.float32), rng.integers(0, 2, 300)
        sets = [[f"p{i}" for i in rng.integers(0, 9, rng.integers(0, 4))] for _ in y]
        ecseq.ECSeqClassifier(
            relations=[ecseq.EntityRelation("product", over="sequence")], max_epochs=2
        ).fit(x, y, entities={"product": sets}).save(tmp_path / "model.ecseq")
        live = ecseq.LiveScorer(tmp_path / "model.ecseq")
        for given, expected in (
            (["p1", "p2"], ["p1", "p2"]),
            (np.array(["p1", "p2"]), ["p1", "p2"]),
            ("p1", ["p1"]),
        ):
            found = live.explain(x[3], entities={"product": given})
            assert type(found.entities[0].entity) is list
            assert found.entities[0].entity == expected
            assert str(found) == str(live.scorer.explain(x[3], entities={"product": given}))

    @pytest.mark.parametrize("top", [-1, 2.5, True, "3", None])
    def test_refuses_a_top_that_is_no_number_of_cases(self, model_file: Path, top: Any) -> None:
        live = ecseq.LiveScorer(model_file, window=WINDOW)
        request: dict[str, Any] = {"time": 80 * DAY, "entities": {"terminal": "t1"}}
        for scorer in (live, live.scorer):
            with pytest.raises(ValueError, match="top: expected a number of at least 0"):
                scorer.explain([[0.1, 0.2]], top, **request)

    def test_refuses_another_method(self, model_file: Path) -> None:
        live = ecseq.LiveScorer(model_file, window=WINDOW)
        with pytest.raises(ValueError, match="method"):
            live.explain([[0.1, 0.2]], time=0.0, entities={"terminal": "t1"}, method="guess")


@pytest.mark.skipif(
    not os.environ.get("ECSEQ_DATA"),
    reason="ECSEQ_DATA does not name the folder of public data sets",
)
def test_a_stream_of_card_fraud_equals_replay(tmp_path: Path) -> None:
    path = Path(os.environ["ECSEQ_DATA"]) / "card_fraud" / "transactions.csv.gz"
    if not path.exists():
        pytest.skip(f"no file {path}")
    frame = pandas.read_csv(path).sort_values("time_s", kind="stable")
    day = frame["time_s"] // DAY
    frame = frame[(day >= 40) & (day < 90)]
    data = pandas.DataFrame(
        {
            "card": frame["customer_id"].astype(str),
            "ts": frame["time_s"].astype(float),
            "amount": frame["amount"],
            "other": np.sin(frame["time_s"] % DAY / DAY * 2 * np.pi),
            "terminal": frame["terminal_id"],
            "fraud": frame["fraud"],
        }
    )
    is_past = data["ts"] < 80 * DAY
    past, later = (data[part].reset_index(drop=True) for part in (is_past, ~is_past))
    model = classifier(max_epochs=2, controls=False).fit(sequences(past).windows(20))
    future = sequences(later).windows(20)
    expected = model.replay(future)
    assert np.abs(model.predict_proba(future)[:, 1] - expected).max() > 0.05  # or nothing is proved
    model.save(tmp_path / "model.ecseq")

    live = ecseq.LiveScorer(tmp_path / "model.ecseq", window=20)
    # In the order of time; of equal times in that of the sequences, as replay has it.
    row_of = future.end_rows
    order = np.argsort(later["ts"].to_numpy()[row_of], kind="stable")
    got = stream_scores(live, later.iloc[row_of[order]], 7 * DAY)
    assert len(got) > 20_000
    np.testing.assert_allclose(got, expected[order], rtol=0, atol=1e-6)
    assert live.n_users == later["card"].nunique()
