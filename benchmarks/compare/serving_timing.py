"""Latencies of single calls, in turns: percentiles in microseconds."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from serving_model import history
from serving_peers import Peer

PERCENTILES = (0.5, 0.99, 0.999)
Latency = tuple[float, ...]  # at PERCENTILES
_RESIDENT = 1000  # users whose states the peers keep, as serving_bench.cpp does
_WARM_UP = 300


@dataclass(frozen=True)
class Program:
    """serving_bench, built for some machine."""

    path: Path
    models: Path

    def write_scores(self) -> None:
        subprocess.run([self.path, "--models", self.models, "--check"], check=True)

    def run(self, cases: str) -> dict[str, Any]:
        """What Google Benchmark writes about the cases of this expression."""
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            subprocess.run(
                [
                    self.path,
                    "--models",
                    self.models,
                    f"--benchmark_filter={cases}",
                    f"--benchmark_out={out.name}",
                    "--benchmark_out_format=json",
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            written: dict[str, Any] = json.load(out)
        return written

    def context(self) -> dict[str, str]:
        """How it was built, among what Google Benchmark knows of the machine."""
        built: dict[str, str] = self.run("^BM_OneEvent/gat/")["context"]
        return built

    def latencies(self) -> dict[str, Latency]:
        """By case, such as "WholeSequence/gat_500"."""
        cases = self.run("^BM_(WholeSequence|OneEvent|OneEventOfAMillionUsers)/")["benchmarks"]
        return {
            case["name"].removeprefix("BM_").partition("/iterations")[0]: (
                case["p50_us"],
                case["p99_us"],
                case["p99.9_us"],
            )
            for case in cases
        }

    def batches(self) -> dict[int, float]:
        """Sequences per second, by threads."""
        cases = self.run("^BM_Batch/")["benchmarks"]
        return {int(case["name"].split("/")[1]): case["sequences/s"] for case in cases}


def pin(cores: Iterable[int]) -> None:
    """This thread, and processes and threads it starts from now on."""
    os.sched_setaffinity(0, set(cores))


def _percentiles(nanoseconds: list[int]) -> Latency:
    ordered = sorted(nanoseconds)
    return tuple(ordered[int(share * (len(ordered) - 1))] / 1e3 for share in PERCENTILES)


def _time_each(
    call: Callable[[Any], object], request_of: Callable[[int], Any], users: list[int]
) -> Latency:
    """request_of: makes what `call` gets, before the clock starts."""
    for user in users[:_WARM_UP]:
        call(request_of(user))
    taken = []
    collects = gc.isenabled()
    gc.disable()  # a pause of Python's is not the peer's
    for user in users:
        request = request_of(user)
        begin = time.perf_counter_ns()
        call(request)
        taken.append(time.perf_counter_ns() - begin)
    if collects:
        gc.enable()
    return _percentiles(taken)


def whole_sequences(peer: Peer, events: NDArray[np.float32], users: list[int]) -> Latency:
    return _time_each(peer.whole, lambda user: peer.history(history(events, user)), users)


def single_events(peer: Peer, events: NDArray[np.float32], users: list[int]) -> Latency:
    """One event more, the first that each user has, for the resident states in turn."""
    states = [peer.start() for _ in range(_RESIDENT)]
    slots = itertools.cycle(range(_RESIDENT))

    def step(request: tuple[int, Any]) -> float:
        slot, event = request
        score, states[slot] = peer.step(event, states[slot])
        return score

    return _time_each(
        step, lambda user: (next(slots), peer.event(history(events, user)[:1])), users
    )


def rate(call: Callable[[], object], rows: int, seconds: float = 2.0) -> float:
    """Rows per second over calls that last about so long."""
    call()
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        call()
        calls += 1
    return rows * calls / (time.perf_counter() - begin)
