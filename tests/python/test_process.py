"""What surrounds a library: signals, forks, threads, other OpenMP users, types."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ecseq
from conftest import Embeddings

# A shell that starts a job in the background has it ignore SIGINT, and Python keeps to that: the
# script asks for the usual handler, so that the test means the same wherever it is started.
LONG_FIT = """
import signal, sys, numpy as np, ecseq
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
events = [rng.normal(size=(100, 8)).astype(np.float32) for _ in range(20000)]
batch = ecseq.Sequences.from_list(events)
encoder = ecseq.SequenceEncoder(hidden_size=64, max_epochs=1000)
print("ready", flush=True)
try:
    encoder.fit(batch, np.arange(20000) % 2)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
"""


def test_ctrl_c_stops_a_fit_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", LONG_FIT], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    try:
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert output == "interrupted\n"
    assert process.returncode == 7
    assert time.monotonic() - start < 5


def _child(model: Any, X: NDArray[np.float32], queue: Any) -> None:
    queue.put(model.predict_proba(X))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_in_a_forked_child(training: Embeddings) -> None:
    model = ecseq.ECSeqClassifier(max_epochs=2, num_threads=2).fit(training.X, training.y)
    expected = model.predict_proba(training.X)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(model, training.X, queue))
    child.start()
    try:
        np.testing.assert_array_equal(queue.get(timeout=60), expected)
    finally:
        child.join(timeout=10)
        child.kill()


@pytest.mark.parametrize("order", ["torch, ecseq", "ecseq, torch"])
def test_lives_beside_torch(order: str) -> None:
    pytest.importorskip("torch", reason="torch is a peer, not a requirement")
    script = f"""
import {order}
import numpy as np
torch.manual_seed(0)
lstm = torch.nn.LSTM(3, 8, batch_first=True)
x = torch.randn(40, 6, 3)
expected = lstm(x)[0][:, -1].detach().numpy()
encoder = ecseq.SequenceEncoder.from_torch(lstm)
sequences = ecseq.Sequences.from_list(list(x.numpy()))
assert np.abs(encoder.transform(sequences) - expected).max() < 1e-5
ecseq.SequenceEncoder(max_epochs=2).fit(sequences, np.arange(40) % 2)
assert np.abs(lstm(x)[0][:, -1].detach().numpy() - expected).max() < 1e-6
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")
def test_one_model_serves_many_threads(related: ecseq.ECSeqClassifier, later: Embeddings) -> None:
    expected = related.predict_proba(later.X, entities=later.entities, times=later.times)

    def score(_: int) -> NDArray[np.float32]:
        return related.predict_proba(later.X, entities=later.entities, times=later.times)

    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(score, range(12)):
            np.testing.assert_array_equal(scores, expected)


def test_progress_errors_come_through(training: Embeddings) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("from the callback")

    model = ecseq.ECSeqClassifier(verbose=fail)
    with pytest.raises(RuntimeError, match="from the callback"):
        model.fit(training.X, training.y)
    assert not hasattr(model, "_model")


def test_set_num_threads(training: Embeddings) -> None:
    try:
        ecseq.set_num_threads(1)
        one = ecseq.ECSeqClassifier(max_epochs=2).fit(training.X, training.y)
    finally:
        ecseq.set_num_threads(0)
    two = ecseq.ECSeqClassifier(max_epochs=2).fit(training.X, training.y)
    np.testing.assert_array_equal(one.predict_proba(training.X), two.predict_proba(training.X))


def test_memory_stays_linear() -> None:
    script = """
import resource, numpy as np, ecseq
rng = np.random.default_rng(0)
X = rng.normal(size=(100_000, 32)).astype(np.float32)
y = (X[:, 0] * X[:, 1] + 0.5 * rng.normal(size=100_000) > 1).astype(int)
model = ecseq.ECSeqClassifier(n_representatives=500, max_epochs=2).fit(X, y)
model.predict_proba(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert int(output) < 1_000_000  # kilobytes
