"""Rows of training: one step, an epoch of ragged sequences, memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measure import Comparison, Effort, Times, speedup
from models import CELLS, require_equal
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

import ecseq

LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Labelled:
    """Ragged sequences with a label each: does the first feature of the last events add up to
    more than 0, with noise."""

    values: NDArray[np.float32]  # [events, features]
    offsets: NDArray[np.int64]  # [n + 1]
    labels: NDArray[np.float32]  # [n]

    def sequences(self) -> ecseq.Sequences:
        return ecseq.Sequences(self.values, self.offsets)

    def __len__(self) -> int:
        return len(self.labels)


def labelled(n: int, shortest: int, longest: int, features: int) -> Labelled:
    rng = np.random.default_rng(1)
    lengths = rng.integers(shortest, longest + 1, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.standard_normal((offsets[-1], features), dtype=np.float32)
    sums = np.concatenate([[0.0], np.cumsum(values[:, 0], dtype=np.float64)])
    last = sums[offsets[1:]] - sums[np.maximum(offsets[:-1], offsets[1:] - 8)]
    labels = (last + rng.normal(0, 1, n) > 0).astype(np.float32)
    return Labelled(values, offsets, labels)


class Classifier(nn.Module):
    """The same network in PyTorch. lengths [n]: packed when given and `packed`, else padded."""

    def __init__(self, cell: str, features: int, hidden: int) -> None:
        super().__init__()
        self.layer = CELLS[cell](features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor, packed: bool) -> torch.Tensor:
        if packed:
            state = self.layer(
                pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            )[1]
            last = (state[0] if isinstance(state, tuple) else state)[0]
        else:
            states = self.layer(x)[0]
            last = states[torch.arange(len(x)), lengths - 1]
        return self.head(last)[:, 0]


def torch_step(
    model: Classifier, optimiser: torch.optim.Optimizer, packed: bool
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], float]:
    loss_of = nn.BCEWithLogitsLoss()

    def step(x: torch.Tensor, lengths: torch.Tensor, y: torch.Tensor) -> float:
        optimiser.zero_grad()
        loss = loss_of(model(x, lengths, packed), y)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def encoder_for(
    cell: str, hidden: int, batch: int, epochs: int, threads: int
) -> ecseq.SequenceEncoder:
    return ecseq.SequenceEncoder(
        cell=cell,
        hidden_size=hidden,
        batch_size=batch,
        max_epochs=epochs,
        patience=epochs,
        clip_norm=0.0,  # the loop in PyTorch does not clip either
        learning_rate=LEARNING_RATE,
        num_threads=threads,
    )


def epoch_seconds(encoder: ecseq.SequenceEncoder) -> list[float]:
    return [epoch["seconds"] for epoch in encoder.fit_report_["curve"]]


def require_same_network(
    encoder: ecseq.SequenceEncoder, data: Labelled, cell: str, hidden: int
) -> None:
    """What we trained, put into the peer's network, must predict the same there."""
    features = data.values.shape[1]
    model = Classifier(cell, features, hidden)
    tensors = encoder._core.tensors()
    bias = torch.from_numpy(tensors[f"{cell}.bias"][0])
    with torch.no_grad():
        model.layer.weight_ih_l0.copy_(torch.from_numpy(tensors[f"{cell}.weight_input"].T.copy()))
        model.layer.weight_hh_l0.copy_(torch.from_numpy(tensors[f"{cell}.weight_hidden"].T.copy()))
        model.layer.bias_ih_l0.copy_(bias[: len(model.layer.bias_ih_l0)])
        model.layer.bias_hh_l0.zero_()
        if cell == "gru":
            model.layer.bias_hh_l0[2 * hidden :].copy_(bias[3 * hidden :])
        model.head.weight.copy_(torch.from_numpy(tensors["head.weight"].T.copy()))
        model.head.bias.copy_(torch.from_numpy(tensors["head.bias"][0]))
        x, lengths, _ = padded(data, range(min(32, len(data))))
        x = (x - torch.from_numpy(tensors["feature.mean"])) * torch.from_numpy(
            tensors["feature.scale"]
        )
        theirs = model(x, lengths, packed=False).numpy()
    ours = encoder.decision_function(data.sequences()[: len(theirs)])
    require_equal(ours, theirs, f"trained {cell}")


def padded(data: Labelled, rows: range) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    parts = [torch.from_numpy(data.values[data.offsets[i] : data.offsets[i + 1]]) for i in rows]
    lengths = torch.tensor([len(part) for part in parts])
    labels = torch.from_numpy(data.labels[rows.start : rows.stop])
    return pad_sequence(parts, batch_first=True), lengths, labels


# batch, lengths, features, hidden size, steps per epoch, target
STEPS = [
    (64, (50, 50), 32, 32, 24, 6.0),
    (512, (5, 50), 32, 64, 4, 6.0),
    (512, (50, 50), 32, 64, 4, 2.5),
]


