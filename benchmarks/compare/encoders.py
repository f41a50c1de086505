"""ecseq's encoders beside PyTorch and ONNX Runtime, in one process and turn by turn.

    python encoders.py --threads 1 --json encoders.json

Every row first checks that both sides compute the same thing; README.md says what each measures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import inference
import onnxruntime
import threadpoolctl
import torch
import training
from measure import Comparison, Effort, Times, interleaved, markdown, speedup, write_json

import ecseq

ROWS = ["batch", "one", "onednn", "step", "transformer", "epoch", "threads", "denormals", "memory"]
PROGRAM = Path(__file__).parents[2] / "build/release/benchmarks/compare/onednn_recurrent"
Problem = tuple[str, int, int, int, int]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1)
    parser.add_argument("--rows", default=",".join(ROWS), help="some of " + ",".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="fewer sizes and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--program", type=Path, default=PROGRAM, help="onednn_recurrent, from the CMake build"
    )
    arguments = parser.parse_args()
    arguments.rows = arguments.rows.split(",")
    for row in arguments.rows:
        if row not in ROWS:
            parser.error(f"--rows: {row!r} is not one of {', '.join(ROWS)}")
    return arguments


def machine(threads: int) -> dict[str, object]:
    times = interleaved(inference.sgemm(), Effort(7, 0.2))
    model = [
        x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")
    ]
    return {
        "cpu": model[0].split(":")[1].strip() if model else platform.processor(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "ecseq": ecseq.__version__,
        "level": ecseq.cpu_info()["level"],
        "torch": torch.__version__,
        "torch_cpu": torch.backends.cpu.get_cpu_capability(),
        "onnxruntime": onnxruntime.__version__,
        "gflops": {name: inference.SGEMM_FLOPS / t.median / 1e9 for name, t in times.items()},
    }


def run_program(program: Path, threads: int, quick: bool) -> list[dict[str, object]]:
    """What the C++ program measured: our kernel, oneDNN and sgemm, turn by turn."""
    command = [str(program), "--json", "--threads", str(threads)] + (["--quick"] if quick else [])
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{program} failed:\n{run.stderr}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def onednn(measured: list[dict[str, object]]) -> Iterator[Comparison]:
    for row in measured:
        cell, batch, length, features, hidden = row["problem"]
        problem = f"{cell} B {batch}, T {length}, D {features}, H {hidden}"
        ours, theirs, sgemm = (Times(tuple(row[name])) for name in ("ours", "onednn", "sgemm"))
        target = 2 if batch == 1 and hidden <= 64 else 1.3
        yield speedup("onednn", problem, "oneDNN", ours, theirs, target, "C++")
        if batch > 1:
            yield inference.fraction_of_limit(
                "onednn", problem, ours, row["flops"], sgemm, inference.SGEMM_FLOPS
            )


def main() -> None:
    arguments = parse()
    threads, quick = arguments.threads, arguments.quick
    torch.set_num_threads(threads)
    ecseq.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)  # NumPy's BLAS
    effort = Effort(3, 0.05) if quick else Effort(9, 0.3)
    about = machine(threads)
    print(json.dumps(about), flush=True)

    measured: list[dict[str, object]] = []
    if {"one", "onednn"} & set(arguments.rows):
        if arguments.program.exists():
            measured = run_program(arguments.program, threads, quick)
        else:
            print(f"{arguments.program} is not built: no oneDNN rows, no times of our C++ call")
    library: dict[Problem, Times] = {
        tuple(row["problem"]): Times(tuple(row["ours"])) for row in measured
    }
    rows = {
        "batch": lambda: inference.batches(effort, threads, quick),
        "one": lambda: inference.one_sequence(effort, threads, library),
        "onednn": lambda: onednn(measured),
        "step": lambda: training.steps(effort, threads),
        "transformer": lambda: inference.transformer(effort, threads),
        "epoch": lambda: training.epochs(threads, quick),
        "threads": lambda: itertools.chain(
            inference.two_threads(effort, quick), training.two_threads(effort)
        ),
        "denormals": lambda: inference.denormals(effort, threads),
        "memory": lambda: training.memory(threads, quick),
    }
    comparisons: list[Comparison] = []
    for name in arguments.rows:
        for comparison in rows[name]():
            comparisons.append(comparison)
            print(markdown([comparison]).splitlines()[-1], flush=True)
    print("\n" + markdown(comparisons))
    if arguments.json:
        write_json(arguments.json, about, comparisons)


if __name__ == "__main__":
    main()
