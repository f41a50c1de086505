"""Explanation quality: exact on cases made by hand, and as it should be on real models."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

import ecseq
from conftest import Embeddings, make_embeddings, make_sequences
from ecseq._inputs import Samples


class Additive:
    """A core whose output is the sum of its cases' contributions: every figure is known.

    contributions: [n, K], 0 where a row is not related to a representative. After `shift`, each row
    is explained as the next one is.
    """

    task = "binary"
    n_classes = 2

    def __init__(self, contributions: Any, mixes: Any) -> None:
        self.contributions = np.asarray(contributions, dtype=float)
        self.mixes = np.asarray(mixes, dtype=float)
        self.calls = 0

    def _numbers(self, x: Any) -> Any:
        return np.rint(x[:, 0]).astype(int)

    def representatives(self) -> Any:
        mass = np.arange(1.0, self.contributions.shape[1] + 1)
        return {"mass": mass, "label_sums": (mass * self.mixes)[:, None]}

    def decide(self, x: Any, entities: Any, times: Any, num_threads: int) -> Any:
        return self.contributions[self._numbers(x)].sum(axis=1, keepdims=True).astype(np.float32)

    def decide_without(
        self, x: Any, entities: Any, times: Any, removed: list[list[int]], num_threads: int
    ) -> Any:
        left = self.contributions[self._numbers(x)].copy()
        for row, cases in zip(left, removed, strict=True):
            assert all(isinstance(case, int) for case in cases)
            row[cases] = 0.0
        return left.sum(axis=1, keepdims=True).astype(np.float32)

    def explain(
        self, x: Any, entities: Any, times: Any, top: int, method: str, num_threads: int
    ) -> Any:
        self.calls += 1
        numbers = self._numbers(x)
        if self.calls > 1:
            numbers = (numbers + 1) % len(self.contributions)
        return [
            {
                "output": 0,
                "similar": [
                    {
                        "representative": j,
                        "weight": abs(value),
                        "label_mix": [1.0 - self.mixes[j], self.mixes[j]],
                        "contribution": value,
                    }
                    for j, value in enumerate(row)
                    if value
                ],
            }
            for row in self.contributions[numbers]
        ]


class Model(BaseEstimator):
    num_threads = None

    def fit(self) -> None:
        """What scikit-learn takes for an estimator."""

    def __init__(self, core: Any) -> None:
        self._model = core

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _samples(self, X: Any, entities: Any, times: Any) -> Any:
        return Samples(np.asarray(X, np.float32), {}, None)

    def _labelled(self, X: Any, y: Any, entities: Any, times: Any) -> Any:
        return self._samples(X, entities, times), np.asarray(y, np.float32)


def numbered(n: int) -> Any:
    """Row numbers, which noise in units of their spread hardly moves."""
    return np.arange(n, dtype=np.float32)[:, None]


def test_figures_by_hand() -> None:
    core = Additive([[3, -2, 1, 0], [0, 1, 2, 4], [-5, 0, 0, 0]], [0.9, 0.5, 0.2, 0.1])
    found = ecseq.explanation_quality(
        Model(core), numbered(3), y=[1, 0, 0], top=(1, 2, 9), noise=1e-3
    )
    assert found.rows == 3
    # Without the largest of one sign; the two largest, of which the third row has one; all, where
    # the first row keeps the one that speaks against the others.
    assert found.fidelity == pytest.approx(((3 + 4 + 5) / 3, (4 + 6 + 5) / 3, (4 + 7 + 5) / 3))
    assert found.fidelity_at_random[2] == pytest.approx((2 + 7 + 5) / 3)
    assert found.fidelity_at_random[0] < found.fidelity[0]
    assert found.faithfulness == pytest.approx((1.0, 1.0, 1.0))  # sums are exact here
    # Outputs 2, 7, -5: predicted 1, 1, 0. The share of that class, by weight.
    assert found.agreement[0] == pytest.approx((0.9 + 0.1 + 0.1) / 3)
    second = (3 * 0.9 + 2 * 0.5) / 5, (4 * 0.1 + 2 * 0.2) / 6, 0.1
    assert found.agreement[1] == pytest.approx(np.mean(second))
    overall = (1 * 0.9 + 2 * 0.5 + 3 * 0.2 + 4 * 0.1) / 10
    assert found.agreement_by_chance == pytest.approx((overall + overall + 1 - overall) / 3)
    assert found.true_agreement is not None
    assert found.true_agreement[0] == pytest.approx((0.9 + 0.9 + 0.1) / 3)
    assert found.true_agreement_by_chance == pytest.approx((overall + 2 * (1 - overall)) / 3)
    # Each is explained as the next afterwards: 0 by 3, 3 by 0, 0 by 0.
    assert found.overlap[0] == pytest.approx((0 + 0 + 1) / 3)
    assert found.overlap[2] == pytest.approx((2 / 4 + 0 / 4 + 1 / 3) / 3)
    first = np.corrcoef([4, 1, 3, 2], [1, 2, 3, 4])[0, 1]
    second_row = np.corrcoef([1, 2, 3, 4], [1, 3, 3, 3])[0, 1]
    third = np.corrcoef([1, 2.5, 2.5], [3, 1, 2])[0, 1]
    assert found.rank_correlation == pytest.approx((first + second_row + third) / 3)


def test_an_explanation_that_does_not_move_is_stable() -> None:
    core = Additive(np.tile([3.0, -2.0, 1.0], (5, 1)), [0.9, 0.5, 0.2])
    found = ecseq.explanation_quality(Model(core), numbered(5), top=(1, 2), noise=1e-3)
    assert found.overlap == (1.0, 1.0)
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.true_agreement is None
    alike = Additive(np.tile([3.0, 0.0, 0.0], (5, 1)), [0.9, 0.5, 0.2])
    only_one = ecseq.explanation_quality(Model(alike), numbered(5), top=(1,), noise=1e-3)
    assert np.isnan(only_one.rank_correlation)


def test_rows_without_cases_are_left_out() -> None:
    core = Additive([[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]], [0.3, 0.6])
    core.calls = 0
    found = ecseq.explanation_quality(Model(core), numbered(3), top=(1,), noise=1e-3, y=[0, 1, 1])
    assert found.rows == 2
    empty = Additive(np.zeros((3, 2)), [0.3, 0.6])
    with pytest.raises(ValueError, match="no row is related"):
        ecseq.explanation_quality(Model(empty), numbered(3))


# ---- models


@pytest.fixture(scope="module")
def plain() -> ecseq.ECSeqClassifier:
    data = make_embeddings(3000, 41)
    return ecseq.ECSeqClassifier(n_representatives=60, max_epochs=15).fit(data.X, data.y)


def test_the_named_cases_matter_more_than_others(plain: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(500, 42)
    found = ecseq.explanation_quality(plain, fresh.X, y=fresh.y, top=(1, 3))
    assert found.rows == 200
    for named, at_random in zip(found.fidelity, found.fidelity_at_random, strict=True):
        assert named > 1.3 * at_random > 0
    assert found.faithfulness[0] > 0.9999  # the contribution is the change without the one case
    assert found.faithfulness[1] > 0.6
    assert found.agreement[1] > 0.5
    assert found.true_agreement is not None
    assert found.true_agreement[1] > found.true_agreement_by_chance


def test_one_case_changes_the_output_by_its_contribution(plain: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(60, 43)
    found = ecseq.explanation_quality(plain, fresh.X, top=(1,), n_samples=60)
    expected = []
    for explanation in plain.explain(fresh.X, top=60):
        each = np.array([case.contribution for case in explanation.similar])
        along = each[each * each.sum() > 0]
        expected.append(np.abs(along).max())
    assert found.fidelity[0] == pytest.approx(np.mean(expected), rel=1e-4)


def test_more_noise_is_less_stable(plain: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(300, 44)
    little = ecseq.explanation_quality(plain, fresh.X, noise=1e-4)
    much = ecseq.explanation_quality(plain, fresh.X, noise=1.0)
    assert min(little.overlap) > 0.9
    assert little.rank_correlation > 0.95
    assert max(much.overlap) < 0.6
    assert much.rank_correlation < little.rank_correlation
    assert much.fidelity == little.fidelity


def test_with_entities_and_several_classes(
    later: Embeddings, related: ecseq.ECSeqClassifier
) -> None:
    found = ecseq.explanation_quality(
        related, later.X, entities=later.entities, times=later.times, n_samples=50
    )
    assert found.rows == 50
    data = make_embeddings(1500, 45)
    y = np.array(["low", "mid", "high"])[np.digitize(data.X[:, 0], [-0.5, 0.5])]
    model = ecseq.ECSeqClassifier(n_representatives=30, max_epochs=8).fit(data.X, y)
    several = ecseq.explanation_quality(model, data.X, y=y, n_samples=80)
    assert several.agreement[0] > several.agreement_by_chance + 0.2


def test_regression_measures_distances() -> None:
    data = make_embeddings(1500, 46)
    target = 100 + 10 * data.X[:, 0]
    model = ecseq.ECSeqRegressor(n_representatives=60, max_epochs=8).fit(data.X, target)
    found = ecseq.explanation_quality(model, data.X, y=target, n_samples=100)
    # In the target's units; nearer than the overall mean is.
    assert found.agreement[1] < 0.8 * found.agreement_by_chance
    assert 4 < found.true_agreement_by_chance < 12


def test_sequences_keep_their_categories(encoder: ecseq.SequenceEncoder) -> None:
    batch, y = make_sequences(300, 47)
    model = ecseq.ECSeqClassifier(encoder, n_representatives=20, max_epochs=3).fit(batch, y)
    before = batch.values.copy()
    found = ecseq.explanation_quality(model, batch, y=y, n_samples=40, noise=1e-4)
    assert min(found.overlap) > 0.9
    np.testing.assert_array_equal(batch.values, before)

    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    events = pandas.DataFrame(
        {"card": np.repeat(np.arange(80), 5), "amount": rng.normal(size=400),
         "shop": rng.choice(["a", "b", "c"], 400)}
    )  # fmt: skip
    cards = ecseq.Sequences.from_frame(events, by="card", features=["amount", "shop"])
    labels = rng.integers(0, 2, 80)
    own = ecseq.SequenceEncoder("gru", hidden_size=4, max_epochs=1, categorical={"shop": 2})
    model = ecseq.ECSeqClassifier(own, n_representatives=8, max_epochs=1).fit(cards, labels)
    # Noise on a category would be refused, or name another one.
    assert ecseq.explanation_quality(model, cards, n_samples=10, noise=5.0).rows == 10


def test_the_same_seed_gives_the_same_figures_and_they_are_plain(
    plain: ecseq.ECSeqClassifier,
) -> None:
    fresh = make_embeddings(300, 48)
    found = ecseq.explanation_quality(plain, fresh.X, n_samples=50, seed=1)
    assert found == ecseq.explanation_quality(plain, fresh.X, n_samples=50, seed=1)
    assert found != ecseq.explanation_quality(plain, fresh.X, n_samples=50, seed=2)
    as_dict = found.to_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    text = str(found)
    assert text.startswith("Explanations of 50 rows")
    assert "m = 3" in text
    pytest.importorskip("pandas")
    frame = found.to_frame()
    assert frame.top.tolist() == [1, 3, 5]
    assert frame.fidelity.tolist() == list(found.fidelity)


def test_refusals(plain: ecseq.ECSeqClassifier, training: Embeddings) -> None:
    X = training.X
    for noise in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="noise: expected"):
            ecseq.explanation_quality(plain, X, noise=noise)
    with pytest.raises(ValueError, match=r"top\[1\]: expected at least 1"):
        ecseq.explanation_quality(plain, X, top=(1, 0))
    with pytest.raises(ValueError, match="top: expected at least one"):
        ecseq.explanation_quality(plain, X, top=())
    with pytest.raises(ValueError, match="n_samples"):
        ecseq.explanation_quality(plain, X, n_samples=0)
    with pytest.raises(ValueError, match="y: expected"):
        ecseq.explanation_quality(plain, X, y=[1])
    untimed = ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("terminal")], max_epochs=1)
    untimed.fit(X, training.y, entities=training.entities)
    own_head = ecseq.ECSeqClassifier(head=LogisticRegression(), max_epochs=1).fit(X, training.y)
    with pytest.raises(ValueError, match="built-in head"):
        ecseq.explanation_quality(own_head, X)
    with pytest.raises(ValueError, match="no similarity relation"):
        ecseq.explanation_quality(untimed, X, entities=training.entities)
