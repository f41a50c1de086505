"""Event sequences scored through representatives (ECSeq, arXiv 2406.02979).

`Scorer`, `Sequences` and the metrics take NumPy alone. What takes scikit-learn or SciPy is imported
at its first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ecseq import metrics
from ecseq._core import ModelFileError, State, TrainingDiverged, set_num_threads
from ecseq._core import version as __version__
from ecseq._dispatch import cpu_info
from ecseq._explanations import EntityCase, Explanation, Explanations, SimilarCase
from ecseq._freshness import Staleness, StaleStateWarning
from ecseq._live_scorer import LiveScorer
from ecseq._scorer import Scorer
from ecseq._sequences import Sequences

if TYPE_CHECKING:
    from ecseq import compress, graph
    from ecseq._drift import DriftReport
    from ecseq._encoder import SequenceEncoder
    from ecseq._estimators import ECSeqClassifier, ECSeqRegressor, load
    from ecseq._explanation_quality import ExplanationQuality, explanation_quality
    from ecseq._forecaster import ECSeqForecaster
    from ecseq._relations import EntityRelation, SimilarityRelation
    from ecseq._representatives import Representatives
    from ecseq._series_explanations import FrozenRepresentatives, SeriesCase, SeriesExplanation
    from ecseq._series_relation import SeriesRelation
else:
    # Where each of the names above is, "" for a module of its own.
    _LATER = {
        "compress": "",
        "graph": "",
        "DriftReport": "_drift",
        "SequenceEncoder": "_encoder",
        "ECSeqClassifier": "_estimators",
        "ECSeqRegressor": "_estimators",
        "load": "_estimators",
        "ExplanationQuality": "_explanation_quality",
        "explanation_quality": "_explanation_quality",
        "ECSeqForecaster": "_forecaster",
        "EntityRelation": "_relations",
        "SimilarityRelation": "_relations",
        "Representatives": "_representatives",
        "FrozenRepresentatives": "_series_explanations",
        "SeriesCase": "_series_explanations",
        "SeriesExplanation": "_series_explanations",
        "SeriesRelation": "_series_relation",
    }

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'ecseq' has no attribute {name!r}")
        home = importlib.import_module(f"ecseq.{_LATER[name] or name}")
        value = getattr(home, name) if _LATER[name] else home
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATER})


__all__ = [
    "DriftReport",
    "ECSeqClassifier",
    "ECSeqForecaster",
    "ECSeqRegressor",
    "EntityCase",
    "EntityRelation",
    "Explanation",
    "ExplanationQuality",
    "Explanations",
    "FrozenRepresentatives",
    "LiveScorer",
    "ModelFileError",
    "Representatives",
    "Scorer",
    "SequenceEncoder",
    "Sequences",
    "SeriesCase",
    "SeriesExplanation",
    "SeriesRelation",
    "SimilarCase",
    "SimilarityRelation",
    "StaleStateWarning",
    "Staleness",
    "State",
    "TrainingDiverged",
    "__version__",
    "compress",
    "cpu_info",
    "explanation_quality",
    "graph",
    "load",
    "metrics",
    "set_num_threads",
]
