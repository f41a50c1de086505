"""What relates parallel series: the ``relation=`` of a forecaster."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from ecseq._inputs import positive
from ecseq._own_compressor import check_compressor, size_is_its_own


class SeriesRelation(BaseEstimator):
    """Representatives of parallel series, as they are at the moment of the forecast.

    The standardised series of the last `lags` training steps are compressed once into K groups. A
    representative at time t is the mean of its members at t (their embeddings and the last errors
    of their forecasts), and each series hears the representatives it is correlated with: what helps
    is how the others fare now, which a series does not know by itself. ECSeq's traffic setting
    (arXiv 2406.02979, section IV).

    Correlations are Pearson's; one with a series that does not vary is 0 by definition
    (``fit_report_["constant_series"]`` names these). Missing values count as the last known one.

    Parameters
    ----------
    n_representatives : int or None
        K. None: a third of the series. As many as there are series, or more: each stands for
        itself, nothing is compressed.
    compressor : str, object, class or function
        As of `SimilarityRelation`; X are the standardised series [series, lags], y is zeros.
    attach : {"knn", "correlation"}
        Which representatives a series hears: the `n_neighbors` most correlated, weighted by
        softmax(4 correlation); or all from `min_correlation` on, equally, and the nearest where
        there is none (``fit_report_["isolation_rate"]`` says how often).
    n_neighbors : int
        All, where there are fewer representatives.
    min_correlation : float
    lags : int
        Latest training steps that are compared.
    """

    def __init__(
        self,
        n_representatives: int | None = None,
        *,
        compressor: Any = "kmeans",
        attach: str = "knn",
        n_neighbors: int = 4,
        min_correlation: float = 0.5,
        lags: int = 720,
    ) -> None:
        self.n_representatives = n_representatives
        self.compressor = compressor
        self.attach = attach
        self.n_neighbors = n_neighbors
        self.min_correlation = min_correlation
        self.lags = lags

    def _options(self) -> dict[str, Any]:
        """Options of the C++ relation."""
        check_compressor(self.compressor)
        options: dict[str, Any] = {
            "compressor": self.compressor if isinstance(self.compressor, str) else "custom",
            "attach": self.attach,
            "n_neighbors": positive(self.n_neighbors, "n_neighbors"),
            "min_correlation": float(self.min_correlation),
            "lags": positive(self.lags, "lags"),
        }
        if self.n_representatives is None:
            return options
        if size_is_its_own(self.compressor):
            raise ValueError(
                f"n_representatives: {self.compressor!r} has a number of its own; leave this None"
            )
        options["n_representatives"] = positive(self.n_representatives, "n_representatives")
        return options
