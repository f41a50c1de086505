"""Peak memory of `SequenceEncoder.fit` beside what it holds before: fit_memory.py ROWS THREADS.

A process of its own, so that the peak is that of the fit alone. Linux.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

import ecseq

SHORTEST, LONGEST, FEATURES, HIDDEN, BATCH = 1, 59, 16, 64, 512


def status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def main() -> None:
    n, threads = int(sys.argv[1]), int(sys.argv[2])
    rng = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(SHORTEST, LONGEST + 1, n))])
    values = rng.standard_normal((offsets[-1], FEATURES), dtype=np.float32)
    labels = (values[offsets[1:] - 1, 0] > 0).astype(np.float32)
    sequences = ecseq.Sequences(values, offsets)
    encoder = ecseq.SequenceEncoder(
        hidden_size=HIDDEN, batch_size=BATCH, max_epochs=1, num_threads=threads
    )
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = status_mb("VmRSS")
    begin = time.perf_counter()
    encoder.fit(sequences, labels, validation=(sequences[:2], np.array([0.0, 1.0])))
    seconds = time.perf_counter() - begin
    # Per event: 4 gates, cell, its tanh and the state, and the staged input.
    batch = BATCH * LONGEST * (7 * HIDDEN + FEATURES) * 4 / 2**20
    print(
        json.dumps(
            {
                "data_mb": values.nbytes / 2**20,
                "growth_mb": status_mb("VmHWM") - before,
                "batch_mb": batch,
                "seconds": seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
