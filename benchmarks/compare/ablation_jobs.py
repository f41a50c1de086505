"""What ablation.py runs, one job per process: ablation_jobs.py JSON. See child.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import catalogue
import numpy as np
from child import Meter, answer
from numpy.typing import NDArray

import ecseq
from ecseq.metrics import average_precision, rmse, roc_auc

PARTS = ("train", "validation", "test")
METRICS = {"auc": roc_auc, "ap": average_precision, "rmse": rmse}


def embed(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Trains the base encoder and writes embeddings and labels of all parts."""
    from ablation_data import DATA_SETS

    ecseq.set_num_threads(job["threads"])
    data_set = DATA_SETS[job["set"]]
    rng = np.random.default_rng(job["seed"])
    parts = data_set.read(Path(job["data"]) / data_set.file, job["rows"], rng)
    encoder = ecseq.SequenceEncoder(
        cell="gru",
        hidden_size=32,
        categorical=data_set.categorical,
        task="regression" if data_set.regression else "classification",
        max_epochs=job["epochs"],
        random_state=job["seed"],
    )
    with meter:
        encoder.fit(parts.train, validation=parts.validation)
    arrays = {}
    for name in PARTS:
        part = getattr(parts, name)
        arrays[f"x_{name}"] = encoder.transform(part)
        arrays[f"y_{name}"] = part.labels
    np.savez(job["embeddings"], **arrays)
    np.save(Path(job["embeddings"]).with_suffix(".npy"), arrays["x_train"])
    if data_set.regression:
        scores = encoder.predict(parts.test)
    else:
        scores = encoder.predict_proba(parts.test)[:, 1]
    return {
        "base": METRICS[data_set.metric](parts.test.labels, scores),
        "rows": [len(getattr(parts, name)) for name in PARTS],
    }


def standardised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Columns of mean 0 and deviation 1; a constant column is 0."""
    deviation = x.std(axis=0, dtype=np.float64)
    scaled = (x - x.mean(axis=0, dtype=np.float64)) / np.where(deviation > 0, deviation, 1)
    return scaled.astype(np.float32)


def reconstruction_error(x: NDArray[np.float32], compressor: Any) -> float:
    """||X - phi X_com||_F / ||X||_F, row i of phi X_com being the representative of row i."""
    rebuilt = compressor.representatives_.vectors[compressor.assignment_]
    difference = np.square(x - rebuilt, dtype=np.float64).sum()
    return float(np.sqrt(difference / np.square(x, dtype=np.float64).sum()))


def purity(compressor: Any, y: NDArray[Any], regression: bool) -> float:
    """Share of the rows that are of their representative's majority class; for a real-valued y the
    share of its variance that the representatives' means explain."""
    found = compressor.representatives_
    if not regression:
        return float((found.mass * found.label_mix.max(axis=1)).sum() / found.mass.sum())
    between = (found.mass * np.square(found.label_mix - y.mean(dtype=np.float64))).sum()
    return float(between / np.square(y - y.mean(dtype=np.float64)).sum())


def cell(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """One compressor at one K: alone on the embeddings of the first seed, which is what seconds and
    memory are of; then the whole estimator with it, a value per seed."""
    ecseq.set_num_threads(job["threads"])
    regression = job["metric"] == "rmse"
    with np.load(job["embeddings"][0]) as arrays:
        x, y = standardised(arrays["x_train"]), arrays["y_train"]
    compressor = catalogue.make(job["name"], job["k"], random_state=0)
    with meter:
        catalogue.fitted(compressor, x, y)
    values = {
        "representatives": len(compressor.representatives_),
        "reconstruction": reconstruction_error(x, compressor),
        "purity": purity(compressor, y, regression),
        "note": compressor.report_["note"],
        "downstream": [],
        "linear": [],
        "gated": 0,
    }
    if meter.seconds > job["downstream_limit"]:
        values["note"] += f" downstream left out: a compression takes {meter.seconds:.0f} s"
        return values
    begin = time.perf_counter()
    for seed, path in enumerate(job["embeddings"]):
        value, linear, kept_base = downstream(job, Path(path), seed, regression)
        values["downstream"].append(value)
        values["linear"].append(linear)
        values["gated"] += kept_base
    values["downstream_seconds"] = time.perf_counter() - begin
    return values


def downstream(
    job: dict[str, Any], path: Path, seed: int, regression: bool
) -> tuple[float, float, bool]:
    """(metric of the estimator on the test part, of its base, whether the gate kept the base)"""
    with np.load(path) as arrays:
        data = dict(arrays)
    estimator = ecseq.ECSeqRegressor if regression else ecseq.ECSeqClassifier
    model = estimator(
        compressor=catalogue.make(job["name"], job["k"], random_state=seed),
        controls=False,
        random_state=seed,
    )
    model.fit(
        data["x_train"], data["y_train"], validation=(data["x_validation"], data["y_validation"])
    )
    x, y, metric = data["x_test"], data["y_test"], METRICS[job["metric"]]
    scores = model.predict(x) if regression else model.predict_proba(x)[:, 1]
    kept_base = model.fit_report_["gate"]["choice"] == "base"
    return metric(y, scores), metric(y, model.base_scores(x)), kept_base


if __name__ == "__main__":
    answer({"embed": embed, "cell": cell})
