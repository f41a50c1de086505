"""The whole job on simulated payments: train, compress, relate, compare, explain, report."""

from __future__ import annotations

import csv
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ecseq
from ecseq.demo.report import (
    METRIC_NAMES,
    DataSummary,
    DemoResults,
    ExplainedCase,
    RepresentativeMap,
    Variant,
    mean_and_deviation,
    write_report,
)
from ecseq.demo.simulator import LABEL_DELAY_DAYS, ORDINARY, STOLEN_CARD, simulate
from ecseq.demo.splitting import TimeSplit, split_by_time
from ecseq.metrics import binary_metrics, paired_difference

Say = Callable[[str], None]

FEATURES = ("log_amount", "log_gap", "hour_sin", "hour_cos", "weekend")
BASE = "base encoder (LSTM)"
CONTROLS = {
    "logistic_regression": "logistic regression on its embedding",
    "mlp": "small neural network on its embedding",
}
_SHOWN_EVENTS = 7
_DAY = 86_400.0


@dataclass(frozen=True)
class DemoOptions:
    """What the demonstration runs; the defaults take less than three minutes on two cores."""

    out: Path = Path("ecseq-demo")
    n_seeds: int = 5
    n_cards: int = 600
    n_terminals: int = 300
    days: int = 120
    window: int = 15
    max_epochs: int = 15
    num_threads: int | None = None

    @classmethod
    def quick(cls, out: Path = Path("ecseq-demo"), num_threads: int | None = None) -> DemoOptions:
        """One run on a smaller town, for a look at the page in seconds."""
        return cls(
            out=out,
            n_seeds=1,
            n_cards=200,
            n_terminals=100,
            max_epochs=6,
            num_threads=num_threads,
        )


@dataclass
class _Job:
    """One seed's data and models, kept while the report needs them."""

    frame: pd.DataFrame
    windows: Any  # ecseq.Sequences, one per payment
    split: TimeSplit
    labels: NDArray[np.int64]
    base_scores: NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def _relations() -> dict[str, list[Any]]:
    """The compared sets of relations; the last one is the demonstration's main model."""

    def entity() -> Any:
        return ecseq.EntityRelation("terminal", memory=24, label_delay=f"{LABEL_DELAY_DAYS}d")

    return {
        "ECSeq, by similarity": [ecseq.SimilarityRelation()],
        "ECSeq, by terminal": [entity()],
        "ECSeq, by both": [ecseq.SimilarityRelation(), entity()],
    }


def add_features(frame: pd.DataFrame) -> pd.DataFrame:
    """The payments with the columns that the encoder reads; nothing about the terminal."""
    angle = frame["hour"].to_numpy(dtype=np.float64) * (2 * np.pi / 24)
    return frame.assign(
        log_amount=np.log(frame["amount"].to_numpy()),
        log_gap=np.log1p(frame["gap_hours"].to_numpy()),
        hour_sin=np.sin(angle),
        hour_cos=np.cos(angle),
        weekend=(frame["weekday"].to_numpy() >= 5).astype(np.float64),
    )


def _run_seed(options: DemoOptions, seed: int, say: Say) -> _Job:
    frame = add_features(
        simulate(seed, n_cards=options.n_cards, n_terminals=options.n_terminals, days=options.days)
    )
    sequences = ecseq.Sequences.from_frame(
        frame,
        by="card",
        time="ts",
        features=list(FEATURES),
        label="fraud",
        entities=["terminal"],
    )
    windows = sequences.windows(options.window)
    split = split_by_time(
        windows.end_times,
        validation_fraction=0.25,
        test_fraction=0.27,
        label_delay=LABEL_DELAY_DAYS * _DAY,
    )
    labels = np.asarray(windows.labels, dtype=np.int64)
    training, validation = windows[split.training], windows[split.validation]

    started = time.perf_counter()
    encoder = ecseq.SequenceEncoder(
        cell="lstm",
        hidden_size=32,
        max_epochs=options.max_epochs,
        random_state=seed,
        num_threads=options.num_threads,
    )
    encoder.fit(training, validation=validation)
    encoder_seconds = time.perf_counter() - started
    test = windows[split.test]
    base_scores = encoder.predict_proba(test)[:, 1].astype(np.float64)
    job = _Job(frame, windows, split, labels, base_scores)
    measured = binary_metrics(labels[split.test], job.base_scores)
    say(f"seed {seed}: {BASE:<24}{_in_words(measured)}  ({encoder_seconds:.1f} s)")

    # The test is replayed from the moment the labels stop being known for certain.
    later = np.flatnonzero(split.waiting | split.test)
    is_test = split.test[later]
    compared = _relations()
    main = list(compared)[-1]
    for name, relations in compared.items():
        started = time.perf_counter()
        model = ecseq.ECSeqClassifier(
            encoder=encoder,
            relations=relations,
            controls=name == main,
            random_state=seed,
            num_threads=options.num_threads,
        )
        model.fit(training, validation=validation)
        fit_seconds = time.perf_counter() - started
        job.scores[name] = model.replay(windows[later])[is_test].astype(np.float64)
        job.models[name] = model
        measured = binary_metrics(labels[split.test], job.scores[name])
        say(f"seed {seed}: {name:<24}{_in_words(measured)}  ({fit_seconds:.1f} s)")
        stages = {**model.fit_report_["seconds"], "encoder": encoder_seconds}
        job.seconds = {stage: value for stage, value in stages.items() if stage != "total"}
    return job


