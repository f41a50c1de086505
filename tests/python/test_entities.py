"""Relations by entity: ids, sets, decay, bounds, causality, and what is said of them."""

import dataclasses
import datetime
import decimal
import enum
import uuid

import numpy as np
import pandas as pd
import pytest

import ecseq
from ecseq import ECSeqClassifier, EntityRelation
from ecseq._entity_ids import entity_keys, keys_of_sets, take
from ecseq.metrics import binary_metrics

# States are asked far beyond their last event here, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")

DAY = 86_400.0


class Shop(enum.Enum):
    NORTH = 1
    SOUTH = 2


@dataclasses.dataclass(frozen=True)
class Place:
    street: str
    number: int


class Nameless:
    pass


DIFFERENT = [
    17,
    "05",
    5,
    b"17",
    b"17\0",
    ("a", 1),
    ("a", "b", 1),
    ("ab", 1),
    (("a",), 1),
    frozenset({"a", "b"}),
    Shop.NORTH,
    Shop.SOUTH,
    Place("high street", 1),
    Place("high street", 2),
    uuid.UUID(int=5),
    datetime.date(2024, 1, 31),
    decimal.Decimal("1.50"),
    1.5,
]


class TestIds:
    def test_each_hashable_value_is_an_entity_of_its_own(self):
        keys = entity_keys(DIFFERENT, "ids", len(DIFFERENT))
        assert len(set(keys.tolist())) == len(keys)
        assert (keys != 0).all()
        # The same whatever stands beside it.
        alone = [entity_keys([value], "ids", 1)[0] for value in DIFFERENT]
        np.testing.assert_array_equal(alone, keys)
        np.testing.assert_array_equal(
            entity_keys(pd.Series(DIFFERENT, dtype=object), "ids", len(keys)), keys
        )

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (17, "17"),
            (17, 17.0),
            (np.int32(17), 17),
            (("a", 17), ("a", "17")),
            (frozenset([1, 2, 3]), frozenset([3, 2, 1])),
            (uuid.UUID(int=5), str(uuid.UUID(int=5))),
            (np.str_("x"), "x"),
        ],
    )
    def test_one_entity(self, one, other):
        assert entity_keys([one], "ids", 1)[0] == entity_keys([other], "ids", 1)[0]

    def test_keys_are_part_of_the_file_format(self):
        # A change of them would cut models off from what they remember.
        keys = entity_keys(["terminal", (1, "a"), b"\x00\xff"], "ids", 3)
        assert keys.tolist() == [0xE15CB531119E4DC1, 0x11229633AF0A679, 0xFE2CEB64EEF1A87A]

    def test_nothing_is_no_entity(self):
        keys = entity_keys([None, float("nan"), pd.NA, pd.NaT, "x"], "ids", 5)
        assert keys[:4].tolist() == [0, 0, 0, 0]
        assert keys[4] != 0

    @pytest.mark.parametrize("value", [[1], {1}, {"a": 1}])
    def test_what_cannot_be_hashed_is_refused(self, value):
        with pytest.raises(TypeError, match="must be hashable"):
            entity_keys([value, "x"], "ids", 2)

    def test_what_has_no_lasting_text_is_refused(self):
        with pytest.raises(TypeError, match="Nameless has no text"):
            entity_keys([Nameless()], "ids", 1)

    def test_sets(self):
        rows = [["a", "b"], [], {"c"}, np.array(["a", "c"]), "a", ("a", "b")]
        keys, offsets = keys_of_sets(rows, "ids", 6)
        assert offsets.tolist() == [0, 2, 2, 3, 5, 6, 7]
        assert keys[0] == keys[3] == keys[5]
        assert keys[2] == keys[4]
        flat, starts = take((keys, offsets), np.array([3, 1, 0]))
        assert starts.tolist() == [0, 2, 2, 4]
        np.testing.assert_array_equal(flat, keys[[3, 4, 0, 1]])
        with pytest.raises(ValueError, match="one set of ids per row"):
            keys_of_sets(rows, "ids", 5)


