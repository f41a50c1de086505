"""Why a prediction is what it is: the past cases behind it and what each of them adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from ecseq._frames import pandas_frame

_CASES_IN_TEXT = 3


@dataclass(frozen=True)
class SimilarCase:
    """One representative that the target is related to by similarity.

    Attributes
    ----------
    representative : int
        Its row in ``representatives_``.
    similarity : float
        How close it is to the target; larger is closer.
    weight : float
        Its share in the target's aggregate; the shares of all attached representatives sum to 1.
    mass : float
        How many training sequences it stands for.
    label_mix : dict of label to share, or float
        Shares of the labels among these sequences; the mean target in a regression.
    cases : int64 array
        Indices of its most typical training sequences.
    contribution : float
        What this representative adds to the logit (to the value in a regression), as
        ``Explanation.method`` says: with it minus without it, or its part of the sum.
    """

    representative: int
    similarity: float
    weight: float
    mass: float
    label_mix: dict[Any, float] | float
    cases: NDArray[np.int64]
    contribution: float


@dataclass(frozen=True)
class EntityCase:
    """What the target's entity (its terminal, merchant, device, ...) was known for at that moment.

    Attributes
    ----------
    by : str
        Name of the relation's column, such as ``"terminal_id"``.
    entity : object
        The entity itself; a list where the relation is by sets of entities.
    known : bool
        Whether it, or one of the set, had been seen before.
    facts : dict of str to float
        What was known about it, in the units that the names say; rates are differences from the
        overall rate. The text uses ``events`` (seen so far), ``known_labels`` (in its memory),
        ``positives`` (among them) and ``days_since_positive``, those that are present; of a set
        ``members`` and ``sum of evidence``.
    contribution : float
        What is known of this entity adds to the logit (to the value in a regression), as
        ``Explanation.method`` says.
    """

    by: str
    entity: object
    known: bool
    facts: dict[str, float]
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """The parts of one prediction. ``str`` of it gives a few sentences in plain English.

    Attributes
    ----------
    score : float
        The prediction: probability of `label`, or the value in a regression.
    base_score : float
        What the sequence encoder alone predicts.
    score_without_relations : float
        What the model predicts when no related case is known.
    similar : list of SimilarCase
    entities : list of EntityCase
    label : object
        The class whose probability `score` is; None in a regression.
    method : {"occlusion", "gradient", "additive"}
        What contributions are: the change when a case is taken away; gradient times input, so that
        `own`, `rest`, `other_similar` and all contributions sum to the logit; or the same where it
        is exact and `rest` a constant of the model.
    own, rest, other_similar : float
        Of the sequence itself, of what no part accounts for, of representatives beyond ``top``.

    Examples
    --------
    >>> case = EntityCase("terminal_id", "T-381", True,
    ...                   {"known_labels": 6, "positives": 3, "days_since_positive": 2}, 2.9)
    >>> print(Explanation(0.93, 0.21, 0.25, [], [case], 1))
    Score 0.93 (0.21 from the sequence alone, 0.25 with every related case left out).
    Its terminal T-381: 3 of its last 6 known labels were positive, the latest 2 days ago (+2.9).
    """

    score: float
    base_score: float
    score_without_relations: float
    similar: list[SimilarCase] = field(default_factory=list)
    entities: list[EntityCase] = field(default_factory=list)
    label: object = None
    method: str = "occlusion"
    own: float = 0.0
    rest: float = 0.0
    other_similar: float = 0.0

    def __str__(self) -> str:
        score, base, without = (
            _number(s) for s in (self.score, self.base_score, self.score_without_relations)
        )
        word = "Value" if self.label is None else "Score"
        lines = [
            f"{word} {score} ({base} from the sequence alone, "
            f"{without} with every related case left out)."
        ]
        lines += [_entity_sentence(case) for case in _by_effect(self.entities)[:_CASES_IN_TEXT]]
        lines += _left_out(self.entities, "other shared entities")
        lines += [
            _similar_sentence(case, self.label)
            for case in _by_effect(self.similar)[:_CASES_IN_TEXT]
        ]
        lines += _left_out(self.similar, "other groups of similar sequences")
        if not self.similar and not self.entities:
            lines.append("It is related to no past case.")
        return "\n".join(lines)


class Explanations(list[Explanation]):
    """Explanations of a batch: a list with `to_frame` and a readable ``str``."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> Explanation: ...

    @overload
    def __getitem__(self, index: slice) -> Explanations: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Explanation | Explanations:
        chosen = super().__getitem__(index)
        return Explanations(chosen) if isinstance(chosen, list) else chosen

    def __str__(self) -> str:
        return "\n\n".join(f"[{i}] {explanation}" for i, explanation in enumerate(self))

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row per explained case.

        Columns: ``row`` (position of the explanation), ``score``, ``base_score``,
        ``score_without_relations``, ``label``, ``kind`` (``"similar"``, ``"entity"``, or ``"none"``
        for an explanation without any case), ``by``, ``case`` (the representative or the entity),
        ``known``, ``similarity``, ``weight``, ``mass``, ``label_mix``, ``cases``, ``facts`` and
        ``contribution``. What does not apply to a kind is None.

        Raises
        ------
        ImportError
            When pandas is not installed.
        """
        return pandas_frame(self._records(), columns=_COLUMNS)

    def _records(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        for row, explanation in enumerate(self):
            shared = {
                "row": row,
                "score": explanation.score,
                "base_score": explanation.base_score,
                "score_without_relations": explanation.score_without_relations,
                "label": explanation.label,
            }
            cases: list[dict[str, Any]] = [
                {
                    "kind": "similar",
                    "case": case.representative,
                    "similarity": case.similarity,
                    "weight": case.weight,
                    "mass": case.mass,
                    "label_mix": case.label_mix,
                    "cases": case.cases,
                    "contribution": case.contribution,
                }
                for case in explanation.similar
            ]
            cases += [
                {
                    "kind": "entity",
                    "by": case.by,
                    "case": case.entity,
                    "known": case.known,
                    "facts": case.facts,
                    "contribution": case.contribution,
                }
                for case in explanation.entities
            ]
            records += [{**shared, **case} for case in cases or [{"kind": "none"}]]
        return records


def entity_facts(names: Sequence[str], features: Sequence[float]) -> dict[str, float]:
    """Facts of an `EntityCase` from the features that the model sees, by their names.

    The model sees ``log(1 + x)`` of counts and ages: they are turned back. What was never there
    (its age would be the longest that the model tells apart) is left out.
    """
    facts: dict[str, float] = {}
    for name, feature in zip(names, features, strict=True):
        if any(word in name for word in _AS_THEY_ARE):
            facts[name] = float(feature)
            continue
        # Counts and ages went through float32: what is left of that is not worth showing.
        value = round(float(np.expm1(feature)), 3)
        unit, since, what = name.partition(" since ")
        if since and value >= _NEVER * (24 if unit == "hours" and what == "last event" else 1):
            continue
        facts[name] = value
        if what == "last positive" and unit in _UNITS_PER_DAY:
            facts["days_since_positive"] = value / _UNITS_PER_DAY[unit]
        elif name in _PLAIN_NAMES:
            facts[_PLAIN_NAMES[name]] = value
    return facts


# Facts that the model sees in their own units.
_AS_THEY_ARE = ("label rate", "label mean", "label beyond", "base output", "evidence", "share")
# The age in the entity memory's units that stands for "never", less the rounding of float32.
_NEVER = 364.9
_UNITS_PER_DAY = {"days": 1, "hours": 24, "minutes": 1440, "seconds": 86_400}
_PLAIN_NAMES = {
    "events in all history": "events",
    "events": "events",
    "labels in memory": "known_labels",
    "labels": "known_labels",
    "positives in memory": "positives",
}
_COLUMNS = [
    "row",
    "score",
    "base_score",
    "score_without_relations",
    "label",
    "kind",
    "by",
    "case",
    "known",
    "similarity",
    "weight",
    "mass",
    "label_mix",
    "cases",
    "facts",
    "contribution",
]


def _by_effect(cases: Sequence[Any]) -> list[Any]:
    return sorted(cases, key=lambda case: -abs(case.contribution))


def _left_out(cases: Sequence[Any], what: str) -> list[str]:
    rest = _by_effect(cases)[_CASES_IN_TEXT:]
    if not rest:
        return []
    total = sum(case.contribution for case in rest)
    return [f"{len(rest)} {what} have a smaller effect each ({total:+.1f} in sum)."]


def _entity_sentence(case: EntityCase) -> str:
    noun = case.by.removesuffix("_id").replace("_", " ")
    effect = f"({case.contribution:+.1f})"
    if isinstance(case.entity, list):
        return _set_sentence(noun, case, effect)
    if not case.known:
        return f"Its {noun} {case.entity} was never seen before {effect}."
    facts = case.facts
    known = round(facts.get("known_labels", 0))
    if known == 0:
        seen = f" in {_count(facts['events'], 'event')}" if "events" in facts else ""
        return (
            f"Its {noun} {case.entity} was seen before{seen}, "
            f"but no label of it is known yet {effect}."
        )
    return f"Its {noun} {case.entity}: {_label_history(known, facts)} {effect}."


def _set_sentence(noun: str, case: EntityCase, effect: str) -> str:
    assert isinstance(case.entity, list)
    members = list(dict.fromkeys(map(str, case.entity)))
    if not members:
        return f"It has no {noun} {effect}."
    shown = ", ".join(members[:_CASES_IN_TEXT])
    if len(members) > _CASES_IN_TEXT:
        shown += f" and {len(members) - _CASES_IN_TEXT} more"
    if not case.known:
        return f"None of its {noun} set was seen before: {shown} {effect}."
    evidence = [value for name, value in case.facts.items() if name.startswith("sum of evidence")]
    said = f": their labels say {evidence[0]:+.1f} together" if len(evidence) == 1 else ""
    return f"Its {noun} set {shown}{said} {effect}."


def _label_history(known: int, facts: dict[str, float]) -> str:
    if "positives" not in facts:
        return f"{_count(known, 'label')} of it {'are' if known > 1 else 'is'} known"
    positives = round(facts["positives"])
    if known == 1:
        text = f"its only known label was {'positive' if positives else 'negative'}"
    elif positives == 0:
        text = f"none of its last {known} known labels was positive"
    else:
        verb = "were" if positives > 1 else "was"
        text = f"{positives} of its last {known} known labels {verb} positive"
    days = facts.get("days_since_positive")
    if positives == 0 or days is None or not np.isfinite(days):
        return text
    return f"{text}, {'the latest ' if positives > 1 else ''}{_ago(days)}"


def _similar_sentence(case: SimilarCase, label: object) -> str:
    if isinstance(case.label_mix, dict):
        mix = f"{100 * case.label_mix.get(label, 0.0):.0f} % of them labelled {label}"
    else:
        mix = f"mean target {_number(case.label_mix)}"
    typical = ", ".join(str(int(i)) for i in case.cases[:_CASES_IN_TEXT])
    such_as = f", such as training sequences {typical}" if typical else ""
    return (
        f"It resembles group {case.representative} (similarity {case.similarity:.2f}) of "
        f"{_count(case.mass, 'past sequence')}, {mix}{such_as} ({case.contribution:+.1f})."
    )


def _ago(days: float) -> str:
    if days < 1.0:
        return f"{_count(max(1.0, round(days * 24)), 'hour')} ago"
    return f"{_count(round(days), 'day')} ago"


def _count(n: float, noun: str) -> str:
    return f"{n:.0f} {noun}{'s' if round(n) != 1 else ''}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.4g}"
