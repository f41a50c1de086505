"""A job in a process of its own: its seconds, and the peak of its memory. Linux.

A parent calls `run` with the program that knows the job; the program's `main` calls `answer`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOADING_SECONDS = 60  # beside the job's own limit: imports, reading its input, warming up
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What became of a job: "done", "refused" (ValueError), "not offered" by this version of the
    library, "not finished" in time, "out of memory" or "failed"."""

    status: str
    seconds: float | None = None
    peak_mb: float | None = None  # of the whole process while the job ran, its input included
    values: dict[str, Any] = field(default_factory=dict)
    message: str = ""

    @property
    def done(self) -> bool:
        return self.status == "done"


def run(
    program: Path, job: dict[str, Any], *, threads: int, limit_seconds: float, limit_mb: float
) -> Outcome:
    """`job` in a new process with `threads` threads for everything that may use threads."""
    count = str(threads)
    environment = os.environ | dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count
    )
    command = [sys.executable, str(program), json.dumps(job | {"threads": threads})]
    bytes_allowed = int(limit_mb * 2**20)
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=limit_seconds + LOADING_SECONDS,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_DATA, (bytes_allowed, bytes_allowed)
            ),
        )
    except subprocess.TimeoutExpired:
        return Outcome("not finished", message=f"not finished within {limit_seconds:g} s")
    lines = ran.stdout.splitlines()
    if ran.returncode != 0 or not lines:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        if "MemoryError" in last or "bad_alloc" in last:
            return Outcome("out of memory", message=f"needs more than {limit_mb:.0f} MB")
        return Outcome("failed", message=f"exit {ran.returncode}: {last}")
    outcome = Outcome(**json.loads(lines[-1]))
    if outcome.seconds is not None and outcome.seconds > limit_seconds:
        return Outcome("not finished", message=f"not finished within {limit_seconds:g} s")
    return outcome


class Meter:
    """Seconds and peak memory of a `with` block."""

    seconds: float
    peak_mb: float

    def __enter__(self) -> Meter:
        # Forget the peak of what came before. Where the kernel does not let us, that counts too.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begin
        self.peak_mb = peak_mb()


def peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


class NotOffered(Exception):
    """This version of the library has no such compressor."""


Job = Callable[[dict[str, Any], Meter], dict[str, Any]]


def answer(jobs: dict[str, Job]) -> None:
    """In the child: does the job named on the command line and prints its outcome as JSON. A job
    gets its description and a `Meter` for the part that counts, and returns further values."""
    job = json.loads(sys.argv[1])
    meter = Meter()
    try:
        values = jobs[job["job"]](job, meter)
        result = {
            "status": "done",
            "seconds": meter.seconds,
            "peak_mb": meter.peak_mb,
            "values": values,
        }
    except NotOffered as reason:
        result = {"status": "not offered", "message": str(reason)}
    except ValueError as reason:
        result = {"status": "refused", "message": str(reason)}
    print(json.dumps(result))
