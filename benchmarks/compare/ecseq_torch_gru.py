"""A GRU in PyTorch, as a user has one: trained with PyTorch, handed over as embeddings only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import ecseq

Floats = NDArray[np.float32]

HIDDEN = 32
BATCH = 256
MAX_EPOCHS, PATIENCE = 8, 2


class Network(nn.Module):
    """Numbers and embedded categories -> GRU -> last state -> one output."""

    def __init__(self, numbers: int, categories: list[tuple[int, int]]) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(n, width) for n, width in categories)
        width = numbers + sum(width for _, width in categories)
        self.gru = nn.GRU(width, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(
        self, numbers: torch.Tensor, codes: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """States after the last events: [n, HIDDEN]."""
        parts = [numbers, *(layer(codes[..., i]) for i, layer in enumerate(self.embeddings))]
        states, _ = self.gru(torch.cat(parts, dim=2))
        return states[torch.arange(len(lengths)), lengths - 1]


class TorchGru:
    """`fit` on Sequences that carry labels, `transform` to embeddings [n, 32]."""

    def __init__(self, categorical: Mapping[str, int] | None, regression: bool, seed: int) -> None:
        self._categorical = dict(categorical or {})
        self._regression = regression
        self._seed = seed

    def fit(self, train: ecseq.Sequences, validation: ecseq.Sequences) -> TorchGru:
        torch.manual_seed(self._seed)
        names = list(train.feature_names)
        self._codes = [names.index(name) for name in self._categorical]
        self._numbers = [i for i in range(len(names)) if i not in self._codes]
        values = train.values
        self._mean = values[:, self._numbers].mean(0)
        self._sd = np.maximum(values[:, self._numbers].std(0), 1e-6)
        # One more code for what training does not know.
        self._known = [np.unique(values[:, column]) for column in self._codes]
        sizes = [len(known) + 1 for known in self._known]
        self._network = Network(
            len(self._numbers), list(zip(sizes, self._categorical.values(), strict=True))
        )
        labels = torch.from_numpy(np.asarray(train.labels, dtype=np.float32))
        held_out_labels = torch.from_numpy(np.asarray(validation.labels, dtype=np.float32))
        # Remaining days in units of their spread, as a network likes them.
        unit = float(labels.std()) if self._regression else 1.0
        loss = nn.functional.mse_loss if self._regression else _cross_entropy
        padded, held_out = self._padded(train), self._padded(validation)
        optimiser = torch.optim.Adam(self._network.parameters(), lr=3e-3)
        best, kept, since = np.inf, None, 0
        for _ in range(MAX_EPOCHS):
            for rows in torch.randperm(len(labels)).split(BATCH):
                optimiser.zero_grad()
                output = self._outputs(padded, rows)
                loss(output, labels[rows] / unit).backward()
                optimiser.step()
            with torch.no_grad():
                outputs = [
                    self._outputs(held_out, rows)
                    for rows in torch.arange(len(held_out_labels)).split(4096)
                ]
                found = float(loss(torch.cat(outputs), held_out_labels / unit))
            since += 1
            if found < best:
                best, since = found, 0
                kept = {name: value.clone() for name, value in self._network.state_dict().items()}
            if since >= PATIENCE:
                break
        assert kept is not None
        self._network.load_state_dict(kept)
        return self

    def transform(self, sequences: ecseq.Sequences) -> Floats:
        padded = self._padded(sequences)
        with torch.no_grad():
            found = [
                self._network(*(part[rows] for part in padded))
                for rows in torch.arange(len(sequences)).split(4096)
            ]
        return torch.cat(found).numpy()

    def _outputs(self, padded: tuple[torch.Tensor, ...], rows: torch.Tensor) -> torch.Tensor:
        return self._network.head(self._network(*(part[rows] for part in padded)))[:, 0]

    def _padded(self, sequences: ecseq.Sequences) -> tuple[torch.Tensor, ...]:
        """Numbers [n, T, f], codes [n, T, c] and lengths [n]."""
        lengths = sequences.lengths
        n, longest = len(lengths), int(lengths.max())
        rows = np.repeat(np.arange(n), lengths)
        steps = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        values = sequences.values[sequences.steps()]
        numbers = np.zeros((n, longest, len(self._numbers)), np.float32)
        numbers[rows, steps] = (values[:, self._numbers] - self._mean) / self._sd
        codes = np.zeros((n, longest, len(self._codes)), np.int64)
        for i, (column, known) in enumerate(zip(self._codes, self._known, strict=True)):
            found = np.minimum(np.searchsorted(known, values[:, column]), len(known) - 1)
            is_known = known[found] == values[:, column]
            codes[rows, steps, i] = np.where(is_known, found, len(known))
        return tuple(torch.from_numpy(part) for part in (numbers, codes, lengths.astype(np.int64)))


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, labels)
