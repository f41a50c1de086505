"""Parallel series: shapes, causality, files, weights from PyTorch, bad input."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

import ecseq

Floats = NDArray[np.float32]
SMALL: dict[str, Any] = {
    "window": 6,
    "hidden_size": 8,
    "encoder_max_epochs": 2,
    "max_epochs": 3,
    "batch_size": 64,
    "gate": False,
    "random_state": 0,
}


def make_series(steps: int, seed: int, channels: int | None = None) -> Floats:
    """Three groups of three series that move together."""
    rng = np.random.default_rng(seed)
    c = channels or 1
    common = np.cumsum(rng.normal(size=(steps, 3, c)), axis=0) % 7
    values = np.repeat(common, 3, axis=1) * np.arange(1, 10)[:, None]
    values += rng.normal(size=values.shape) + 20
    return values.astype(np.float32).reshape((steps, 9) + ((c,) if channels else ()))


def hours(steps: int) -> Floats:
    angle = np.arange(steps) / 24 * 2 * np.pi
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> ecseq.ECSeqForecaster:
    relation = ecseq.SeriesRelation(4)
    model = ecseq.ECSeqForecaster(horizon=2, relation=relation, **SMALL)
    return model.fit(make_series(150, 1), hours(150))


def test_shapes_follow_y() -> None:
    for channels, horizon in ((None, 1), (None, 3), (1, 2), (2, 2)):
        Y = make_series(120, 2, channels)
        model = ecseq.ECSeqForecaster(horizon=horizon, **SMALL).fit(Y)
        one = (9, horizon) + ((channels,) if channels else ())
        assert model.predict(Y).shape == one
        assert model.base_predict(Y).shape == one
        assert model.control_predict(Y, control="mlp").shape == one
        times = [60, 30, 100]
        for backtest in (model.backtest, model.base_backtest, model.control_backtest):
            assert backtest(Y, times=times).shape == (3, *one)
        assert model.backtest(Y).shape == (120 - horizon + 1 - model.required_rows_, *one)


@pytest.mark.parametrize("preset", [None, "paper"])
def test_channels_and_horizons_are_not_mixed_up(preset: str | None) -> None:
    # Constant series of different levels: every forecast must be its own.
    level = np.arange(18, dtype=np.float32).reshape(9, 2) * 10
    Y = np.tile(level, (80, 1, 1)) + np.random.default_rng(0).normal(size=(80, 9, 2)) * 0.1
    model = ecseq.ECSeqForecaster(
        horizon=2, preset=preset, learning_rate=3e-3, encoder_learning_rate=3e-3,
        **{**SMALL, "max_epochs": 150, "patience": 150, "encoder_max_epochs": 100,
           "encoder_patience": 100},
    ).fit(Y)  # fmt: skip
    found = model.predict(Y)
    for h in range(2):
        assert np.abs(found[:, h] - level).max() < (12 if preset == "paper" else 2)
        assert np.corrcoef(found[:, h].ravel(), level.ravel())[0, 1] > 0.99


def test_backtest_sees_only_rows_before_each_moment(fitted: ecseq.ECSeqForecaster) -> None:
    Y, x = make_series(150, 1), hours(150)
    before = fitted.backtest(Y, x, [90, 120])
    Y[120:] = np.nan
    assert np.array_equal(fitted.backtest(Y, x, [90, 120]), before)
    assert np.array_equal(fitted.predict(Y[:120], x[:122]), before[1])
    Y[90:] = -1e6
    assert np.array_equal(fitted.backtest(Y, x, [90])[0], before[0])


def test_one_series_alone_equals_the_whole(fitted: ecseq.ECSeqForecaster) -> None:
    Y, x = make_series(150, 1), hours(152)
    Y[148, 3] = np.nan
    frozen = pickle.loads(pickle.dumps(fitted.freeze(Y, x)))
    whole = fitted.predict(Y, x)
    rows = fitted.required_rows_ + 2
    for s in range(9):
        one = fitted.predict_one(s, Y[-rows:, s], frozen, x[-rows - 2 :])
        assert np.array_equal(one, whole[s])
    with pytest.raises(ValueError, match="expected one from 8"):
        fitted.predict_one(0, Y[-7:, 0], frozen, x[-9:])
    with pytest.raises(ValueError, match="is not one of the series"):
        fitted.predict_one(9, Y[-rows:, 0], frozen, x[-rows - 2 :])
    wrong = ecseq.FrozenRepresentatives(150, frozen.nodes[:2])
    with pytest.raises(ValueError, match="representatives: expected 4 nodes"):
        fitted.predict_one(0, Y[-rows:, 0], wrong, x[-rows - 2 :])


def test_one_series_alone_under_the_papers_preset() -> None:
    Y = make_series(100, 3, 2)
    model = ecseq.ECSeqForecaster(preset="paper", **SMALL).fit(Y)
    frozen = model.freeze(Y)
    whole = model.predict(Y)
    for s in (0, 4):
        assert np.array_equal(model.predict_one(s, Y[-6:, s], frozen), whole[s])
    assert model.fit_report_["n_representatives"] == 18
    assert {case.members[0] for case in model.explain(Y, series=[4])[1].cases} <= {
        (s, c) for s in range(9) for c in range(2)
    }


def test_files_and_pickles_give_the_same_bits(
    fitted: ecseq.ECSeqForecaster, tmp_path: Path
) -> None:
    Y, x = make_series(150, 1), hours(152)
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    for again in (ecseq.load(path), pickle.loads(pickle.dumps(fitted))):
        assert isinstance(again, ecseq.ECSeqForecaster)
        assert str(again.get_params()) == str(fitted.get_params())
        assert again.fit_report_ == fitted.fit_report_
        assert again.series_names_ == fitted.series_names_
        assert np.array_equal(again.predict(Y, x), fitted.predict(Y, x))
        assert np.array_equal(again.base_predict(Y, x), fitted.base_predict(Y, x))
        assert np.array_equal(again.control_predict(Y, x), fitted.control_predict(Y, x))
        again.save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == path.read_bytes()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ecseq.ModelFileError, match=r"model\.safetensors"):
        ecseq.load(path)
    changed = bytearray(whole)
    changed[-5] ^= 4
    path.write_bytes(changed)
    with pytest.raises(ecseq.ModelFileError, match=r"model\.safetensors"):
        ecseq.load(path)


def test_names_come_from_a_data_frame(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    names = [f"station {i}" for i in range(9)]
    Y = pandas.DataFrame(make_series(120, 4), columns=names)
    model = ecseq.ECSeqForecaster(relation=ecseq.SeriesRelation(3), **SMALL).fit(Y)
    assert sorted(name for members in model.members_ for name in members) == names
    found = model.explain(Y, series=["station 5"])
    assert found[0].series == "station 5"
    assert "It moves with group" in str(found[0])
    model.save(tmp_path / "m")
    assert ecseq.load(tmp_path / "m").series_names_ == names


def test_explanations_say_who_moved_together(fitted: ecseq.ECSeqForecaster) -> None:
    Y, x = make_series(150, 1), hours(152)
    whole = fitted.predict(Y, x)
    found = fitted.explain(Y, x)
    assert [one.series for one in found] == list(range(9))
    for one in found:
        assert np.allclose(one.forecast, whole[one.series])
        assert sum(case.weight for case in one.cases) == pytest.approx(1, abs=1e-5)
        best = one.cases[0]
        assert best.correlation == max(case.correlation for case in one.cases)
        assert best.correlation > 0.5
        assert any(s // 3 == one.series // 3 for s in best.members)
        assert best.errors.shape == (2,)
        assert best.contribution.shape == (2,)


@pytest.mark.parametrize("preset", [None, "paper"])
def test_same_bits_for_any_number_of_threads(preset: str | None) -> None:
    Y = make_series(120, 5)
    one, two = (ecseq.ECSeqForecaster(preset=preset, num_threads=n, **SMALL).fit(Y) for n in (1, 2))
    assert np.array_equal(one.backtest(Y), two.backtest(Y))


def test_own_compressor_and_many_neighbours() -> None:
    from sklearn.cluster import AgglomerativeClustering

    Y = make_series(120, 6)
    relation = ecseq.SeriesRelation(
        compressor=AgglomerativeClustering(n_clusters=3), n_neighbors=50
    )
    model = ecseq.ECSeqForecaster(relation=relation, **SMALL).fit(Y)
    assert model.fit_report_["n_representatives"] == 3
    assert sorted(map(sorted, model.members_)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert len(model.explain(Y)[0].cases) == 3


def test_paper_weights_come_from_torch_state_dicts() -> None:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Floats:
        return rng.uniform(-0.3, 0.3, shape).astype(np.float32)

    encoder = {
        "lstm.weight_ih_l0": draw(256, 1),
        "lstm.weight_hh_l0": draw(256, 64),
        "lstm.bias_ih_l0": draw(256),
        "lstm.bias_hh_l0": draw(256),
        "fc.weight": draw(1, 64),
        "fc.bias": draw(1),
    }
    gnn = {
        "conv1.lin_l.weight": draw(16, 64),
        "conv1.lin_l.bias": draw(16),
        "conv1.lin_r.weight": draw(16, 64),
        "lin.weight": draw(1, 16),
        "lin.bias": draw(1),
    }
    Y = make_series(60, 7)
    given: dict[str, Any] = {"window": 8, "value_range": (0.0, 80.0), "prefix": "lstm."}
    model = ecseq.ECSeqForecaster.from_torch(encoder, gnn, Y, head="fc", **given)

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    # The same in NumPy.
    h = np.zeros((9, 64))
    c = np.zeros((9, 64))
    for row in Y[-8:] / 80.0:
        gates = (
            row[:, None] @ encoder["lstm.weight_ih_l0"].T
            + h @ encoder["lstm.weight_hh_l0"].T
            + encoder["lstm.bias_ih_l0"]
            + encoder["lstm.bias_hh_l0"]
        )
        i, f, g, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    base = 80 * (h @ encoder["fc.weight"].T + encoder["fc.bias"])
    assert np.allclose(model.base_predict(Y), base, rtol=1e-5, atol=1e-4)
    correlation = np.corrcoef(Y.T)  # 9 series, each its own representative
    z = np.stack(
        [
            h[correlation[s] >= 0.5].mean(axis=0) @ gnn["conv1.lin_l.weight"].T
            + gnn["conv1.lin_l.bias"]
            + h[s] @ gnn["conv1.lin_r.weight"].T
            for s in range(9)
        ]
    )
    expected = 80 * (z @ gnn["lin.weight"].T + gnn["lin.bias"])
    assert np.allclose(model.predict(Y), expected, rtol=1e-5, atol=1e-4)

    headless = {name: t for name, t in encoder.items() if name.startswith("lstm")}
    without = ecseq.ECSeqForecaster.from_torch(headless, gnn, Y, **given)
    assert np.array_equal(without.predict(Y), model.predict(Y))
    with pytest.raises(ValueError, match="without a head"):
        without.base_predict(Y)
    with pytest.raises(ValueError, match=r"'fc\.bias' has no place"):
        ecseq.ECSeqForecaster.from_torch(encoder, gnn, Y, **given)

    for name, tensor, message in (
        ("conv1.lin_l.weight", draw(16, 32), r"'conv1\.lin_l\.weight' has shape \[16, 32\]"),
        ("conv1.lin_r.weight", None, r"'conv1\.lin_r\.weight' is missing"),
        ("conv1.lin_l.bias", draw(8), r"'conv1\.lin_l\.bias' has shape \[8\]"),
        ("conv2.lin_l.weight", draw(16, 64), r"expected one SAGEConv"),
        ("extra", draw(3), r"'extra' has no place"),
        ("lin.bias", np.full(1, np.nan, np.float32), r"'lin\.bias' holds a value that is not"),
    ):
        bad = {k: v for k, v in {**gnn, name: tensor}.items() if v is not None}
        with pytest.raises(ValueError, match=message):
            ecseq.ECSeqForecaster.from_torch(encoder, bad, Y, head="fc", **given)
    wide = {**encoder, "lstm.weight_ih_l0": draw(256, 3)}
    with pytest.raises(ValueError, match="with 1 column"):
        ecseq.ECSeqForecaster.from_torch(wide, gnn, Y, head="fc", **given)


def test_odd_series_have_defined_answers() -> None:
    Y = make_series(120, 8)
    Y[:, 2] = 7.0  # never moves
    Y[:, 5] = np.nan  # never known
    Y[30:60, 7] = np.nan
    model = ecseq.ECSeqForecaster(**SMALL).fit(Y)
    assert model.fit_report_["constant_series"] == [2, 5]
    assert model.fit_report_["series_without_values"] == [5]
    assert model.fit_report_["missing_values"] is True
    found = model.predict(Y)
    assert np.isfinite(found).all()
    assert abs(found[2, 0] - 7) < 5
    single = ecseq.ECSeqForecaster(**SMALL).fit(Y[:, :1])  # fewer series than neighbours
    assert single.predict(Y[:, :1]).shape == (1, 1)


def test_bad_input_is_refused_by_name(fitted: ecseq.ECSeqForecaster) -> None:
    Y, x = make_series(80, 9), hours(80)

    def refused(message: str, *args: Any, validation: Any = 0.2, **parameters: Any) -> None:
        with pytest.raises(ValueError, match=message):
            ecseq.ECSeqForecaster(**{**SMALL, **parameters}).fit(*args, validation=validation)

    refused("horizon: expected at least 1, got 0", Y, horizon=0)
    refused("window: expected an integer", Y, window=2.5)
    refused("window: 80 steps and what else", Y, window=80)
    refused("cell: 'rnn' is not one of", Y, cell="rnn")
    refused("loss: 'mae' is not one of", Y, loss="mae")
    refused("relation: expected 'series'", Y, relation="none")
    refused("preset: 'best' is not one of", Y, preset="best")
    refused("exogenous: preset='paper' reads the series alone", Y, x, preset="paper")
    refused("n_neighbors: expected at least 1", Y, relation=ecseq.SeriesRelation(n_neighbors=0))
    refused("attach: 'epsilon' is not one of", Y, relation=ecseq.SeriesRelation(attach="epsilon"))
    refused(
        "compressor: 'best' is not one of", Y, relation=ecseq.SeriesRelation(3, compressor="best")
    )
    refused(r"Y: expected \[time, series\]", Y[:, 0])
    refused("Y: expected numbers", Y.astype(str))
    refused("Y: value at step 3, series 1 is infinite", np.where(Y[3, 1] == Y, np.inf, Y))
    refused("Y: every value of the training rows is missing", np.full_like(Y, np.nan))
    refused("exogenous: expected 80 rows, one for each of Y, got 79", Y, x[:79])
    missing = x.copy()
    missing[4, 1] = np.nan
    refused("exogenous: .*row 4, column 1", Y, missing)
    refused(r"validation: expected a share in \(0, 1\), got 1.5", Y, validation=1.5)
    refused("validation: expected its first row", Y, validation=80)
    refused("learning_rate: expected a positive number", Y, learning_rate=-1)

    with pytest.raises(ValueError, match="exogenous: expected 82 rows"):
        fitted.predict(Y, x)
    with pytest.raises(ValueError, match="exogenous: expected 2 features, got 0"):
        fitted.predict(Y)
    with pytest.raises(ValueError, match=r"Y: expected \[time, 9\]"):
        fitted.predict(Y[:, :8], hours(82))
    with pytest.raises(ValueError, match="times: expected row numbers"):
        fitted.backtest(Y, x, [30.5])
    with pytest.raises(ValueError, match="moment 5: expected one from 8"):
        fitted.backtest(Y, x, [5])
    with pytest.raises(ValueError, match="control: 'forest' is not one of"):
        fitted.control_predict(Y, hours(82), control="forest")
    base_only = ecseq.ECSeqForecaster(relation=None, **SMALL).fit(Y)
    assert np.array_equal(base_only.predict(Y), base_only.base_predict(Y))
    with pytest.raises(ValueError, match="freeze: the forecasts are the base's alone"):
        base_only.freeze(Y)


def test_is_a_scikit_learn_estimator() -> None:
    model = ecseq.ECSeqForecaster(3, relation=ecseq.SeriesRelation(5), loss="units")
    copy = clone(model)
    assert copy.horizon == 3
    assert copy.relation.n_representatives == 5
    assert copy.set_params(relation__n_neighbors=2).relation.n_neighbors == 2


def test_progress_is_told_and_interrupts() -> None:
    Y = make_series(120, 10)
    stages: list[str] = []

    def stop(stage: str, done: int, total: int, message: str) -> None:
        stages.append(stage)
        if stage == "gnn":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ecseq.ECSeqForecaster(verbose=stop, **SMALL).fit(Y)
    assert {"encoder", "embed", "gnn"} <= set(stages)


@pytest.mark.skipif(
    not os.environ.get("ECSEQ_DATA"),
    reason="ECSEQ_DATA does not name the folder of public data sets",
)
def test_other_cells_tell_bike_trips_that_a_cell_alone_does_not() -> None:
    archive = np.load(Path(os.environ["ECSEQ_DATA"]) / "nyc_bike1_tail/nyc_bike1_tail.npz")
    flow = archive["flow"].astype(np.float32)
    flow = flow[:, flow.sum(axis=(0, 2)) > 0]
    angle = np.arange(len(flow)) / 24 * 2 * np.pi
    hour = np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], axis=1)
    model = ecseq.ECSeqForecaster(
        relation=ecseq.SeriesRelation(40, n_neighbors=8),
        loss="units",
        batch_size=128,
        weight_decay=0.1,
        random_state=0,
    ).fit(flow[:435], hour[:435], validation=370)
    times = np.arange(435, len(flow))

    def rmse(forecast: Floats) -> float:
        return float(np.sqrt(np.mean((forecast[:, :, 0] - flow[435:]) ** 2)))

    related = rmse(model.backtest(flow, hour, times))
    assert related < 0.98 * rmse(model.control_backtest(flow, hour, times))
    assert related < rmse(model.base_backtest(flow, hour, times))