def _in_words(measured: dict[str, float]) -> str:
    return (
        f"AUC {100 * measured['auc']:5.1f}   AP {100 * measured['ap']:5.1f}   "
        f"R@P0.9 {100 * measured['recall_at_p90']:5.1f}"
    )


def _choose_cases(job: _Job, scores: NDArray[np.float64]) -> list[int]:
    """Three of the highest scored test payments, of different cards: one of a stolen card, one at
    a compromised terminal, and a false alarm where there is one; positions in the test part."""
    test_rows = job.windows.end_rows[job.split.test]
    cause = job.frame["cause"].to_numpy()[test_rows]
    card = job.frame["card"].to_numpy()[test_rows]
    n_alarms = max(3, int(job.labels[job.split.test].sum()) // 2)
    alarms = np.argsort(-scores, kind="stable")[:n_alarms]
    chosen: list[int] = []

    def take(candidates: NDArray[np.int64]) -> None:
        taken = {card[i] for i in chosen}
        new = next((int(i) for i in candidates if card[i] not in taken), None)
        if new is not None and len(chosen) < 3:
            chosen.append(new)

    lift = alarms[np.argsort(-(scores - job.base_scores)[alarms], kind="stable")]
    take(alarms[cause[alarms] == STOLEN_CARD])
    take(lift[(cause[lift] != STOLEN_CARD) & (cause[lift] != ORDINARY)])
    take(alarms[cause[alarms] == ORDINARY])
    for _ in range(3):
        take(alarms)
    return chosen


def _explain(job: _Job, name: str) -> tuple[ExplainedCase, ...]:
    """Explain flagged payments at their moment: the model is first brought up to it."""
    model, scores = job.models[name], job.scores[name]
    later = np.flatnonzero(job.split.waiting | job.split.test)
    test = np.flatnonzero(job.split.test)
    times = job.windows.end_times
    cases = []
    seen = -np.inf
    for position in sorted(_choose_cases(job, scores), key=lambda i: float(times[test[i]])):
        index = test[position]
        happened = later[(times[later] > seen) & (times[later] < times[index])]
        if happened.size:
            model.partial_fit(job.windows[happened])
            seen = float(times[happened].max())
        explanation = model.explain(job.windows[[index]])[0]
        row = job.frame.iloc[job.windows.end_rows[index]]
        history = job.frame[(job.frame["card"] == row["card"]) & (job.frame["ts"] <= row["ts"])]
        events = tuple(
            (
                f"{event.ts:%d %b %H:%M}",
                f"{event.amount:.2f}",
                _since(float(event.gap_hours)),
                str(event.terminal),
            )
            for event in history.tail(_SHOWN_EVENTS).itertuples()
        )
        cases.append(
            ExplainedCase(
                title=f"Card {row['card']}, {row['ts']:%d %B %H:%M}: {row['amount']:.2f} at "
                f"terminal {row['terminal']}",
                score=float(explanation.score),
                base_score=float(explanation.base_score),
                is_fraud=bool(row["fraud"]),
                cause=str(row["cause"]),
                words=str(explanation),
                event_columns=("time", "amount", "after", "terminal"),
                events=events,
            )
        )
    return tuple(cases)


def _since(hours: float) -> str:
    if hours < 1.0:
        return f"{60 * hours:.0f} min"
    return f"{hours:.0f} h" if hours < 48.0 else f"{hours / 24:.0f} d"


def _positive_share(label_mix: Any) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.asarray(label_mix, dtype=np.float64)[:, -1]
    return share


def _write_results(results: DemoResults, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "model", *results.base.metrics[0]])
        for variant in (results.base, *results.variants):
            for seed, measured in zip(results.seeds, variant.metrics, strict=True):
                writer.writerow([seed, variant.name, *(f"{v:.6f}" for v in measured.values())])


