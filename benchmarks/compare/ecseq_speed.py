"""Training time after the encoder, beside PyTorch, PyTorch Geometric and FAISS doing the same.

Both get the same embeddings and do: k-means to K representatives (20 iterations), the nearest 8 of
each row, and the same number of epochs of a GraphSAGE-mean layer with a linear head, Adam, batches
of 1000, with the loss of the validation rows after each epoch. Every measurement is a process of
its own; ours and theirs take turns. Ours learns more in an epoch, so it is also timed with as few
epochs as reach the peer's AUC on the validation rows.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ecseq_report import AUC, Figures, Metric, Part, Rows, verdict
from numpy.typing import NDArray

HEADING = "Training time"
N, N_VALIDATION, N_TEST, WIDTH = 100_000, 10_000, 20_000, 32
K, NEIGHBOURS, EPOCHS, HIDDEN, BATCH = 500, 8, 20, 32, 1000
OURS, THEIRS = "ecseq", "PyTorch + PyTorch Geometric + FAISS"
AS_GOOD = "ecseq, until it is as good as that"
# Not what a graph library does, but what a careful user of PyTorch can.
BY_HAND = "PyTorch + FAISS, means computed once"
SECONDS = Metric("train_seconds", "training, s", 1.0)
RATIO = Metric("ratio", "times ours", 1.0)
EPOCHS_RUN = Metric("epochs", "epochs", 1.0, 0)


def _verdicts(figures: Figures) -> list[str]:
    ratios = list(figures.values(THEIRS, RATIO).values())
    ratio = statistics.median(ratios)
    seconds = statistics.median(figures.values(OURS, SECONDS).values())
    pairs = zip(*figures.differences(THEIRS, AS_GOOD, SECONDS), strict=True)
    as_good = [theirs / ours for theirs, ours in pairs]
    out = [
        verdict("Training after the encoder", f"{seconds:.2f} s (median)", "< 10 s", seconds < 10),
        verdict(
            "Times the peer at equal AUC",
            f"{statistics.median(as_good):.1f} ({min(as_good):.1f} to {max(as_good):.1f})",
            ">= 10",
            statistics.median(as_good) >= 10,
        ),
        f"Times the peer at equal epochs: {ratio:.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
    ]
    for side in figures.methods:
        stages = [rows[side]["stages"] for rows in figures.rows.values()]
        found = {name: statistics.median(s[name] for s in stages) for name in stages[0]}
        text = ", ".join(
            f"{name} {x:.2f}" for name, x in found.items() if name != "total" and x >= 0.01
        )
        out.append(f"Median seconds by stage, {side}: {text}")
    return out


PARTS = {
    f"{threads}": Part(
        f"{threads} thread{'s' if threads > 1 else ''}",
        f"Made-up embeddings, {N:,} x {WIDTH}, whose label depends on the cluster a row is of; "
        f"{N_VALIDATION:,} rows validate, {N_TEST:,} test. K = {K}, the nearest {NEIGHBOURS}, "
        f"{EPOCHS} epochs without early stopping. A seed is other data and one turn of each.",
        (SECONDS, RATIO, EPOCHS_RUN, AUC),
        (THEIRS,),
        (AUC,),
        _verdicts,
    )
    for threads in (1, 2)
}


def plot(figures: Figures, path: Path) -> None:
    """Median seconds of each side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 1.8))
    sides = figures.methods[::-1]
    seconds = [statistics.median(figures.values(side, SECONDS).values()) for side in sides]
    axis.bar_label(axis.barh(sides, seconds), fmt="%.1f s", padding=3)
    axis.set_xlim(0, 1.15 * max(seconds))
    axis.set_xlabel("seconds of training after the encoder")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def made_up(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows of 200 overlapping clusters, and labels: part by cluster, part by a direction."""
    rng = np.random.default_rng(seed)
    n = N + N_VALIDATION + N_TEST
    centres = rng.normal(size=(200, WIDTH))
    cluster = rng.integers(200, size=n)
    x = centres[cluster] + 0.7 * rng.normal(size=(n, WIDTH))
    logit = 1.5 * rng.normal(size=200)[cluster] + x[:, 0] - 2.5
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    return x.astype(np.float32), y


def run(data: Path, part: str, seed: int) -> Rows:
    rows: Rows = {}
    sides = (OURS, THEIRS, BY_HAND) if seed % 2 == 0 else (BY_HAND, THEIRS, OURS)
    for side in sides:
        rows[side] = _measure(side, part, seed, EPOCHS)
    for epochs in range(1, EPOCHS + 1):
        rows[AS_GOOD] = _measure(OURS, part, seed, epochs)
        if rows[AS_GOOD]["validation_auc"] >= rows[THEIRS]["validation_auc"]:
            break
    for side in (THEIRS, BY_HAND):
        rows[side]["ratio"] = rows[side]["train_seconds"] / rows[OURS]["train_seconds"]
    return {side: rows[side] for side in (OURS, AS_GOOD, THEIRS, BY_HAND)}


def _measure(side: str, threads: str, seed: int, epochs: int) -> dict[str, Any]:
    command = [sys.executable, __file__, side, threads, str(seed), str(epochs)]
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _ours(threads: int, seed: int, epochs: int) -> dict[str, Any]:
    import ecseq
    from ecseq.metrics import roc_auc

    x, y = made_up(seed)
    training, held_out, test = (
        slice(0, N),
        slice(N, N + N_VALIDATION),
        slice(N + N_VALIDATION, None),
    )
    ecseq.set_num_threads(threads)
    model = ecseq.ECSeqClassifier(
        relations=[ecseq.SimilarityRelation(K, n_neighbors=NEIGHBOURS)],
        controls=False,
        batch_size=BATCH,
        max_epochs=epochs,
        patience=epochs,
        hidden_size=HIDDEN,
        num_threads=threads,
        random_state=seed,
    )
    begin = time.perf_counter()
    model.fit(x[training], y[training], validation=(x[held_out], y[held_out]))
    seconds = time.perf_counter() - begin
    return {
        "train_seconds": seconds,
        "auc": roc_auc(y[test], model.predict_proba(x[test])[:, 1]),
        "validation_auc": roc_auc(y[held_out], model.predict_proba(x[held_out])[:, 1]),
        "epochs": len(model.fit_report_["curve"]),
        "stages": model.fit_report_["seconds"],
    }


def _theirs(threads: int, seed: int, by_hand: bool) -> dict[str, Any]:
    import faiss
    import torch
    from torch import nn
    from torch_geometric.nn import SAGEConv

    from ecseq.metrics import roc_auc

    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    torch.manual_seed(seed)
    x, y = made_up(seed)

    class Layer(nn.Module):
        """One graph layer from representatives to targets, and a head: rows -> logits."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = SAGEConv((WIDTH, WIDTH), HIDDEN)
            self.head = nn.Linear(HIDDEN, 1)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            if by_hand:
                found = self.layer.lin_l(means[rows]) + self.layer.lin_r(targets[rows])
            else:
                own = torch.arange(len(rows)).repeat_interleave(NEIGHBOURS)
                edges = torch.stack([attached[rows].reshape(-1), own])
                found = self.layer((sources, targets[rows]), edges)
            return self.head(torch.relu(found))[:, 0]

    begin = time.perf_counter()
    mean, sd = x[:N].mean(0), x[:N].std(0)
    x = (x - mean) / sd
    stages, since = {}, begin
    clusters = faiss.Kmeans(WIDTH, K, niter=20, seed=seed + 1, max_points_per_centroid=N)
    clusters.train(x[:N])
    stages["k-means"], since = time.perf_counter() - since, time.perf_counter()
    _, nearest = clusters.index.search(x[: N + N_VALIDATION], NEIGHBOURS)
    stages["attach"], since = time.perf_counter() - since, time.perf_counter()
    sources = torch.from_numpy(clusters.centroids)
    targets, labels = torch.from_numpy(x), torch.from_numpy(y).float()
    attached = torch.from_numpy(nearest)

    means = sources[attached].mean(1) if by_hand else None
    network = Layer()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    held_out = torch.arange(N, N + N_VALIDATION)
    loss = nn.functional.binary_cross_entropy_with_logits
    for _ in range(EPOCHS):
        for rows in torch.randperm(N).split(BATCH):
            optimiser.zero_grad()
            loss(network(rows), labels[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            loss(network(held_out), labels[held_out])
    stages["layer"] = time.perf_counter() - since
    seconds = time.perf_counter() - begin

    _, nearest = clusters.index.search(x, NEIGHBOURS)
    attached = torch.from_numpy(nearest)
    means = sources[attached].mean(1) if by_hand else None
    with torch.no_grad():
        scores = network(torch.arange(N, len(x))).numpy()
    return {
        "train_seconds": seconds,
        "auc": roc_auc(y[N + N_VALIDATION :], scores[N_VALIDATION:]),
        "validation_auc": roc_auc(y[N : N + N_VALIDATION], scores[:N_VALIDATION]),
        "epochs": EPOCHS,
        "stages": stages,
    }


if __name__ == "__main__":
    side, (threads, seed, epochs) = sys.argv[1], map(int, sys.argv[2:])
    if side == OURS:
        print(json.dumps(_ours(threads, seed, epochs)))
    else:
        print(json.dumps(_theirs(threads, seed, side == BY_HAND)))
