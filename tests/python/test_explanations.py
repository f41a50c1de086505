"""The sentences and the table that explain a prediction."""

import dataclasses
import sys

import numpy as np
import pytest

from ecseq._explanations import (
    EntityCase,
    Explanation,
    Explanations,
    SimilarCase,
    entity_facts,
)


def similar(contribution=0.8, representative=17, **change):
    case = SimilarCase(
        representative=representative,
        similarity=0.94,
        weight=0.5,
        mass=312.0,
        label_mix={0: 0.59, 1: 0.41},
        cases=np.array([5, 19, 88, 120], dtype=np.int64),
        contribution=contribution,
    )
    return dataclasses.replace(case, **change)


def entity(contribution=2.9, known=True, **facts):
    return EntityCase("terminal_id", "T-381", known, facts, contribution)


def sentence(case):
    group = {"similar": [case]} if isinstance(case, SimilarCase) else {"entities": [case]}
    return str(Explanation(0.9, 0.2, 0.3, label=1, **group)).splitlines()[1]


def test_scores_come_first():
    text = str(Explanation(0.931, 0.214, 0.25, [similar()], [entity(known_labels=6)], 1))
    assert text.splitlines()[0] == (
        "Score 0.93 (0.21 from the sequence alone, 0.25 with every related case left out)."
    )
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            entity(known_labels=6, positives=3, days_since_positive=2.2),
            "Its terminal T-381: 3 of its last 6 known labels were positive, "
            "the latest 2 days ago (+2.9).",
        ),
        (
            entity(known_labels=6, positives=1, days_since_positive=1.0),
            "Its terminal T-381: 1 of its last 6 known labels was positive, 1 day ago (+2.9).",
        ),
        (
            entity(known_labels=1, positives=1, days_since_positive=0.5),
            "Its terminal T-381: its only known label was positive, 12 hours ago (+2.9).",
        ),
        (
            entity(known_labels=2, positives=2, days_since_positive=np.inf),
            "Its terminal T-381: 2 of its last 2 known labels were positive (+2.9).",
        ),
        (
            entity(-0.6, known_labels=24, positives=0),
            "Its terminal T-381: none of its last 24 known labels was positive (-0.6).",
        ),
        (
            entity(-0.1, known_labels=1, positives=0),
            "Its terminal T-381: its only known label was negative (-0.1).",
        ),
        (
            entity(0.0, events=1),
            "Its terminal T-381 was seen before in 1 event, "
            "but no label of it is known yet (+0.0).",
        ),
        (
            entity(known_labels=24, events=60),
            "Its terminal T-381: 24 labels of it are known (+2.9).",
        ),
        (entity(-0.3, known=False), "Its terminal T-381 was never seen before (-0.3)."),
        (
            similar(),
            "It resembles group 17 (similarity 0.94) of 312 past sequences, "
            "41 % of them labelled 1, "
            "such as training sequences 5, 19, 88 (+0.8).",
        ),
        (
            similar(-1.25, mass=1.0, label_mix={0: 1.0}, cases=np.array([], dtype=np.int64)),
            "It resembles group 17 (similarity 0.94) of 1 past sequence, "
            "0 % of them labelled 1 (-1.2).",
        ),
        (
            similar(label_mix=1234.5),
            "It resembles group 17 (similarity 0.94) of 312 past sequences, mean target 1234, "
            "such as training sequences 5, 19, 88 (+0.8).",
        ),
    ],
)
def test_sentences(case, expected):
    assert sentence(case) == expected


def test_the_largest_effects_are_told_and_the_rest_summed():
    cases = [similar(contribution, i) for i, contribution in enumerate([0.1, -2.0, 0.5, 1.0, -0.4])]
    text = str(Explanation(0.5, 0.5, 0.5, cases, [], 1))
    groups = [line.split()[3] for line in text.splitlines() if line.startswith("It resembles")]
    assert groups == ["1", "3", "2"]
    assert "2 other groups of similar sequences have a smaller effect each (-0.3 in sum)." in text


def test_entity_facts_turn_the_logarithms_back():
    features = {
        "events in 7 days": 4,
        "events in all history": 60,
        "labels in memory": 6,
        "positives in memory": 3,
        "days since last positive": 2.5,
        "days since last negative": 365.0,
        "hours since last event": 400.0,
    }
    names = [*features, "label rate in 7 days", "share of 60 days since last negative"]
    seen = np.append(np.log1p(list(features.values())), [-1.5, 1]).astype(np.float32)
    assert entity_facts(names, seen.tolist()) == {
        "events in 7 days": 4,
        "events in all history": 60,
        "events": 60,
        "labels in memory": 6,
        "known_labels": 6,
        "positives in memory": 3,
        "positives": 3,
        "days since last positive": 2.5,
        "days_since_positive": 2.5,
        "hours since last event": 400,
        "label rate in 7 days": -1.5,
        "share of 60 days since last negative": 1,
    }


@pytest.mark.parametrize(
    ("name", "value", "days"),
    [("hours since last positive", 12, 0.5), ("time since last positive", 12, None)],
)
def test_entity_facts_in_other_units(name, value, days):
    assert entity_facts([name], [np.log1p(value)]).get("days_since_positive") == days


def test_entity_facts_of_an_entity_never_seen_hold_no_age():
    names = ["labels in memory", "days since last positive", "hours since last event"]
    facts = entity_facts(names, np.log1p(np.float32([0, 365, 8760])).tolist())
    assert facts == {"labels in memory": 0, "known_labels": 0}


def test_nothing_related():
    assert str(Explanation(0.2, 0.2, 0.2, label=1)).endswith("It is related to no past case.")


def test_regression_speaks_of_a_value():
    assert str(Explanation(1530.2, 12.0, 12.5)).startswith("Value 1530 (12.00 from the sequence")


def test_cases_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        entity().known = False


class TestExplanations:
    batch = Explanations(
        [
            Explanation(0.9, 0.2, 0.3, [similar()], [entity(known_labels=6)], 1),
            Explanation(0.1, 0.1, 0.1, label=1),
        ]
    )

    def test_text_numbers_them(self):
        assert str(self.batch).startswith("[0] Score 0.90")
        assert "\n\n[1] Score 0.10" in str(self.batch)

    def test_slices_stay_explanations(self):
        assert isinstance(self.batch[:1], Explanations)
        assert isinstance(self.batch[-1], Explanation)
        assert len(self.batch[:1]) == 1

    def test_to_frame(self):
        pytest.importorskip("pandas")
        frame = self.batch.to_frame()
        assert frame["row"].tolist() == [0, 0, 1]
        assert frame["kind"].tolist() == ["similar", "entity", "none"]
        assert frame["score"].tolist() == [0.9, 0.9, 0.1]
        assert frame["contribution"].tolist()[:2] == [0.8, 2.9]
        assert frame["case"].tolist()[:2] == [17, "T-381"]
        assert frame["facts"][1] == {"known_labels": 6}
        assert frame["label_mix"][0] == {0: 0.59, 1: 0.41}
        assert len(Explanations([]).to_frame()) == 0

    def test_without_pandas(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match="pip install pandas"):
            self.batch.to_frame()
