"""The simulator tells the story that its text promises, and the report stands on its own."""

import html.parser
import itertools
import re

import numpy as np
import pandas as pd
import pytest

from ecseq.demo import figures
from ecseq.demo.report import (
    DataSummary,
    DemoResults,
    ExplainedCase,
    RepresentativeMap,
    Variant,
    write_report,
)
from ecseq.demo.run import DemoOptions, add_features, run_demo
from ecseq.demo.simulator import (
    COMPROMISED_TERMINAL,
    LABEL_DELAY_DAYS,
    ORDINARY,
    STOLEN_CARD,
    simulate,
)
from ecseq.demo.splitting import split_by_time
from ecseq.metrics import binary_metrics


@pytest.fixture(scope="module")
def payments():
    return simulate(seed=3)


class TestSimulator:
    def test_same_seed_same_table(self, payments):
        pd.testing.assert_frame_equal(payments, simulate(seed=3))

    def test_other_seed_other_table(self, payments):
        assert not payments["amount"].head(1000).equals(simulate(seed=4)["amount"].head(1000))

    @pytest.mark.parametrize("seed", range(5))
    def test_size_and_fraud_rate(self, seed):
        frame = simulate(seed)
        assert len(frame) >= 20_000
        assert 0.02 <= frame["fraud"].mean() <= 0.035

    def test_fraud_has_the_two_causes_and_nothing_else(self, payments):
        assert set(payments["cause"]) == {ORDINARY, STOLEN_CARD, COMPROMISED_TERMINAL}
        assert ((payments["cause"] != ORDINARY) == (payments["fraud"] == 1)).all()
        shares = payments.loc[payments["fraud"] == 1, "cause"].value_counts(normalize=True)
        assert shares.min() > 0.25

    def test_rows_are_ordered_in_time_and_complete(self, payments):
        assert payments["ts"].is_monotonic_increasing
        assert not payments.isna().to_numpy().any()
        assert payments["amount"].min() >= 0.5
        assert payments["hour"].between(0, 23).all()
        assert (payments["hour"] == payments["ts"].dt.hour).all()
        assert (payments["weekday"] == payments["ts"].dt.day_of_week).all()

    def test_labels_are_known_after_the_delay(self, payments):
        delay = payments["known_at"] - payments["ts"]
        assert (delay == pd.Timedelta(days=LABEL_DELAY_DAYS)).all()

    def test_gap_is_the_time_since_the_same_cards_previous_payment(self, payments):
        one = payments[payments["card"] == payments["card"].iloc[0]]
        hours = one["ts"].diff().dt.total_seconds() / 3600
        expected = hours.fillna(7 * 24.0).clip(upper=30 * 24.0)
        np.testing.assert_allclose(one["gap_hours"], expected, atol=1e-3)

    def test_stolen_cards_show_in_the_sequence(self, payments):
        own = payments.groupby("card")["amount"].transform("median")
        lift = np.log(payments["amount"] / own)
        by_cause = lift.groupby(payments["cause"]).median()
        assert by_cause[STOLEN_CARD] > by_cause[ORDINARY] + 0.5
        gaps = payments.groupby("cause")["gap_hours"].median()
        assert gaps[STOLEN_CARD] < 0.5 * gaps[ORDINARY]

    def test_compromised_terminals_show_only_at_the_terminal(self):
        lifts, hours, concentration = [], [], []
        for seed in range(4):
            frame = simulate(seed)
            # The price level of a terminal is its own, so amounts are compared at it.
            usual = frame[frame["cause"] == ORDINARY].groupby("terminal")["amount"].median()
            hit = frame[frame["cause"] == COMPROMISED_TERMINAL]
            lifts.append(np.log(hit["amount"] / hit["terminal"].map(usual)).median())
            hours.append(hit["hour"].mean() - frame.loc[frame["fraud"] == 0, "hour"].mean())
            concentration.append(hit["terminal"].nunique() / frame["terminal"].nunique())
            during = frame.merge(
                hit.groupby("terminal")["ts"].agg(["min", "max"]).reset_index(), on="terminal"
            )
            during = during[during["ts"].between(during["min"], during["max"])]
            assert during["fraud"].mean() > 0.85
            assert (during["max"] - during["min"]).max() <= pd.Timedelta(days=42)
        assert abs(np.mean(lifts)) < 0.2
        assert abs(np.mean(hours)) < 0.7
        assert max(concentration) < 0.15

    def test_bad_sizes_are_refused_by_name(self):
        with pytest.raises(ValueError, match="n_terminals: expected at least 2, got 1"):
            simulate(n_terminals=1)

    def test_features_hold_nothing_of_terminal_or_label(self, payments):
        changed = payments.assign(terminal="t000", fraud=0, cause=ORDINARY)
        columns = ["log_amount", "log_gap", "hour_sin", "hour_cos", "weekend"]
        pd.testing.assert_frame_equal(
            add_features(payments)[columns], add_features(changed)[columns]
        )


