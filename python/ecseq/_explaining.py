"""From what the core finds about a row to its `Explanation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq import _core
from ecseq._calibration import Calibration
from ecseq._explanations import EntityCase, Explanation, SimilarCase, entity_facts
from ecseq._labels import probabilities


def cases_asked(top: Any) -> int:
    """``top`` of an ``explain``, checked."""
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 0:
        raise ValueError(f"top: expected a number of at least 0, got {top!r}")
    return int(top)


def explanation_of(
    found: _core.Explanation,
    entities: Mapping[str, Any],
    classes: NDArray[Any] | None,
    calibration: Calibration | None = None,
) -> Explanation:
    """What the core says of one row, in the caller's terms. entities: the row's id by name.

    calibration: of the model's scores; the base has none.
    """

    def score(value: float, calibration: Calibration | None = None) -> float:
        # For several classes the logits of the others are not at hand: the logit itself.
        if classes is None or len(classes) > 2:
            return float(value)
        of = probabilities if calibration is None else calibration.probabilities
        return float(of(np.asarray([value], dtype=np.float32))[0, 1])

    def label_mix(shares: list[float]) -> dict[Any, float] | float:
        if classes is None:
            return shares[0]
        return dict(zip(classes.tolist(), shares, strict=True))

    similar = [
        SimilarCase(
            representative=case["representative"],
            similarity=case["similarity"],
            weight=case["weight"],
            mass=case["mass"],
            label_mix=label_mix(case["label_mix"]),
            cases=np.asarray(case["cases"], dtype=np.int64),
            contribution=case["contribution"],
        )
        for case in found["similar"]
    ]
    entity_cases = [
        EntityCase(
            by=case["by"],
            entity=entities[case["by"]],
            known=case["known"],
            facts=entity_facts(case["names"], case["facts"]),
            contribution=case["contribution"],
        )
        for case in found["entities"]
    ]
    label = None
    if classes is not None:
        label = classes[found["output"] if len(classes) > 2 else 1]
    return Explanation(
        score=score(found["score"], calibration),
        base_score=score(found["base_score"]),
        score_without_relations=score(found["without_relations"], calibration),
        similar=similar,
        entities=entity_cases,
        label=label,
        method=found["method"],
        own=float(found["own"]),
        rest=float(found["rest"]),
        other_similar=float(found["other_similar"]),
    )
