"""What SequenceEncoder can be trained on, and how, beyond one label per sequence of numbers."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

import ecseq
from ecseq import ECSeqClassifier, EntityRelation, SequenceEncoder, Sequences, SimilarityRelation


def card_table(n=300, seed=0, shops=("books", "food", "fuel", "toys")):
    """Payments of n cards; a card is marked where it buys fuel at night."""
    rng = np.random.default_rng(seed)
    rows = []
    for card in range(n):
        time, marked = pd.Timestamp("2026-01-05"), 0
        for _ in range(rng.integers(2, 10)):
            time += pd.Timedelta(hours=float(rng.exponential(9)))
            shop = str(rng.choice(shops))
            night = time.hour < 6
            marked |= int(shop == "fuel" and night)
            rows.append((card, time, float(rng.normal(50, 20)), shop, marked))
    return pd.DataFrame(rows, columns=["card", "ts", "amount", "shop", "marked"])


def sequences_of(table, **changes):
    arguments = {"by": "card", "time": "ts", "features": ["amount", "shop"], "label": "marked"}
    return Sequences.from_frame(table, **{**arguments, **changes})


def quick(**parameters):
    return SequenceEncoder(
        **{"hidden_size": 16, "max_epochs": 25, "learning_rate": 1e-2, **parameters}
    )


class TestCategories:
    def test_text_becomes_categories_that_the_encoder_must_be_told_of(self):
        sequences = sequences_of(card_table())
        assert sequences.categories["shop"].tolist() == ["books", "food", "fuel", "toys"]
        assert sequences[3].dtype == np.float32
        assert sequences.windows(3).compact()[:5].categories.keys() == {"shop"}
        with pytest.raises(ValueError, match=r"'shop' holds categories.*categorical=\{'shop': 8\}"):
            quick().fit(sequences)

    def test_text_and_time_decide(self):
        training, test = sequences_of(card_table(800)), sequences_of(card_table(300, seed=1))
        encoder = quick(categorical={"shop": 4}, time_features=True).fit(training)
        assert roc_auc_score(test.labels, encoder.predict_proba(test)[:, 1]) > 0.93
        blind = quick(categorical={"shop": 4}).fit(training)
        assert (
            roc_auc_score(test.labels, blind.predict_proba(test)[:, 1])
            < roc_auc_score(test.labels, encoder.predict_proba(test)[:, 1]) - 0.03
        )

    def test_another_tables_numbers_mean_the_same_categories(self):
        table = card_table()
        encoder = quick(categorical={"shop": 4}, max_epochs=2).fit(sequences_of(table))
        expected = encoder.transform(sequences_of(table))
        part = table[table["card"].isin(table.loc[table["shop"] == "toys", "card"])]
        part = part[part["shop"] == "toys"]  # alone, "toys" is category 0
        alone = sequences_of(part)
        assert alone.categories["shop"].tolist() == ["toys"]
        whole = sequences_of(part.assign(shop=pd.Categorical(part["shop"])))
        np.testing.assert_array_equal(encoder.transform(alone), encoder.transform(whole))
        recoded = sequences_of(table).recoded({"shop": np.array(["toys", "food"], dtype=object)})
        assert set(recoded.values[:, 1]) == {-1.0, 0.0, 1.0}
        np.testing.assert_array_equal(encoder.transform(sequences_of(table)), expected)

    def test_a_validation_table_may_number_them_otherwise(self):
        training, later = card_table(300), card_table(120, seed=3).query("shop != 'books'")
        encoder = quick(categorical={"shop": 4}, max_epochs=2)
        fits = []
        for validation in (
            sequences_of(later),
            sequences_of(later).recoded(sequences_of(training).categories),
        ):
            model = ECSeqClassifier(encoder, relations=[SimilarityRelation(10)], max_epochs=3)
            fits.append(model.fit(sequences_of(training), validation=validation))
        a, b = fits
        assert a.fit_report_["validation"] == b.fit_report_["validation"]
        unknown = sequences_of(training).recoded({"shop": np.array(["toys"], dtype=object)})
        assert set(unknown.values[:, 1]) == {-1.0, 0.0}
        again = unknown.recoded({"shop": np.array(["fuel", "toys"], dtype=object)})
        np.testing.assert_array_equal(
            again.values[:, 1], np.where(unknown.values[:, 1] == 0, 1, -1)
        )

    def test_unknown_categories_share_a_row(self):
        encoder = quick(categorical={"shop": 4}, max_epochs=2).fit(sequences_of(card_table()))
        table = card_table(20, seed=2)
        a = encoder.transform(sequences_of(table.assign(shop="zoo")))
        b = encoder.transform(sequences_of(table.assign(shop="arcade")))
        np.testing.assert_array_equal(a, b)
        known = encoder.transform(sequences_of(table.assign(shop="food")))
        assert not np.array_equal(a, known)

    def test_options_of_a_column(self):
        sequences = sequences_of(card_table())
        encoder = quick(
            categorical={"shop": {"dimension": 3, "max_norm": 0.05, "min_count": 5}}, max_epochs=3
        ).fit(sequences)
        table = encoder._core.tensors()["event.embedding_1"]
        assert table.shape == (5, 3)
        assert np.linalg.norm(table, axis=1).max() <= 0.05 + 1e-6
        for wrong, message in (
            ({"store": 3}, "no feature 'store'"),
            ({7: 3}, "feature 7 is not one of the 2"),
            ({"shop": {"size": 3}}, "'size' is not one of"),
            ({"shop": 0}, "dimension: expected at least 1"),
            ({"shop": 3, 1: 3}, "named twice"),
        ):
            with pytest.raises(ValueError, match=message):
                quick(categorical=wrong).fit(sequences)

    def test_pickle_and_model_file_keep_them(self, tmp_path):
        sequences = sequences_of(card_table())
        encoder = quick(categorical={"shop": 4}, time_features=True, max_epochs=2).fit(sequences)
        again = pickle.loads(pickle.dumps(encoder))
        shuffled = sequences_of(card_table(30, seed=4).query("shop != 'books'"))
        np.testing.assert_array_equal(again.transform(shuffled), encoder.transform(shuffled))
        model = ECSeqClassifier(encoder, n_representatives=20, max_epochs=5).fit(sequences)
        model.save(tmp_path / "model.ecseq")
        loaded = ecseq.load(tmp_path / "model.ecseq")
        np.testing.assert_array_equal(loaded.predict_proba(shuffled), model.predict_proba(shuffled))

    def test_times_are_needed_where_they_are_read(self):
        encoder = quick(categorical={"shop": 4}, time_features=True, max_epochs=1)
        encoder.fit(sequences_of(card_table()))
        with pytest.raises(ValueError, match="without times"):
            encoder.transform(sequences_of(card_table(), time=None))


class TestLabelsOfEvents:
    def test_one_pass_trains_what_streaming_asks_for(self):
        training, test = sequences_of(card_table(800)), sequences_of(card_table(300, seed=1))
        encoder = quick(categorical={"shop": 4}, time_features=True, labels_per="event")
        encoder.fit(training)
        scores = encoder.predict_proba(test, every_event=True)[:, 1]
        assert scores.shape == (len(test.values),)
        assert roc_auc_score(test.step_labels, scores) > 0.93
        # What the last event of a sequence gets is what the sequence gets.
        last = np.cumsum(test.lengths) - 1
        np.testing.assert_array_equal(scores[last], encoder.predict_proba(test)[:, 1])

    def test_labels_are_told_by_their_number(self):
        training = sequences_of(card_table(100))
        kwargs = {"categorical": {"shop": 4}, "max_epochs": 1}
        a = quick(**kwargs, labels_per="event").fit(training)
        b = quick(**kwargs).fit(training, training.step_labels)
        c = quick(**kwargs).fit(training, training.labels)
        np.testing.assert_array_equal(a.transform(training), b.transform(training))
        assert not np.array_equal(a.transform(training), c.transform(training))
        with pytest.raises(ValueError, match=f"expected {len(training)} labels"):
            quick(**kwargs).fit(training, training.step_labels[:-1])
        with pytest.raises(ValueError, match="one per event"):
            quick(**kwargs, labels_per="event").fit(training, training.labels)

    def test_pooled_states_are_not_those_of_events(self):
        training = sequences_of(card_table(100))
        encoder = quick(categorical={"shop": 4}, max_epochs=1, pooling="mean").fit(training)
        assert encoder.transform(training, every_event=True).shape == (len(training.values), 16)
        with pytest.raises(ValueError, match="every_event"):
            encoder.predict(training, every_event=True)


class TestWithoutLabels:
    @pytest.mark.parametrize("cell", ["lstm", "transformer"])
    def test_pretraining_helps_where_labels_are_few(self, cell):
        unlabelled = sequences_of(card_table(600), label=None)
        encoder = quick(
            cell=cell, categorical={"shop": 4}, time_features=True, max_epochs=5, warm_start=True
        )
        encoder.fit(unlabelled)
        report = encoder.fit_report_
        assert report["task"] == "none"
        losses = [epoch["validation_loss"] for epoch in report["curve"]]
        assert losses[-1] < losses[0]
        with pytest.raises(AttributeError, match="no head"):
            encoder.predict(unlabelled)
        before = encoder.transform(unlabelled)
        labelled = sequences_of(card_table(60, seed=5))
        encoder.set_params(learning_rate=1e-9, max_epochs=1).fit(labelled)
        np.testing.assert_allclose(encoder.transform(unlabelled), before, atol=1e-5)
        assert encoder.predict(labelled).shape == (60,)

    def test_a_model_stands_on_an_encoder_without_labels(self, tmp_path):
        sequences = sequences_of(card_table(400))
        encoder = quick(categorical={"shop": 4}, max_epochs=3, labels_per="none").fit(sequences)
        model = ECSeqClassifier(encoder, relations=[SimilarityRelation(20)], max_epochs=10).fit(
            sequences
        )
        assert model.fit_report_["base"] == "logistic regression"
        model.save(tmp_path / "model.ecseq")
        loaded = ecseq.load(tmp_path / "model.ecseq")
        np.testing.assert_array_equal(
            loaded.predict_proba(sequences), model.predict_proba(sequences)
        )
        assert loaded.encoder_.fit_report_["task"] == "none"

    def test_labels_that_sequences_carry_train(self):
        sequences = sequences_of(card_table(50))
        encoder = quick(categorical={"shop": 4}, max_epochs=1).fit(sequences)
        assert encoder.fit_report_["task"] == "binary"

    def test_one_sequence_is_enough(self):
        rng = np.random.default_rng(0)
        encoder = quick(max_epochs=2).fit(Sequences.from_list([rng.normal(size=(30, 2))]))
        assert encoder.fit_report_["stop_reason"] == "max_epochs"
        with pytest.raises(ValueError, match="look ahead"):
            quick(bidirectional=True).fit(Sequences.from_list([rng.normal(size=(30, 2))]))


class TestPartialFit:
    def test_passes_over_parts_learn(self):
        parts = [sequences_of(card_table(300, seed=s)) for s in range(6)]
        encoder = quick(categorical={"shop": 4}, time_features=True)
        for _ in range(6):
            for part in parts[:-1]:
                encoder.partial_fit(part)
        scores = encoder.predict_proba(parts[-1])[:, 1]
        assert roc_auc_score(parts[-1].labels, scores) > 0.85

    def test_it_goes_on_from_the_weights_there_are(self):
        rng = np.random.default_rng(0)
        sequences = Sequences.from_list([rng.normal(size=(5, 2)) for _ in range(40)])
        encoder = quick(max_epochs=1).fit(sequences, np.arange(40) % 2)
        before = encoder._core.tensors()
        encoder.set_params(learning_rate=1e-9)
        encoder.partial_fit(sequences[:5], [1, 1, 1, 1, 1])
        for name, tensor in encoder._core.tensors().items():
            np.testing.assert_allclose(tensor, before[name], atol=1e-6)
        assert encoder.classes_.tolist() == [0, 1]
        with pytest.raises(ValueError, match="not one of the classes"):
            encoder.partial_fit(sequences[:2], [1, 2])

    def test_classes_that_come_later(self):
        rng = np.random.default_rng(0)
        sequences = Sequences.from_list([rng.normal(size=(5, 2)) for _ in range(40)])
        encoder = quick().partial_fit(sequences, np.arange(40) % 2, classes=[0, 1, 2])
        assert encoder.predict_proba(sequences).shape == (40, 3)


class TestTraining:
    @pytest.mark.parametrize(
        "parameters",
        [
            {"optimizer": "sgd", "learning_rate": 0.3, "momentum": 0.9},
            {"optimizer": "adam", "weight_decay": 1e-4},
            {"schedule": "cosine"},
            {"schedule": "plateau"},
            {"accumulate": 2, "batch_size": 16},
            {"bucket_by_length": True, "batch_size": 32},
        ],
        ids=lambda p: "-".join(str(v) for v in p.values()),
    )
    def test_every_way_learns_and_repeats_to_the_bit(self, parameters):
        rng = np.random.default_rng(0)
        events = [rng.normal(size=(rng.integers(2, 12), 2)) for _ in range(600)]
        labels = np.array([x[0, 0] > 0 for x in events]).astype(int)
        sequences = Sequences.from_list(events)
        fits = [
            quick(**parameters, num_threads=threads).fit(sequences, labels) for threads in (1, 2)
        ]
        assert roc_auc_score(labels, fits[0].predict_proba(sequences)[:, 1]) > 0.9
        np.testing.assert_array_equal(fits[0].transform(sequences), fits[1].transform(sequences))
        rates = [epoch["learning_rate"] for epoch in fits[0].fit_report_["curve"]]
        if parameters.get("schedule") == "cosine":
            assert rates == sorted(rates, reverse=True)
            assert rates[-1] < rates[0] / 2 or len(rates) < 12

    @pytest.mark.parametrize("selection", ["auto", "auc", "ap", "loss"])
    def test_it_keeps_the_epoch_that_the_selection_prefers(self, selection):
        rng = np.random.default_rng(0)
        events = [rng.normal(size=(4, 3)) for _ in range(600)]
        labels = np.array([x.sum() + rng.normal(scale=4) > 5 for x in events]).astype(int)
        sequences = Sequences.from_list(events)
        held_out, y = sequences[400:], labels[400:]
        encoder = quick(selection=selection, max_epochs=8, patience=8)
        encoder.fit(sequences[:400], labels[:400], validation=(held_out, y))
        scores = [epoch["validation_score"] for epoch in encoder.fit_report_["curve"]]
        p = encoder.predict_proba(held_out)[:, 1]
        auc, ap = roc_auc_score(y, p), average_precision_score(y, p)
        expected = {"auc": auc, "ap": ap, "auto": (auc + ap) / 2, "loss": -log_loss(y, p)}
        assert max(scores) == pytest.approx(expected[selection], abs=1e-6)
        assert encoder.fit_report_["best_epoch"] == np.argmax(scores) + 1

    def test_an_unknown_selection_is_refused(self):
        sequences = Sequences.from_list([np.zeros((2, 1))] * 4)
        with pytest.raises(ValueError, match="selection: 'f1' is not one of 'auto', 'auc'"):
            quick(selection="f1").fit(sequences, [0, 1, 0, 1])

    def test_interrupted_it_keeps_the_best_weights(self):
        rng = np.random.default_rng(0)
        sequences = Sequences.from_list([rng.normal(size=(5, 2)) for _ in range(100)])
        labels = np.arange(100) % 2

        def stop(stage, done, total, message):
            if message:
                raise KeyboardInterrupt

        encoder = quick(verbose=stop)
        with pytest.raises(KeyboardInterrupt):
            encoder.fit(sequences, labels)
        assert encoder.fit_report_["stop_reason"] == "interrupted"
        one_epoch = quick(max_epochs=1).fit(sequences, labels)
        np.testing.assert_array_equal(encoder.transform(sequences), one_epoch.transform(sequences))

    def test_interrupted_at_once_there_is_nothing(self):
        rng = np.random.default_rng(0)
        sequences = Sequences.from_list([rng.normal(size=(5, 2)) for _ in range(100)])

        def stop(*_):
            raise KeyboardInterrupt

        encoder = quick(verbose=stop)
        with pytest.raises(KeyboardInterrupt):
            encoder.fit(sequences, np.arange(100) % 2)
        assert not hasattr(encoder, "classes_")

    @pytest.mark.parametrize("encoder", ["gru", "transformer"])
    def test_estimators_train_any_cell(self, encoder):
        rng = np.random.default_rng(0)
        events = [rng.normal(size=(rng.integers(2, 12), 2)) for _ in range(300)]
        labels = np.array([x[0, 0] > 0 for x in events]).astype(int)
        sequences = Sequences.from_list(events)
        model = ECSeqClassifier(
            encoder, relations=[EntityRelation("shop"), SimilarityRelation(10)], max_epochs=5
        )
        shops = {"shop": rng.integers(0, 9, 300)}
        model.fit(sequences, labels, entities=shops)
        assert model.predict_proba(sequences, entities=shops).shape == (300, 2)