class TestSplit:
    def test_parts_are_disjoint_and_ordered(self):
        times = np.random.default_rng(0).uniform(0, 100.0, size=2000)
        split = split_by_time(times, label_delay=5.0)
        parts = [split.training, split.validation, split.waiting, split.test]
        assert (np.sum(parts, axis=0) == 1).all()
        for before, after in itertools.pairwise(parts):
            assert times[before].max() <= times[after].min()

    def test_labels_of_what_is_learned_are_known_when_the_test_begins(self):
        times = np.arange(1000.0)
        split = split_by_time(times, label_delay=70.0)
        learned = split.training | split.validation
        assert times[learned].max() + 70.0 <= times[split.test].min()
        assert split.waiting.sum() == 69

    def test_a_delay_longer_than_the_data_is_refused(self):
        with pytest.raises(ValueError, match="label delay"):
            split_by_time(np.arange(100.0), label_delay=1000.0)

    def test_fractions_are_checked(self):
        with pytest.raises(ValueError, match="test_fraction"):
            split_by_time(np.arange(100.0), test_fraction=1.0)


class TestFigures:
    def test_principal_plane_keeps_the_leading_variance(self):
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(50, 6)) * [9.0, 4.0, 0.1, 0.1, 0.1, 0.1]
        plane = figures.principal_plane(vectors)
        assert plane.shape == (50, 2)
        assert plane.var() > 0.99 * vectors[:, :2].var()
        np.testing.assert_allclose(plane, figures.principal_plane(vectors.copy()))

    def test_precision_curve_reaches_the_known_points(self):
        labels = np.array([1.0, 1.0, 0.0, 1.0])
        scores = np.array([0.9, 0.8, 0.7, 0.6])
        curve = figures.precision_curves("m", "ours", [labels], [scores])
        at = dict(zip(np.round(curve.x, 3), curve.ys[0], strict=True))
        assert at[0.5] == pytest.approx(1.0)
        assert at[1.0] == pytest.approx(0.75)


def made_up_results(n_seeds=2):
    rng = np.random.default_rng(0)
    labels = [(rng.random(300) < 0.2).astype(float) for _ in range(n_seeds)]
    weak = [(0.3 * y + rng.random(300)) / 3 for y in labels]
    strong = [(1.5 * y + rng.random(300)) / 3 for y in labels]

    def measured(scores):
        return tuple(binary_metrics(y, s) for y, s in zip(labels, scores, strict=True))

    return DemoResults(
        data=DataSummary(10, 5, 1000, 500, 200, 300, 0.02, 100, 15, 7),
        seeds=tuple(range(n_seeds)),
        labels=tuple(labels),
        base=Variant("base encoder", measured(weak), tuple(weak)),
        variants=(Variant("ECSeq, by both", measured(strong), tuple(strong)),),
        controls=(Variant("logistic regression", measured(weak)),),
        representatives=RepresentativeMap(
            rng.normal(size=(20, 4)), rng.integers(1, 50, 20).astype(float), rng.random(20)
        ),
        cases=tuple(
            ExplainedCase(
                title=f"Card <c{i}>",
                score=0.9,
                base_score=0.1,
                is_fraud=i > 0,
                cause=STOLEN_CARD if i else ORDINARY,
                words=f"Because of reason & number {i}.",
                event_columns=("time", "amount"),
                events=(("1 May", "3.00"), ("2 May", "99.00")),
            )
            for i in range(3)
        ),
        seconds={"train encoder": 2.0, "compress": 0.5},
        total_seconds=12.0,
        versions={"ecseq": "1.0"},
    )


class TagBalance(html.parser.HTMLParser):
    void = frozenset({"meta", "br"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    assert write_report(made_up_results(), path) == path
    return path.read_text(encoding="utf-8")


class TestReport:
    def test_is_self_contained(self, page):
        assert "://" not in page
        assert not re.search(r"<(script|link|img|iframe)\b|url\(|@import|src=", page)

    def test_is_well_formed(self, page):
        checker = TagBalance()
        checker.feed(page)
        assert checker.open == []
        assert "$" not in page

    def test_says_that_the_data_is_simulated(self, page):
        assert "This data is simulated" in page
        assert "by construction" in page

    def test_shows_results_figures_and_times(self, page):
        for text in ("AUC", "R@P0.9", "ECSeq, by both", "logistic regression", "2.00 s"):
            assert text in page
        assert page.count("<svg") == 4
        assert page.count('class="seed base"') == 4  # two seeds in each of two figures
        assert page.count('class="dot"') == 20

    def test_shows_the_numbers_of_the_results(self, page):
        results = made_up_results()
        aucs = [100 * measured["auc"] for measured in results.variants[0].metrics]
        assert f"{np.mean(aucs):.1f} ± {np.std(aucs, ddof=1):.1f}" in page

    def test_explains_three_cases_with_their_events(self, page):
        assert page.count('<article class="case">') == 3
        assert page.count('<tr class="flagged">') == 3
        assert "not fraud: a false alarm" in page
        assert page.count("fraud: stolen card") == 2

    def test_escapes_what_comes_from_data(self, page):
        assert "Card &lt;c0&gt;" in page
        assert "reason &amp; number" in page
        assert "<c0>" not in page

    def test_one_run_has_no_interval(self, tmp_path):
        page = write_report(made_up_results(1), tmp_path / "r.html").read_text(encoding="utf-8")
        assert "nan" not in page.lower().replace("explanation", "")
        assert "one run" in page


def test_no_seed_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="n_seeds"):
        run_demo(DemoOptions(out=tmp_path / "demo", n_seeds=0))
    assert not (tmp_path / "demo").exists()