def _say_table(results: DemoResults, say: Say) -> None:
    several = len(results.seeds) > 1
    say("")
    say(
        f"{'in percent, on the test part':<38}" + "".join(f"{n:>17}" for n in METRIC_NAMES.values())
    )
    for variant in (results.base, *results.controls, *results.variants):
        cells, gains = [], []
        for metric in METRIC_NAMES:
            values = [measured[metric] for measured in variant.metrics]
            base = [measured[metric] for measured in results.base.metrics]
            mean, deviation = mean_and_deviation(values)
            cells.append(f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if several else ""))
            gain = f"{100 * (mean - mean_and_deviation(base)[0]):+.1f}"
            if several:
                difference = paired_difference(values, base)
                gain += f" [{100 * difference.low:.0f}, {100 * difference.high:.0f}]"
            gains.append(gain)
        say(f"{variant.name:<38}" + "".join(f"{cell:>17}" for cell in cells))
        if variant is not results.base:
            say(f"{'  against the base':<38}" + "".join(f"{gain:>17}" for gain in gains))


def run_demo(options: DemoOptions | None = None, say: Say = print) -> DemoResults:
    """Run the demonstration and write ``report.html`` and ``results.csv`` to ``options.out``.

    Every seed has its own simulation and training, so the intervals speak of the simulator and
    not of one table that it made.
    """
    options = options or DemoOptions()
    if options.n_seeds < 1:
        raise ValueError(f"n_seeds: expected at least 1, got {options.n_seeds}")
    started = time.perf_counter()
    names = list(_relations())
    main = names[-1]
    base_metrics, labels, base_scores, main_scores = [], [], [], []
    metrics: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    controls: dict[str, list[dict[str, float]]] = {name: [] for name in CONTROLS}
    seconds: dict[str, float] = {}
    first: _Job | None = None
    for seed in range(options.n_seeds):
        job = _run_seed(options, seed, say)
        test_labels = job.labels[job.split.test]
        labels.append(test_labels.astype(np.float64))
        base_scores.append(job.base_scores)
        main_scores.append(job.scores[main])
        base_metrics.append(binary_metrics(test_labels, job.base_scores))
        for name in names:
            metrics[name].append(binary_metrics(test_labels, job.scores[name]))
        for name in CONTROLS:
            scores = job.models[main].control_scores(job.windows[job.split.test], name)
            controls[name].append(binary_metrics(test_labels, scores))
        for stage, value in job.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + value / options.n_seeds
        first = first or job
    assert first is not None
    representatives = first.models[main].representatives_
    results = DemoResults(
        data=DataSummary(
            n_cards=options.n_cards,
            n_terminals=options.n_terminals,
            n_payments=len(first.frame),
            n_training=int(first.split.training.sum()),
            n_validation=int(first.split.validation.sum()),
            n_test=int(first.split.test.sum()),
            fraud_rate=float(first.labels.mean()),
            days=options.days,
            window=options.window,
            label_delay_days=LABEL_DELAY_DAYS,
        ),
        seeds=tuple(range(options.n_seeds)),
        labels=tuple(labels),
        base=Variant(BASE, tuple(base_metrics), tuple(base_scores)),
        variants=tuple(
            Variant(name, tuple(metrics[name]), tuple(main_scores) if name == main else ())
            for name in names
        ),
        controls=tuple(Variant(CONTROLS[name], tuple(controls[name])) for name in CONTROLS),
        representatives=RepresentativeMap(
            vectors=np.asarray(representatives.vectors, dtype=np.float64),
            mass=np.asarray(representatives.mass, dtype=np.float64),
            fraud_share=_positive_share(representatives.label_mix),
        ),
        cases=_explain(first, main),
        seconds=seconds,
        total_seconds=time.perf_counter() - started,
        versions={
            "ecseq": ecseq.__version__,
            "NumPy": np.__version__,
            "Python": platform.python_version(),
            "cores": str(os.cpu_count()),
        },
    )
    report = write_report(results, options.out / "report.html")
    _write_results(results, options.out / "results.csv")
    _say_table(results, say)
    for case in results.cases:
        say("")
        say(case.title + (f" ({case.cause})" if case.is_fraud else " (a false alarm)"))
        say(case.words)
    say("")
    say("The data is simulated, and fraud at terminals is part of its design.")
    say(f"{results.total_seconds:.0f} s; report: {report}")
    return results
