"""Forecasts of parallel series: what relations by series are worth, as a Markdown table.

    python series.py --data /path/to/data --seeds 5 --output results

Rows of a table: the last value; the same hour a week before; the base (encoder and linear head,
stopped early); the fair control, an MLP that knows what the relation layer knows of a series itself
(embedding, number, own last error); the paper's released traffic model (preset="paper"), which
reads the series alone and trains by its own protocol; the relation layer with every series its own
representative; and with representatives. Options were chosen on the validation rows; the test rows
are forecast once, each from the rows before it. Counts: forecasts below 0 are 0.

Figures go to series.jsonl fit by fit; started again, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from series_data import SETS, WEEK, SeriesSet

import ecseq
from ecseq.metrics import paired_difference

Floats = NDArray[np.float32]
Figures = dict[str, dict[str, float]]  # by row: rmse, mae

# Neighbours, representatives and sizes were compared on the validation rows.
OPTIONS: dict[str, dict[str, Any]] = {
    "nyc_bike1_tail": {"batch_size": 128, "weight_decay": 0.1},
    "pedestrian_melbourne": {
        "batch_size": 256,
        "weight_decay": 0.1,
        "learning_rate": 2e-3,
        "encoder_max_epochs": 20,
        "max_epochs": 25,
        "max_moments": 1500,
    },
}
REPRESENTATIVES = {"nyc_bike1_tail": 40, "pedestrian_melbourne": 27}
PAPER: dict[str, dict[str, Any]] = {
    "nyc_bike1_tail": {},
    "pedestrian_melbourne": {"max_moments": 600},
}
# Largest RMSE that is claimed, in percent of the base's and of the control's.
CLAIMS = {"nyc_bike1_tail": (-10.0, -4.0), "pedestrian_melbourne": (-7.0, 0.0)}

BASE, CONTROL, RELATED = "base (LSTM)", "MLP control", "relations by series"
ROWS = (
    "last value",
    "same hour last week",
    BASE,
    CONTROL,
    'preset="paper"',
    'base of preset="paper"',
    "relations, uncompressed",
    RELATED,
)

JOBS = ("naive", "related", "uncompressed", "paper")


def errors(forecast: Floats, truth: Floats) -> dict[str, float]:
    """forecast, truth: [moments, series(, channels)]"""
    error = (np.maximum(forecast, 0) - truth)[~np.isnan(truth)].astype(np.float64)
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}


def filled(Y: Floats) -> Floats:
    """Missing values are the last known one, and 0 before the first."""
    known = ~np.isnan(Y)
    last = np.maximum.accumulate(
        np.where(known, np.arange(len(Y)).reshape(-1, *[1] * (Y.ndim - 1)), 0), axis=0
    )
    return np.nan_to_num(np.take_along_axis(Y, last, axis=0))


class Fits:
    """What is fitted with one seed; each method forecasts the test rows and gives rows of the
    table."""

    def __init__(self, data: SeriesSet, seed: int, threads: int | None) -> None:
        self._data = data
        self._common = {"random_state": seed, "num_threads": threads}
        self._past = data.Y[: data.test]
        self._features = data.exogenous[: data.test]
        self._truth = data.Y[data.test :]
        self._times = np.arange(data.test, len(data.Y))

    def naive(self) -> Figures:
        whole = filled(self._data.Y)
        begin, end = self._data.test, len(whole)
        return {
            name: errors(whole[begin - lag : end - lag], self._truth)
            for name, lag in (("last value", 1), ("same hour last week", WEEK))
        }

    def related(self) -> Figures:
        model = self._fit_related(REPRESENTATIVES[self._data.name])
        return {
            BASE: self._errors(model.base_backtest),
            CONTROL: self._errors(model.control_backtest),
            RELATED: self._errors(model.backtest),
        }

    def uncompressed(self) -> Figures:
        model = self._fit_related(self._past.shape[1], controls=False)
        return {"relations, uncompressed": self._errors(model.backtest)}

    def paper(self) -> Figures:
        model = ecseq.ECSeqForecaster(preset="paper", **PAPER[self._data.name], **self._common)
        model.fit(self._past, validation=self._data.validation)
        return {
            'preset="paper"': self._errors(model.backtest, None),
            'base of preset="paper"': self._errors(model.base_backtest, None),
        }

    def _fit_related(self, n_representatives: int, **more: Any) -> ecseq.ECSeqForecaster:
        relation = ecseq.SeriesRelation(n_representatives, n_neighbors=8)
        options = {**OPTIONS[self._data.name], **self._common, **more}
        model = ecseq.ECSeqForecaster(relation=relation, loss="units", **options)
        return model.fit(self._past, self._features, validation=self._data.validation)

    def _errors(self, backtest: Any, *features: Any) -> dict[str, float]:
        given = features or (self._data.exogenous,)
        return errors(backtest(self._data.Y, *given, self._times)[:, :, 0], self._truth)


def run(data: SeriesSet, seed: int, job: str, threads: int | None, log: Path) -> None:
    start = time.perf_counter()
    found = getattr(Fits(data, seed, threads), job)()
    line = {"set": data.name, "seed": seed, "job": job, "rows": found}
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n")
    figures = ", ".join(f"{name} {figure['rmse']:.3f}" for name, figure in found.items())
    print(f"{data.name}, seed {seed}, {time.perf_counter() - start:.0f} s: {figures}", flush=True)


def spread(values: list[float]) -> str:
    if len(set(values)) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def against(row: dict[int, float], other: dict[int, float]) -> tuple[float, str]:
    """Mean difference in percent of the other, paired by seed, and its interval."""
    seeds = sorted(set(row) & set(other))
    if len(seeds) < 2:
        return float("nan"), ""
    ratio = np.array([100 * row[seed] / other[seed] for seed in seeds])
    found = paired_difference(ratio, np.full(len(ratio), 100.0))
    return found.mean, f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def table(data: SeriesSet, lines: list[dict[str, Any]]) -> str:
    """lines: of this data set, as `run` writes them."""
    rmse: dict[str, dict[int, float]] = {name: {} for name in ROWS}
    mae: dict[str, dict[int, float]] = {name: {} for name in ROWS}
    for line in lines:
        for name, figure in line["rows"].items():
            rmse[name][line["seed"]] = figure["rmse"]
            mae[name][line["seed"]] = figure["mae"]
    out = [
        f"**{data.name}** ({data.Y.shape[1]} series, {data.test} hours to learn from, of which "
        f"{data.test - data.validation} validate, {len(data.Y) - data.test} hours of test; "
        "mean ± sd)",
        "",
        "| | seeds | RMSE | MAE | RMSE - base, % [95 %] | RMSE - control, % [95 %] |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in ROWS:
        if not rmse[name]:
            continue
        found = [spread(list(figures[name].values())) for figures in (rmse, mae)]
        found += ["" if name == o else against(rmse[name], rmse[o])[1] for o in (BASE, CONTROL)]
        out.append("| " + " | ".join([name, str(len(rmse[name])), *found]) + " |")
    out.append("")
    for other, claim in zip((BASE, CONTROL), CLAIMS[data.name], strict=True):
        mean, text = against(rmse[RELATED], rmse[other])
        verdict = "met" if mean <= claim else "missed"
        out.append(f"- {RELATED} against {other}: {text} %, asked for {claim:+.0f} %: {verdict}")
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", default=",".join(SETS), help="which data sets")
    parser.add_argument("--jobs", default=",".join(JOBS), help="which fits")
    parser.add_argument("--threads", type=int, default=None)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "series.jsonl"

    def lines() -> list[dict[str, Any]]:
        text = log.read_text() if log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    sets = [SETS[name](given.data) for name in given.sets.split(",")]
    for data in sets:
        for seed in range(given.seeds):
            for job in given.jobs.split(","):
                done = {(line["set"], line["seed"], line["job"]) for line in lines()}
                if (data.name, seed, job) not in done:
                    run(data, seed, job, given.threads, log)
    pages = [table(data, [x for x in lines() if x["set"] == data.name]) for data in sets]
    (given.output / "series.md").write_text("\n".join(pages))
    print("\n".join(pages))


if __name__ == "__main__":
    main()
