"""Event sequences scored through representatives (ECSeq, arXiv 2406.02979)."""

from ecseq import compress, graph, metrics
from ecseq._core import ModelFileError, TrainingDiverged, set_num_threads
from ecseq._core import version as __version__
from ecseq._dispatch import cpu_info
from ecseq._drift import DriftReport
from ecseq._encoder import SequenceEncoder
from ecseq._estimators import ECSeqClassifier, ECSeqRegressor, load
from ecseq._explanation_quality import ExplanationQuality, explanation_quality
from ecseq._explanations import EntityCase, Explanation, Explanations, SimilarCase
from ecseq._forecaster import ECSeqForecaster
from ecseq._freshness import Staleness, StaleStateWarning
from ecseq._relations import EntityRelation, SimilarityRelation
from ecseq._representatives import Representatives
from ecseq._sequences import Sequences
from ecseq._series_explanations import FrozenRepresentatives, SeriesCase, SeriesExplanation
from ecseq._series_relation import SeriesRelation

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
    "ModelFileError",
    "Representatives",
    "SequenceEncoder",
    "Sequences",
    "SeriesCase",
    "SeriesExplanation",
    "SeriesRelation",
    "SimilarCase",
    "SimilarityRelation",
    "StaleStateWarning",
    "Staleness",
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
