"""ecseq's compressors beside FAISS and the published times of Python code; their growth with N.

    python compressors.py --threads 2 --output results

Every job runs in a process of its own, so that its memory can be seen and no job hides another's.
README.md says what each row measures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import child
import growth
import numpy as np
import page
from catalogue import CATALOGUE, GRAPH_COMPRESSORS
from lines import Line, Target, cells, line, markdown
from mixture import starting_rows
from numpy.typing import NDArray

import ecseq

PROGRAM = Path(__file__).parent / "compressor_jobs.py"
ITERATIONS = 20
DEGREE = 10
NEIGHBORS = 10  # of the graphs that are handed to graph compressors
K = 500

# Seconds of the Python code of Loukas, "Graph reduction with spectral and cut guarantees" (JMLR
# 2019), on random regular graphs of degree 10 reduced to half, on another machine: (nodes, seconds,
# how many times faster we want to be).
PUBLISHED = {
    "variation_edges": (108_263, 104, 50),
    "heavy_edge": (108_263, 97, 50),
    "algebraic_jc": (57_361, 54, 50),
    "variation_neighborhoods": (57_361, 70, 30),
}


@dataclass(frozen=True)
class Bench:
    """What the rows share: where data lies, how long jobs may take, and how often they run."""

    folder: Path
    threads: int
    rounds: int
    quick: bool
    limit_seconds: float
    limit_mb: float
    embeddings: tuple[Path, ...]

    def rows(self, full: int) -> int:
        return max(2000, full // 50) if self.quick else full

    def representatives(self, full: int) -> int:
        return max(20, full // 10) if self.quick else full

    def target(self, **promised: Any) -> Target:
        """Nothing is promised of small problems."""
        return Target() if self.quick else Target(**promised)

    def run(self, job: str, **description: Any) -> child.Outcome:
        given = {k: str(v) if isinstance(v, Path) else v for k, v in description.items()}
        return child.run(
            PROGRAM,
            {"job": job, **given},
            threads=self.threads,
            limit_seconds=self.limit_seconds,
            limit_mb=self.limit_mb,
        )

    def prepared(self, job: str, **description: Any) -> child.Outcome:
        """A job without which nothing can go on."""
        outcome = self.run(job, **description)
        if not outcome.done:
            raise SystemExit(f"{job} {description}: {outcome.status}: {outcome.message}")
        return outcome

    def mixture(self, n: int, h: int) -> tuple[Path, Path]:
        """Files of X and y, made once."""
        x, y = (self.folder / f"{name}-{n}-{h}.npy" for name in "xy")
        if not x.exists():
            self.prepared("data", n=n, h=h, seed=1, x=x, y=y)
        return x, y

    def knn_graph(self, x: Path) -> tuple[Path, child.Outcome]:
        """File of the graph of the rows in x, and what it took, made once."""
        path, report = x.with_suffix(".graph.npz"), x.with_suffix(".graph.json")
        if not report.exists():
            outcome = self.prepared("knn_ours", x=x, k=NEIGHBORS, approximate=None, graph=path)
            report.write_text(json.dumps(asdict(outcome)))
        return path, child.Outcome(**json.loads(report.read_text()))

    def points(self) -> Iterator[tuple[str, Path]]:
        """100k rows with their name: a mixture, and real embeddings."""
        x, _ = self.mixture(self.rows(100_000), 32)
        yield "mixture", x
        for path in self.embeddings:
            rows = np.load(path).astype(np.float32)
            copy = self.folder / f"embeddings-{path.name}"
            np.save(copy, rows[: self.rows(100_000)])
            yield path.stem, copy


def shape(x: Path) -> str:
    n, h = np.load(x, mmap_mode="r").shape
    return f"{n:,} x {h}"


def objective(x: NDArray[np.float32], centroids: NDArray[np.float32]) -> float:
    """Sum over all rows of the squared distance to the nearest centroid, for both sides alike."""
    squares = np.einsum("ij,ij->i", centroids, centroids, dtype=np.float64)
    total = 0.0
    for begin in range(0, len(x), 8192):
        rows = x[begin : begin + 8192]
        nearest = np.argmin(squares - 2 * (rows @ centroids.T), axis=1)
        total += float(np.square(rows - centroids[nearest], dtype=np.float64).sum())
    return total


def kmeans(bench: Bench) -> Iterator[Line]:
    for data, path in bench.points():
        yield kmeans_line(bench, data, path, bench.representatives(500))
    path, _ = bench.mixture(bench.rows(1_000_000), 64)
    yield kmeans_line(bench, "mixture", path, bench.representatives(1000))


def kmeans_line(bench: Bench, data: str, path: Path, k: int) -> Line:
    x = np.load(path)
    start = bench.folder / "start.npy"
    np.save(start, starting_rows(x, k, seed=2))
    outcomes: dict[str, list[child.Outcome]] = {"kmeans_ours": [], "kmeans_faiss": []}
    for _ in range(bench.rounds):
        for job, found in outcomes.items():
            centroids = bench.folder / f"{job}.npy"
            found.append(
                bench.run(job, x=path, start=start, centroids=centroids, iterations=ITERATIONS)
            )
    ours, theirs = outcomes.values()
    extra = []
    if all(o.done for o in ours + theirs):
        worth = [objective(x, np.load(bench.folder / f"{job}.npy")) for job in outcomes]
        excess = 100 * (worth[0] / worth[1] - 1)
        extra = [(excess <= 0.5, f"objective {excess:+.3f} % of FAISS's")]
        steps = [o.values["iterations"] for o in (ours[0], theirs[0])]
        extra.append((steps[0] == steps[1], f"{steps[0]} and {steps[1]} iterations"))
    return line(
        "kmeans",
        f"{data}, {shape(path)}, K {k}, {ITERATIONS} iterations",
        ours,
        bench.target(ratio=3),
        against="faiss-cpu",
        theirs=theirs,
        extra=extra,
    )


def balanced(bench: Bench) -> Iterator[Line]:
    x, y = bench.mixture(bench.rows(1_000_000), 32)
    counts = {0: bench.representatives(400), 1: bench.representatives(100)}
    outcomes = [
        bench.run(
            "compress",
            name="balanced_kmeans",
            k=sum(counts.values()),
            parameters={"allocation": counts},
            x=x,
            y=y,
        )
        for _ in range(bench.rounds)
    ]
    problem = f"{shape(x)}, {counts[1]} + {counts[0]}"
    yield line("balanced", problem, outcomes, bench.target(seconds=60, peak_mb=1000))


def knn(bench: Bench) -> Iterator[Line]:
    k = 16
    x, _ = bench.mixture(bench.rows(100_000), 32)
    ours, theirs = [], []
    for _ in range(bench.rounds):
        ours.append(bench.run("knn_ours", x=x, k=k, approximate=False))
        theirs.append(bench.run("knn_faiss", x=x, k=k))
    target, extra = bench.target(ratio=2), recall(ours, 0.999)
    problem = f"exact, {shape(x)}, k {k}"
    yield line("knn", problem, ours, target, against="FAISS flat", theirs=theirs, extra=extra)

    x, _ = bench.mixture(bench.rows(1_000_000), 32)
    ours = [bench.run("knn_ours", x=x, k=k, approximate=True)]
    target, extra = bench.target(seconds=300), recall(ours, 0.95)
    yield line("knn", f"approximate, {shape(x)}, k {k}", ours, target, extra=extra)


def recall(outcomes: list[child.Outcome], least: float) -> list[tuple[bool, str]]:
    worst = min((o.values["recall"] for o in outcomes if o.done), default=0.0)
    return [(worst >= least, f"recall {worst:.4f}")]


def published(bench: Bench) -> Iterator[Line]:
    for name, (nodes, seconds, ratio) in PUBLISHED.items():
        n = bench.rows(nodes)
        graph, x = bench.folder / f"regular-{n}.npz", bench.folder / f"regular-{n}.npy"
        if not graph.exists():
            bench.prepared("regular", n=n, h=4, degree=DEGREE, seed=7, graph=graph, x=x)
        outcomes = [
            bench.run("compress", name=name, k=n // 2, x=x, graph=graph)
            for _ in range(bench.rounds)
        ]
        yield line(
            "published",
            f"{name}, {n:,} nodes of degree {DEGREE}, r = 0.5",
            outcomes,
            bench.target(ratio=ratio),
            against="Python, published, another machine",
            their_seconds=None if bench.quick else seconds,
        )


def by_graph(
    bench: Bench, row: str, x: Path, name: str, target: Target, rounds: int, **parameters: Any
) -> Line:
    """One graph compressor on rows and a graph made before; the line says what that took."""
    graph, making = bench.knn_graph(x)
    k = bench.representatives(K)
    outcomes = []
    for _ in range(rounds):
        outcomes.append(
            bench.run("compress", name=name, k=k, x=x, graph=graph, parameters=parameters)
        )
        if not outcomes[-1].done:
            break
    note = f"graph {making.seconds:.3g} s, {making.peak_mb:.0f} MB apart"
    if outcomes[0].done:
        values = outcomes[0].values
        note = f"K {values['representatives']}; {note}"
        if values["note"]:
            note += f"; {values['note']}"
    problem = f"{name}, {shape(x)}, K {k}, kNN graph {NEIGHBORS}"
    return line(row, problem, outcomes, target, extra=[(None, note)])


def features(bench: Bench) -> Iterator[Line]:
    for data, x in bench.points():
        for name in ("agc", "grain", "grain_nearest"):
            target = bench.target(seconds=60, peak_mb=2000)
            found = by_graph(bench, "features", x, name, target, bench.rounds)
            yield Line(**asdict(found) | {"problem": f"{data}: {found.problem}"})


def million(bench: Bench) -> Iterator[Line]:
    x, _ = bench.mixture(bench.rows(1_000_000), 32)
    for name in GRAPH_COMPRESSORS:
        target = bench.target(seconds=600, peak_mb=8000, may_refuse=CATALOGUE[name].may_refuse)
        yield by_graph(bench, "million", x, name, target, 1)


# Smoothing steps are fixed for the growth of AGC, which otherwise chooses a number for each N.
GROWING: dict[str, dict[str, Any]] = {
    "kmeans": {},
    "variation_edges": {},
    "heavy_edge": {},
    "agc": {"power": 5},
    "grain": {},
    "grain_nearest": {},
}


def growing(bench: Bench) -> Iterator[Line]:
    """The best of the rounds at each N: what is left is the machine's noise."""
    curves: dict[str, list[tuple[int, float]]] = {}
    sizes = (10_000, 30_000, 100_000, 300_000, 1_000_000)
    if bench.quick:
        sizes = (1000, 2000, 4000)
    k = bench.representatives(K)
    for name, parameters in GROWING.items():
        points: list[tuple[int, float]] = []
        stopped = None
        peak = 0.0
        for n in sizes:
            x, _ = bench.mixture(n, 32)
            given = {"graph": bench.knn_graph(x)[0]} if CATALOGUE[name].reads_graph else {}
            outcomes = []
            for _ in range(bench.rounds):
                outcomes.append(
                    bench.run("compress", name=name, k=k, x=x, parameters=parameters, **given)
                )
                if not outcomes[-1].done:
                    break
            stopped = next((o for o in outcomes if not o.done), None)
            if stopped is not None:
                break
            points.append((n, min(o.seconds for o in outcomes)))
            peak = max(peak, *(o.peak_mb for o in outcomes))
        if points:
            curves[name] = points
        yield growth_line(name, k, points, peak, stopped, sizes)
    if curves:
        growth.plot(curves, bench.folder / "growth.svg")