def payments(n=3000, seed=0):
    """Rows whose label is made by their terminal, half of which are bad for a while."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 100, n)) * DAY
    terminal = rng.integers(0, 40, n)
    bad = (terminal % 2 == 0) & ((times / DAY // 20 + terminal) % 2 == 0)
    y = (rng.uniform(size=n) < np.where(bad, 0.6, 0.03)).astype(int)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    return X, y, terminal, times


def fitted(relation, X, y, ids, times=None, **parameters):
    n = 2 * len(X) // 3
    m = n + len(X) // 6
    at = (lambda a, b: {}) if times is None else (lambda a, b: {"times": times[a:b]})
    model = ECSeqClassifier(
        relations=[relation], controls=False, max_epochs=15, random_state=0, **parameters
    )
    model.fit(
        X[:n],
        y[:n],
        entities={relation.by: ids[:n]},
        validation=(X[n:m], y[n:m], {"entities": {relation.by: ids[n:m]}, **at(n, m)}),
        **at(0, n),
    )
    return model, m


@pytest.mark.parametrize(
    "options",
    [{}, {"decay": "5d"}, {"decay": ["2d", datetime.timedelta(days=10)]}, {"max_entities": 30}],
)
def test_replay_is_causal_and_survives_saving(options, tmp_path):
    X, y, terminal, times = payments()
    relation = EntityRelation("terminal", label_delay="3d", **options)
    model, m = fitted(relation, X, y, terminal, times)
    arguments = {"entities": {"terminal": terminal[m:]}, "times": times[m:]}
    scores = model.replay(X[m:], y[m:], **arguments)
    cut = len(X[m:]) // 2
    moment = times[m:][cut]
    # Every label that is not known at that moment, and every event after it, becomes another.
    unknown = times[m:] + 3 * DAY > moment
    later = times[m:] > moment
    changed = np.where(unknown, 1 - y[m:], y[m:])
    others = np.where(later, 39 - terminal[m:], terminal[m:])
    again = model.replay(X[m:], changed, entities={"terminal": others}, times=times[m:])
    np.testing.assert_array_equal(again[: cut + 1], scores[: cut + 1])
    assert (again[cut + 1 :] != scores[cut + 1 :]).any()

    model.save(tmp_path / "model.ecseq")
    loaded = ecseq.load(tmp_path / "model.ecseq")
    np.testing.assert_array_equal(loaded.replay(X[m:], y[m:], **arguments), scores)
    assert loaded.relations[0]._options() == relation._options()
    for each in (model, loaded):
        each.partial_fit(X[m:], y[m:], **arguments)
    after = {"entities": {"terminal": terminal[m:]}, "times": np.full(len(X[m:]), 200 * DAY)}
    np.testing.assert_array_equal(
        loaded.predict_proba(X[m:], **after), model.predict_proba(X[m:], **after)
    )


def test_partial_fit_out_of_order_is_exact_or_changes_nothing():
    X, y, terminal, times = payments()
    model, m = fitted(EntityRelation("terminal", windows=["1d"], memory=3), X, y, terminal, times)
    arguments = {"entities": {"terminal": terminal[m:]}}
    before = model.predict_proba(X[m:], times=times[m:] + 100 * DAY, **arguments)
    with pytest.raises(ValueError, match="folded into totals"):
        model.partial_fit(X[m:], y[m:], times=times[m:] - 90 * DAY, **arguments)
    after = model.predict_proba(X[m:], times=times[m:] + 100 * DAY, **arguments)
    np.testing.assert_array_equal(before, after)


def test_unseen_entities_are_those_of_nobody():
    X, y, terminal, times = payments()
    model, _m = fitted(EntityRelation("terminal"), X, y, terminal, times)
    late = np.full(10, times[-1])
    scores = [
        model.predict_proba(X[:10], entities={"terminal": ids}, times=late)
        for ids in (np.arange(1000, 1010), [None] * 10, [("never", "seen")] * 10)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_labels_that_are_all_pending():
    X, y, terminal, times = payments(600)
    model, m = fitted(EntityRelation("terminal", label_delay="1000d"), X, y, terminal, times)
    arguments = {"entities": {"terminal": terminal[m:]}, "times": times[m:]}
    np.testing.assert_array_equal(
        model.replay(X[m:], y[m:], **arguments), model.replay(X[m:], 1 - y[m:], **arguments)
    )


def baskets(n=1500, seed=0):
    """Rows with 1 to 6 products, of which some are bought by one class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    lengths = rng.integers(1, 7, n)
    taste = [np.where(rng.uniform(size=k) < 0.7, c, 1 - c) for c, k in zip(y, lengths, strict=True)]
    ids = [[f"p{2 * rng.integers(0, 60) + t}" for t in row] for row in taste]
    return rng.normal(size=(n, 3)).astype(np.float32), y, ids


