"""Embedding-input estimators keep scikit-learn's contract."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import ecseq
from conftest import Embeddings


def expected_failures(estimator: BaseEstimator) -> dict[str, str]:
    """Checks that cannot hold, each with its reason."""
    reason = (
        "partial_fit advances the entity states of a fitted model and trains nothing, "
        "so it neither fits nor takes classes"
    )
    return {
        "check_n_features_in_after_fitting": reason,
        "check_estimators_partial_fit_n_features": reason,
    }


ESTIMATORS = [
    ecseq.ECSeqClassifier(max_epochs=30),
    ecseq.ECSeqRegressor(max_epochs=30),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_contract(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def test_works_in_a_pipeline_and_a_grid_search(training: Embeddings) -> None:
    model = make_pipeline(StandardScaler(), ecseq.ECSeqClassifier(max_epochs=5))
    assert cross_val_score(model, training.X, training.y, cv=2, scoring="roc_auc").min() > 0.5
    search = GridSearchCV(
        ecseq.ECSeqClassifier(max_epochs=5), {"n_representatives": [5, 20]}, cv=2
    ).fit(training.X, training.y)
    assert search.best_params_["n_representatives"] in (5, 20)
    assert len(search.best_estimator_.representatives_) == search.best_params_["n_representatives"]


def test_a_clone_keeps_a_fitted_encoder(encoder: ecseq.SequenceEncoder) -> None:
    model = ecseq.ECSeqClassifier(encoder=encoder, n_neighbors=3)
    copy = clone(model)
    assert copy.encoder is encoder
    assert copy.n_neighbors == 3
    assert not hasattr(copy, "_model")


def test_get_params_lists_every_constructor_argument() -> None:
    parameters = inspect.signature(ecseq.ECSeqClassifier).parameters
    assert set(ecseq.ECSeqClassifier().get_params()) == set(parameters)
    assert {"encoder", "relations", "gnn", "random_state", "num_threads"} <= set(parameters)


def test_feature_names_are_kept_and_checked(training: Embeddings) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(training.X, columns=list("abcde"))
    model = ecseq.ECSeqClassifier(max_epochs=3).fit(frame, training.y)
    np.testing.assert_array_equal(model.feature_names_in_, list("abcde"))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("edcba")])
