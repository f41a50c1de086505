"""The same model in PyTorch, from the numbers in our model file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import nn

NEIGHBOURS = 8


class ModelFile:
    """Tensors of a model file as PyTorch wants them, and the numbers of its configuration."""

    def __init__(self, path: Path) -> None:
        self.tensors = safetensors.numpy.load_file(path)
        with safe_open(path, "numpy") as file:
            self.config = json.loads(file.metadata()["config"])
        options = self.config["similarity"]
        expected = {"attach": "knn", "n_neighbors": NEIGHBOURS, "label_mix": True, "mass": True}
        for name, value in expected.items():
            if options[name] != value:
                raise SystemExit(f"{path}: {name} is {options[name]}, the peers have {value}")

    def row(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.tensors[name].reshape(-1).astype(np.float32))

    def matrix(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.tensors[name])

    def linear(self, name: str) -> nn.Linear:
        weight = self.matrix(name + ".weight")  # [in, out]
        layer = nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(weight.T)
            layer.bias.copy_(self.row(name + ".bias"))
        return layer

    def recurrent_sizes(self) -> tuple[int, int]:
        features, gates = self.tensors["encoder.lstm.weight_input"].shape
        return features, gates // 4

    def copy_recurrent(self, layer: nn.LSTM | nn.LSTMCell, suffix: str) -> None:
        """Into a layer that reads events as they come: the standardisation is in its weights."""
        weight = self.matrix("encoder.lstm.weight_input").T  # [4 hidden, features]
        scale, mean = self.row("encoder.feature.scale"), self.row("encoder.feature.mean")
        with torch.no_grad():
            getattr(layer, "weight_ih" + suffix).copy_(weight * scale)
            getattr(layer, "weight_hh" + suffix).copy_(self.matrix("encoder.lstm.weight_hidden").T)
            bias = self.row("encoder.lstm.bias") - weight @ (mean * scale)
            getattr(layer, "bias_ih" + suffix).copy_(bias)
            getattr(layer, "bias_hh" + suffix).zero_()

    def nodes(self) -> torch.Tensor:
        """What a representative says: vector, label evidence, log mass. [K, h + 2]"""
        scaled = (self.matrix("similarity.vectors") - self.row("similarity.scale.mean")) * self.row(
            "similarity.scale.inverse_std"
        )
        strength = self.config["similarity"]["prior_strength"]
        prior = self.tensors["similarity.prior"]

        def log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
            share = np.clip(share, 1e-5, 1 - 1e-5)
            return np.log(share / (1 - share))

        shares = (self.tensors["similarity.label_sums"] + strength * prior) / (
            self.tensors["similarity.labelled_mass"] + strength
        )
        evidence = log_odds(shares) - log_odds(prior)
        log_mass = np.log1p(self.tensors["similarity.mass"])
        said = np.stack([evidence, log_mass], axis=1).astype(np.float32)
        return torch.cat([scaled.clamp(-8, 8), torch.from_numpy(said)], dim=1)


class Decision(nn.Module):
    """From embeddings [batch, h] to probabilities [batch]."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__()
        self.base = file.linear("encoder.head")
        self.register_buffer("mean", file.row("similarity.scale.mean"))
        self.register_buffer("inverse_std", file.row("similarity.scale.inverse_std"))
        nodes = file.nodes()
        points = nodes[:, : self.mean.numel()]
        self.register_buffer("nodes", nodes)
        self.register_buffer("points", points.T.contiguous())
        self.register_buffer("half_norms", -0.5 * points.square().sum(dim=1))
        self.register_buffer("layer_mean", file.row("layer.scale.mean"))
        self.register_buffer("layer_inverse_std", file.row("layer.scale.inverse_std"))
        self.hidden = file.linear("layer.hidden")
        self.hidden2 = file.linear("layer.hidden2")
        self.output = file.linear("layer.output")
        gate = file.config["gate"]
        self.base_weight: float = gate["base_weight"]
        self.head_weight: float = gate["head_weight"]
        self.bias: float = gate["bias"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        base = self.base(x)
        scaled = ((x - self.mean) * self.inverse_std).clamp(-8.0, 8.0)
        # |x - p|^2 / 2 = |x|^2 / 2 - (x p - |p|^2 / 2): the nearest have the largest of the latter.
        found, index = torch.topk(
            torch.addmm(self.half_norms, scaled, self.points), NEIGHBOURS, dim=1
        )
        distance = (scaled.square().sum(dim=1, keepdim=True) - 2.0 * found).clamp(min=0.0)
        weight = torch.softmax(
            -2.0 * distance / distance.mean(dim=1, keepdim=True).clamp(min=1e-30), dim=1
        )
        heard = torch.bmm(weight.unsqueeze(1), self.nodes[index]).squeeze(1)
        inputs = torch.cat([x, base, heard], dim=1)
        inputs = ((inputs - self.layer_mean) * self.layer_inverse_std).clamp(-8.0, 8.0)
        head = self.output(self.hidden2(self.hidden(inputs).relu()).relu())
        logit = self.base_weight * base + self.head_weight * head + self.bias
        return torch.sigmoid(logit).squeeze(1)


class Batch(nn.Module):
    """Histories of one length [batch, length, features] to [batch]."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__()
        self.lstm = nn.LSTM(*file.recurrent_sizes(), batch_first=True)
        file.copy_recurrent(self.lstm, "_l0")
        self.decision = Decision(file)

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        return self.decision(self.lstm(events)[1][0][0])


class WholeSequence(nn.Module):
    """One history [length, 1, features] to [1]."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__()
        self.lstm = nn.LSTM(*file.recurrent_sizes())
        file.copy_recurrent(self.lstm, "_l0")
        self.decision = Decision(file)
        self.register_buffer("start", torch.zeros(1, 1, self.lstm.hidden_size))

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        return self.decision(self.lstm(events, (self.start, self.start))[1][0][0])


class OneEvent(nn.Module):
    """One event [1, features] and the state before it, to [1] and the state after it."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(*file.recurrent_sizes())
        file.copy_recurrent(self.cell, "")
        self.decision = Decision(file)

    def forward(
        self, event: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        h, c = self.cell(event, (h, c))
        return self.decision(h), h, c