class TestSets:
    def test_products_tell_the_class(self):
        X, y, ids = baskets()
        model, m = fitted(EntityRelation("product", over="sequence"), X, y, ids)
        scores = model.predict_proba(X[m:], entities={"product": ids[m:]})[:, 1]
        metrics = binary_metrics(y[m:], scores)
        assert metrics["auc"] > 0.85
        # Order and repetition do not matter, other rows do not either.
        doubled = [row[::-1] + row[:1] for row in ids[m:]]
        np.testing.assert_array_equal(
            model.predict_proba(X[m:], entities={"product": doubled})[:, 1], scores
        )
        one = model.predict_proba(X[m : m + 1], entities={"product": ids[m : m + 1]})[:, 1]
        assert one[0] == scores[0]

    def test_explanations_name_them(self):
        X, y, ids = baskets()
        model, _m = fitted(EntityRelation("product", over="sequence"), X, y, ids)
        rows = [["p1", "p3", "p5", "p7", "p7"], ["new"], []]
        found = model.explain(X[:3], entities={"product": rows})
        assert found[0].entities[0].entity == rows[0]
        assert found[0].entities[0].facts["members"] == 4
        assert "Its product set p1, p3, p5 and 1 more: their labels say" in str(found[0])
        assert "None of its product set was seen before: new" in str(found[1])
        assert "It has no product" in str(found[2])

    def test_of_sequences_are_those_of_all_events(self):
        X, y, ids = baskets(400)
        lengths = np.array([len(row) for row in ids])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = np.repeat(X, lengths, axis=0)
        flat = [value for row in ids for value in row]
        carried = ecseq.Sequences(
            values, offsets, labels=np.repeat(y, lengths), entities={"product": flat}
        )
        relation = EntityRelation("product", over="sequence")
        encoder = ecseq.SequenceEncoder("gru", hidden_size=4, max_epochs=1, random_state=0)
        encoder.fit(carried[:300])
        model = ECSeqClassifier(encoder, relations=[relation], controls=False, random_state=0)
        model.fit(carried[:300], validation=carried[300:350])
        scores = model.predict_proba(carried[350:])
        given = model.predict_proba(carried[350:], entities={"product": ids[350:]})
        np.testing.assert_array_equal(scores, given)
        assert model.explain(carried[350:352])[1].entities[0].entity == ids[351]
        # Windows share events: each has those of its own.
        windows = carried[350:352].windows(2)
        pairs = [row[max(0, i - 1) : i + 1] for row in ids[350:352] for i in range(len(row))]
        np.testing.assert_array_equal(
            model.predict_proba(windows),
            model.predict_proba(windows, entities={"product": pairs}),
        )

    def test_lists_need_a_relation_by_sets(self):
        X, y, ids = baskets(60)
        with pytest.raises(TypeError, match="must be hashable"):
            fitted(EntityRelation("product"), X, y, ids)

    def test_features_are_leave_one_out(self):
        _, y, ids = baskets(300)
        relation = EntityRelation("product", over="sequence")
        before, names = relation.features(ids, y, prior=0.5)
        changed = y.copy()
        changed[5] = 1 - changed[5]
        after, _ = relation.features(ids, changed, prior=0.5)
        assert before.shape == (300, len(names))
        np.testing.assert_array_equal(before[5], after[5])
        assert (before != after).any()


def test_features_are_causal_with_times():
    _, y, terminal, times = payments(500)
    relation = EntityRelation("terminal", label_delay="2d")
    base = np.random.default_rng(1).normal(size=500)
    before, names = relation.features(terminal, y, times=times, base=base, prior=0.1)
    assert "largest base output of positives in memory" in names
    changed = np.where(np.arange(500) >= 200, 1 - y, y)
    after, _ = relation.features(terminal, changed, times=times, base=base, prior=0.1)
    np.testing.assert_array_equal(before[:201], after[:201])
    assert (before != after).any()
    with pytest.raises(ValueError, match="base"):
        relation.features(terminal, y, times=times)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": "all"}, "over: expected 'last' or 'sequence'"),
        ({"decay": 0}, "decay: expected finite durations above 0"),
        ({"decay": "all"}, "decay: expected finite durations above 0"),
        ({"decay": ["1d", "soon"]}, "decay: expected a duration"),
        ({"max_entities": 0}, "max_entities: expected at least 1"),
        ({"max_entities": 2.5}, "max_entities: expected an integer"),
        ({"label_delay": -1}, "label_delay: expected a duration"),
    ],
)
def test_bad_options_are_refused(options, message):
    X, y, terminal, times = payments(60)
    with pytest.raises(ValueError, match=message):
        fitted(EntityRelation("terminal", **options), X, y, terminal, times)
