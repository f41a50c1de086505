"""Every compressor at several K/N on public data: what it keeps, what it is worth, what it costs.

    python ablation.py --data /path/to/data --output results

Rows go to ablation.csv one by one; started again, the same command goes on where it stopped.
README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ablation_report
import child
import page
from ablation_data import DATA_SETS
from ablation_report import Cell
from catalogue import CATALOGUE

PROGRAM = Path(__file__).parent / "ablation_jobs.py"
SHARES = (0.001, 0.005, 0.01, 0.05)
FINAL = ("done", "refused", "not finished", "out of memory")  # not to be tried again
QUICK_SHARES = (0.01, 0.05)
QUICK_ROWS = 2000


@dataclass(frozen=True)
class Settings:
    """Of one run."""

    data: Path
    output: Path
    seeds: int
    rows: int
    epochs: int
    threads: int
    limit_seconds: float
    limit_mb: float
    downstream_limit: float

    def run(self, job: dict[str, Any]) -> child.Outcome:
        return child.run(
            PROGRAM,
            job,
            threads=self.threads,
            limit_seconds=self.limit_seconds,
            limit_mb=self.limit_mb,
        )


@dataclass(frozen=True)
class Embedded:
    """The embeddings of a data set, a file per seed, and the scores of the encoder's head."""

    files: list[str]
    n: int
    base: list[float]


def embedded(settings: Settings, name: str) -> Embedded:
    """Trains the encoders that are not there yet."""
    folder = settings.output / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    files, base = [], []
    for seed in range(settings.seeds):
        file = folder / f"{name}-{settings.rows}-{settings.epochs}-{seed}.npz"
        report = file.with_suffix(".json")
        if not report.exists():
            job = {
                "job": "embed",
                "set": name,
                "seed": seed,
                "data": str(settings.data),
                "rows": settings.rows,
                "epochs": settings.epochs,
                "embeddings": str(file),
            }
            outcome = settings.run(job)
            if not outcome.done:
                raise SystemExit(f"the encoder of {name}: {outcome.status}: {outcome.message}")
            report.write_text(json.dumps(outcome.values))
        values = json.loads(report.read_text())
        files.append(str(file))
        base.append(values["base"])
    return Embedded(files, values["rows"][0], base)


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """(mean, standard deviation), None where there are too few."""
    return (
        statistics.mean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
    )


def measured(settings: Settings, name: str, data: Embedded, compressor: str, share: float) -> Cell:
    metric = DATA_SETS[name].metric
    k = max(2, round(share * data.n))
    outcome = settings.run(
        {
            "job": "cell",
            "name": compressor,
            "k": k,
            "metric": metric,
            "embeddings": data.files,
            "downstream_limit": settings.downstream_limit,
        }
    )
    base_mean, base_sd = spread(data.base)
    known = {
        "data_set": name,
        "compressor": compressor,
        "share": share,
        "n": data.n,
        "k": k,
        "seeds": settings.seeds,
        "metric": metric,
        "base_mean": base_mean,
        "base_sd": base_sd,
        "status": outcome.status,
    }
    if not outcome.done:
        return Cell(**known, note=outcome.message)
    values = outcome.values
    mean, sd = spread(values["downstream"])
    linear_mean, linear_sd = spread(values["linear"])
    return Cell(
        **known,
        representatives=values["representatives"],
        reconstruction=values["reconstruction"],
        purity=values["purity"],
        mean=mean,
        sd=sd,
        linear_mean=linear_mean,
        linear_sd=linear_sd,
        gated=None if mean is None else values["gated"],
        seconds=outcome.seconds,
        peak_mb=outcome.peak_mb,
        downstream_seconds=values.get("downstream_seconds"),
        note=values["note"],
    )


def names(parser: argparse.ArgumentParser, option: str, given: str, known: Any) -> list[str]:
    chosen = given.split(",")
    for name in chosen:
        if name not in known:
            parser.error(f"{option}: {name!r} is not one of {', '.join(known)}")
    return chosen


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("ECSEQ_DATA"), help="default: $ECSEQ_DATA")
    parser.add_argument(
        "--sets", default=",".join(DATA_SETS), help="some of " + ",".join(DATA_SETS)
    )
    parser.add_argument(
        "--only", default=",".join(CATALOGUE), help="compressors, some of " + ",".join(CATALOGUE)
    )
    parser.add_argument("--seeds", type=int, default=5, help="of encoder, compressor and estimator")
    parser.add_argument("--rows", type=int, default=30_000, help="training rows at most")
    parser.add_argument("--epochs", type=int, default=50, help="of the encoder at most")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROWS} rows, one seed, two K/N"
    )
    parser.add_argument(
        "--restart", action="store_true", help="measure all cells anew; the encoders stay"
    )
    parser.add_argument("--limit-seconds", type=float, default=600, help="of one cell")
    parser.add_argument("--limit-mb", type=float, default=8000, help="data memory of one cell")
    parser.add_argument(
        "--downstream-limit",
        type=float,
        default=8,
        help="seconds of a compression above which the estimators are left out",
    )
    parser.add_argument("--output", type=Path, default=Path("ablation"))
    parser.add_argument("--page", type=Path, help="put the tables into this page, the plot beside")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data is: --data or the environment variable ECSEQ_DATA")
    arguments.sets = names(parser, "--sets", arguments.sets, DATA_SETS)
    arguments.only = names(parser, "--only", arguments.only, CATALOGUE)
    for name in arguments.sets:
        if not (Path(arguments.data) / DATA_SETS[name].file).exists():
            parser.error(f"no file {Path(arguments.data) / DATA_SETS[name].file}")
    return arguments


def main() -> None:
    arguments = parse()
    quick = arguments.quick
    settings = Settings(
        data=Path(arguments.data),
        output=arguments.output,
        seeds=1 if quick else arguments.seeds,
        rows=QUICK_ROWS if quick else arguments.rows,
        epochs=5 if quick else arguments.epochs,
        threads=arguments.threads,
        limit_seconds=arguments.limit_seconds,
        limit_mb=arguments.limit_mb,
        downstream_limit=arguments.downstream_limit,
    )
    settings.output.mkdir(parents=True, exist_ok=True)
    table = settings.output / "ablation.csv"
    there = {
        cell.key: cell
        for cell in ablation_report.read_cells(table)
        if cell.status in FINAL and not arguments.restart
    }
    ablation_report.write(table, there.values())
    found: list[Cell] = []
    begin = time.perf_counter()
    for name in arguments.sets:
        data = embedded(settings, name)
        for compressor in arguments.only:
            for share in QUICK_SHARES if quick else SHARES:
                key = name, compressor, share, data.n, settings.seeds
                cell = there.get(key)
                if cell is None:
                    cell = measured(settings, name, data, compressor, share)
                    ablation_report.append(table, cell)
                    print(f"{name} {ablation_report.row_text(cell)}", flush=True)
                found.append(cell)
    text = ablation_report.markdown(found)
    (settings.output / "ablation.md").write_text(text + "\n")
    if any(cell.status == "done" for cell in found):
        ablation_report.plot(found, settings.output / "ablation.svg")
    if arguments.page:
        shown = f"![Quality against seconds](figures/ablation.svg)\n\n{text}"
        page.insert(arguments.page, "ablation", shown)
        figures = arguments.page.parent / "figures"
        ablation_report.plot(found, figures / "ablation.svg")
    print(f"{settings.output}/ablation.md: {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
