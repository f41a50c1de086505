"""What ECSeq is compared with on an embedding: boosted trees, a vote of the nearest neighbours, and
an MLP whose weight decay is chosen.

The estimators have logistic (linear) regression and an MLP as controls, stopped early on the same
validation rows; with few labels that MLP is a weak one, for which the one here stands in.
"""

from __future__ import annotations

import warnings

import faiss
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ecseq.metrics import average_precision, mae

Floats = NDArray[np.float32]

_BOOSTED = {"learning_rate": 0.06, "max_leaf_nodes": 15, "l2_regularization": 1.0}
_TREES = (25, 50, 100, 200)
_NEIGHBOURS = (4, 8, 16, 32)
_WEIGHT_DECAYS = (0.1, 1.0, 10.0, 30.0, 100.0)


class BoostedTrees:
    """Histogram gradient boosting; the number of trees is chosen on validation rows."""

    def __init__(self, regression: bool, seed: int) -> None:
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        self._regression = regression
        self._model = kind(
            **_BOOSTED, max_iter=max(_TREES), early_stopping=False, random_state=seed
        )
        self._trees = max(_TREES)

    def fit(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats) -> BoostedTrees:
        self._model.fit(X, y)
        losses = {
            n: _loss(p, y_validation, self._regression) for n, p in self._staged(X_validation)
        }
        self._trees = min(losses, key=losses.__getitem__)
        return self

    def scores(self, X: Floats) -> Floats:
        return dict(self._staged(X))[self._trees]

    def _staged(self, X: Floats) -> list[tuple[int, Floats]]:
        predict = (
            self._model.staged_predict if self._regression else self._model.staged_predict_proba
        )
        found = enumerate(predict(X), start=1)
        return [(n, p if self._regression else p[:, 1]) for n, p in found if n in _TREES]


class NeighbourVote:
    """Mean label of the k nearest training rows, weighted by 1 / distance, exact search over the
    standardised embedding; k is chosen on validation rows."""

    def __init__(self, regression: bool) -> None:
        self._regression = regression
        self._k = _NEIGHBOURS[0]

    def fit(
        self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats
    ) -> NeighbourVote:
        self._scaler = StandardScaler().fit(X)
        self._labels = y
        self._index = faiss.IndexFlatL2(X.shape[1])
        self._index.add(self._scaler.transform(X).astype(np.float32))
        votes = self._votes(X_validation, max(_NEIGHBOURS))
        losses = {k: _loss(vote, y_validation, self._regression) for k, vote in votes.items()}
        self._k = min(losses, key=losses.__getitem__)
        return self

    def scores(self, X: Floats) -> Floats:
        return self._votes(X, self._k)[self._k]

    def _votes(self, X: Floats, most: int) -> dict[int, Floats]:
        most = min(most, self._index.ntotal)
        squared, rows = self._index.search(self._scaler.transform(X).astype(np.float32), most)
        weights = 1 / np.sqrt(np.maximum(squared, 1e-12))
        labels = self._labels[rows]
        votes = {
            k: (weights[:, :k] * labels[:, :k]).sum(1) / weights[:, :k].sum(1)
            for k in _NEIGHBOURS
            if k <= most
        }
        # A mean of ones may round to more than 1.
        return {k: np.clip(vote, labels.min(), labels.max()) for k, vote in votes.items()}


class DecayedMlp:
    """One hidden layer of 32 trained by L-BFGS, two classes; weight decay chosen on validation."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats) -> DecayedMlp:
        best = np.inf
        for decay in _WEIGHT_DECAYS:
            model = make_pipeline(
                StandardScaler(),
                MLPClassifier(
                    (32,), solver="lbfgs", alpha=decay, max_iter=200, random_state=self._seed
                ),
            )
            with warnings.catch_warnings():
                # Small decays need not converge: validation refuses them.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X, y)
            loss = _loss(model.predict_proba(X_validation)[:, 1], y_validation, False)
            if loss < best:
                self._model, best = model, loss
        return self

    def scores(self, X: Floats) -> Floats:
        return self._model.predict_proba(X)[:, 1]


def _loss(scores: Floats, y: Floats, regression: bool) -> float:
    """Absolute error, or what is missing to an average precision of 1."""
    return mae(y, scores) if regression else 1 - average_precision(y, scores)