def steps(effort: Effort, threads: int) -> Iterator[Comparison]:
    """Ours: an epoch of `SequenceEncoder.fit` over its steps, everything of the epoch included.
    Theirs: steps on batches that lie ready, padded or packed, whichever is faster."""
    for cell in CELLS:
        for batch, (shortest, longest), features, hidden, count, target in STEPS:
            data = labelled(batch * count, shortest, longest, features)
            batches = [padded(data, range(i * batch, (i + 1) * batch)) for i in range(count)]
            sequences = data.sequences()
            tiny = (sequences[:2], np.array([0.0, 1.0]))
            encoder = encoder_for(cell, hidden, batch, 4, threads)
            model = Classifier(cell, features, hidden)
            optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
            ragged = shortest != longest
            peers = {"padded": torch_step(model, optimiser, packed=False)}
            if ragged:
                peers["packed"] = torch_step(model, optimiser, packed=True)
            encoder.fit(sequences, data.labels, validation=tiny)
            require_same_network(encoder, data, cell, hidden)
            for step in peers.values():
                step(*batches[0])  # warm-up
            ours: list[float] = []
            theirs: dict[str, list[float]] = {name: [] for name in peers}
            for _ in range(effort.rounds):
                encoder.fit(sequences, data.labels, validation=tiny)
                ours.append(statistics.median(epoch_seconds(encoder)[1:]) / count)
                for name, step in peers.items():
                    begin = time.perf_counter()
                    for one in batches:
                        step(*one)
                    theirs[name].append((time.perf_counter() - begin) / count)
            best = min(theirs, key=lambda name: statistics.median(theirs[name]))
            lengths = f"{shortest}-{longest}" if ragged else str(longest)
            yield speedup(
                "step",
                f"{cell} B {batch}, T {lengths}, D {features}, H {hidden}",
                "PyTorch",
                Times(tuple(ours)),
                Times(tuple(theirs[best])),
                target,
                best,
            )


def two_threads(effort: Effort) -> Iterator[Comparison]:
    batch, length, features, hidden, count = 512, 50, 32, 64, 4
    data = labelled(batch * count, length, length, features)
    sequences = data.sequences()
    tiny = (sequences[:2], np.array([0.0, 1.0]))
    for cell in CELLS:
        encoders = [encoder_for(cell, hidden, batch, 4, threads) for threads in (2, 1)]
        seconds: list[list[float]] = [[], []]
        for _ in range(effort.rounds):
            for encoder, times in zip(encoders, seconds, strict=True):
                encoder.fit(sequences, data.labels, validation=tiny)
                times.append(statistics.median(epoch_seconds(encoder)[1:]) / count)
        states = [encoder._core.tensors() for encoder in encoders]
        if any(not np.array_equal(value, states[1][name]) for name, value in states[0].items()):
            raise SystemExit(f"training {cell}: two threads give other bits than one")
        yield speedup(
            "threads",
            f"{cell} step, B {batch}, T {length}, D {features}, H {hidden}",
            "one thread, ours two",
            Times(tuple(seconds[0])),
            Times(tuple(seconds[1])),
            1.8,
        )


class RaggedDataset(Dataset):  # type: ignore[type-arg]
    def __init__(self, data: Labelled) -> None:
        self.values = torch.from_numpy(data.values)
        self.labels = torch.from_numpy(data.labels)
        self.offsets = data.offsets.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.values[self.offsets[i] : self.offsets[i + 1]], self.labels[i]


def collate(
    samples: list[tuple[torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    parts, labels = zip(*samples, strict=True)
    lengths = torch.tensor([len(part) for part in parts])
    return pad_sequence(parts, batch_first=True), lengths, torch.stack(labels)


EPOCHS = 3


def epochs(threads: int, quick: bool) -> Iterator[Comparison]:
    """A round is an epoch here: ours, then theirs, of the same fit."""
    n, features, hidden, batch = 10_000 if quick else 100_000, 16, 64, 512
    data = labelled(n, 1, 59, features)
    held_out = labelled(n // 10, 1, 59, features)
    for cell in CELLS:
        encoder = encoder_for(cell, hidden, batch, EPOCHS, threads)
        # Two labels of validation: the loop in PyTorch does not validate.
        encoder.fit(
            data.sequences(),
            data.labels,
            validation=(held_out.sequences()[:2], np.array([0.0, 1.0])),
        )
        require_same_network(encoder, held_out, cell, hidden)
        torch.manual_seed(1)
        model = Classifier(cell, features, hidden)
        step = torch_step(
            model, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE), packed=True
        )
        loader = DataLoader(RaggedDataset(data), batch, shuffle=True, collate_fn=collate)
        theirs, losses = [], []
        for _ in range(EPOCHS):
            begin = time.perf_counter()
            total = sum(step(x, lengths, y) * len(y) for x, lengths, y in loader)
            theirs.append(time.perf_counter() - begin)
            losses.append(total / n)
        curve = [epoch["training_loss"] for epoch in encoder.fit_report_["curve"]]
        print(f"{cell}, training loss by epoch: ours", " ".join(f"{x:.4f}" for x in curve), end="")
        print("; PyTorch", " ".join(f"{x:.4f}" for x in losses))
        yield speedup(
            "epoch",
            f"{cell} fit, {n} ragged sequences of 1-59 events, D {features}, H {hidden}, B {batch}",
            "PyTorch, DataLoader and packed",
            Times(tuple(epoch_seconds(encoder))),
            Times(tuple(theirs)),
            5,
        )


def memory(threads: int, quick: bool) -> Iterator[Comparison]:
    """How the peak of `fit` grows with the data: activations are those of one batch."""
    largest = 10_000 if quick else 100_000
    program = Path(__file__).with_name("fit_memory.py")
    measured = {}
    for n in (largest // 4, largest):
        run = subprocess.run(
            [sys.executable, program, str(n), str(threads)], capture_output=True, text=True
        )
        if run.returncode != 0:
            raise SystemExit(f"{program.name} failed:\n{run.stderr}")
        measured[n] = json.loads(run.stdout)
        print(f"memory, {n} sequences:", json.dumps(measured[n]))
    end = measured[largest]
    yield Comparison(
        "memory",
        f"growth of the peak in fit of {largest} sequences: {end['growth_mb']:.0f} MB",
        f"states of one batch: {end['batch_mb']:.0f} MB",
        Times((end["seconds"],)),
        None,
        (end["growth_mb"] / end["batch_mb"],),
        1.5,
        at_most=True,
    )
