"""Every compressor of ecseq.compress by a short name, and those of them that a version offers."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from child import NotOffered

from ecseq import compress


@dataclass(frozen=True)
class Compressor:
    """How to make one: its class in ecseq.compress, and the parameters that distinguish it."""

    class_name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    reads_graph: bool = False
    may_refuse: bool = False  # documented to refuse large problems, with advice


COARSENING = (
    "variation_neighborhoods",
    "variation_edges",
    "variation_cliques",
    "heavy_edge",
    "algebraic_jc",
    "affinity_gs",
    "kron",
)

CATALOGUE: dict[str, Compressor] = {
    "kmeans": Compressor("KMeans"),
    "balanced_kmeans": Compressor("BalancedKMeans"),
    "agc": Compressor("AGC", reads_graph=True),
    "grain": Compressor("Grain", reads_graph=True),
    "grain_nearest": Compressor("Grain", {"diversity": "nearest"}, reads_graph=True),
    **{
        method: Compressor(
            "Coarsening",
            {"method": method},
            reads_graph=True,
            may_refuse=method in ("variation_cliques", "kron"),
        )
        for method in COARSENING
    },
    "medoids": Compressor("Medoids"),
    "k_center": Compressor("KCenter"),
    "random": Compressor("Random"),
    "stratified_random": Compressor("StratifiedRandom"),
}

GRAPH_COMPRESSORS = tuple(name for name, entry in CATALOGUE.items() if entry.reads_graph)


def make(name: str, n_representatives: int, **parameters: Any) -> Any:
    """The unfitted compressor; raises NotOffered where the installed library does not have it."""
    entry = CATALOGUE[name]
    given = entry.parameters | parameters
    cls = getattr(compress, entry.class_name, None)
    if cls is None:
        raise NotOffered(f"ecseq.compress has no {entry.class_name}")
    unknown = set(given) - set(inspect.signature(cls).parameters)
    if unknown:
        raise NotOffered(f"ecseq.compress.{entry.class_name} has no {', '.join(sorted(unknown))}")
    return cls(n_representatives, **given)


def fitted(compressor: Any, *data: Any, **further: Any) -> Any:
    """`compressor.fit`, with NotOffered for a method that the installed library does not know."""
    try:
        return compressor.fit(*data, **further)
    except ValueError as error:
        if "is not one of" in str(error):
            name = getattr(compressor, "method", type(compressor).__name__)
            raise NotOffered(f"ecseq.compress knows no {name!r}") from error
        raise
