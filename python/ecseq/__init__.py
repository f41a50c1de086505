"""Event sequences scored through representatives (ECSeq, arXiv 2406.02979)."""

from ecseq import compress, graph
from ecseq._core import ModelFileError, TrainingDiverged, set_num_threads
from ecseq._core import version as __version__
from ecseq._dispatch import cpu_info
from ecseq._encoder import SequenceEncoder
from ecseq._estimators import ECSeqClassifier, ECSeqRegressor, load
from ecseq._explanations import EntityCase, Explanation, Explanations, SimilarCase
from ecseq._relations import EntityRelation, SimilarityRelation
from ecseq._representatives import Representatives
from ecseq._sequences import Sequences

__all__ = [
    "ECSeqClassifier",
    "ECSeqRegressor",
    "EntityCase",
    "EntityRelation",
    "Explanation",
    "Explanations",
    "ModelFileError",
    "Representatives",
    "SequenceEncoder",
    "Sequences",
    "SimilarCase",
    "SimilarityRelation",
    "TrainingDiverged",
    "__version__",
    "compress",
    "cpu_info",
    "graph",
    "load",
    "set_num_threads",
]