def growth_line(
    name: str,
    k: int,
    points: list[tuple[int, float]],
    peak: float,
    stopped: child.Outcome | None,
    sizes: tuple[int, ...],
) -> Line:
    notes = [f"{n:,}: {seconds:.3g} s" for n, seconds in points]
    met = None
    if len(points) > 1:
        power = growth.exponent(points)
        met = power <= 1.15 and stopped is None
        notes.insert(0, f"exponent {power:.2f}")
    status = "done"
    if stopped is not None:
        status = stopped.status
        notes.append(f"{sizes[len(points)]:,}: {stopped.message}")
        if status != "not offered":
            met = False
    return Line(
        "growth",
        f"{name}, N {sizes[0]:,} to {sizes[-1]:,} x 32, K {k}",
        status,
        seconds=(points[-1][1],) if points else (),
        peak_mb=peak or None,
        target="exponent <= 1.15",
        met=met,
        note="; ".join(notes),
    )


ROWS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "kmeans": kmeans,
    "balanced": balanced,
    "knn": knn,
    "published": published,
    "features": features,
    "million": million,
    "growth": growing,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both sides")
    parser.add_argument("--only", default=",".join(ROWS), help="some of " + ",".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison, turn by turn")
    parser.add_argument("--quick", action="store_true", help="small N, one round, no targets")
    parser.add_argument(
        "--output", type=Path, default=Path("compressors"), help="folder for the results"
    )
    parser.add_argument(
        "--embeddings",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE.npy",
        help="real embeddings [n, h] for `kmeans` and `features`",
    )
    parser.add_argument("--limit-seconds", type=float, default=600, help="of one job")
    parser.add_argument("--limit-mb", type=float, default=16_000, help="data memory of one job")
    parser.add_argument("--page", type=Path, help="put the table into this page, the plot beside")
    parser.add_argument("--scratch", type=Path, help="keep the made data here and use it again")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    for row in arguments.only:
        if row not in ROWS:
            parser.error(f"--only: {row!r} is not one of {', '.join(ROWS)}")
    for path in arguments.embeddings:
        if not path.exists():
            parser.error(f"no file {path}")
    return arguments


def machine(threads: int) -> dict[str, Any]:
    model = [
        x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")
    ]
    try:
        faiss = metadata.version("faiss-cpu")
    except metadata.PackageNotFoundError:
        faiss = "not installed"
    return {
        "cpu": model[0].split(":")[1].strip() if model else platform.processor(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "ecseq": ecseq.__version__,
        "level": ecseq.cpu_info()["level"],
        "faiss-cpu": faiss,
    }


def main() -> None:
    arguments = parse()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    about = machine(arguments.threads) | {"quick": arguments.quick}
    print(json.dumps(about), flush=True)
    found: list[Line] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.scratch or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(
            folder,
            arguments.threads,
            1 if arguments.quick else arguments.rounds,
            arguments.quick,
            arguments.limit_seconds,
            arguments.limit_mb,
            tuple(arguments.embeddings),
        )
        for row in arguments.only:
            for entry in ROWS[row](bench):
                found.append(entry)
                print(f"| {' | '.join(cells(entry))} |", flush=True)
                write(output, about, found)
        if (folder / "growth.svg").exists():
            (output / "growth.svg").write_bytes((folder / "growth.svg").read_bytes())
    if arguments.page:
        text = (output / "compressors.md").read_text()
        if (output / "growth.svg").exists():
            figures = arguments.page.parent / "figures"
            figures.mkdir(exist_ok=True)
            (figures / "growth.svg").write_bytes((output / "growth.svg").read_bytes())
            text = f"![Seconds against N](figures/growth.svg)\n\n{text}"
        page.insert(arguments.page, "compressors", text)
    print(f"{output}/compressors.md")


def write(output: Path, about: dict[str, Any], found: list[Line]) -> None:
    """What there is so far, so that an interrupted run is not lost."""
    rows = [asdict(entry) for entry in found]
    (output / "compressors.json").write_text(
        json.dumps({"machine": about, "rows": rows}, indent=1) + "\n"
    )
    heading = ", ".join(f"{name} {value}" for name, value in about.items())
    (output / "compressors.md").write_text(f"{heading}\n\n{markdown(found)}\n")


if __name__ == "__main__":
    main()
