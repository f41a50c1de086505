"""The paper's model in PyTorch, written from its description (arXiv 2406.02979, section III).

Balanced k-means of the training embeddings (FAISS), targets attached to every representative whose
cosine exceeds epsilon, one layer z = W_l mean(representatives) + b + W_r x, where a target without
representatives has the mean 0, a linear head, squared error of the sigmoid, Adam, early stopping on
validation AUC with the weights of the best epoch.
"""

from __future__ import annotations

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ecseq.metrics import roc_auc

Floats = NDArray[np.float32]

EPSILON = 0.99
HIDDEN = 32
LEARNING_RATE = 5e-3
BATCH = 1000
MAX_EPOCHS, PATIENCE = 300, 30


def balanced_kmeans(X: Floats, y: Floats, per_class: dict[int, int], seed: int) -> Floats:
    """Centroids [K, h]: those of each class, found among its rows alone."""
    found = []
    for label, k in per_class.items():
        own = np.ascontiguousarray(X[y == label], dtype=np.float32)
        clusters = faiss.Kmeans(
            X.shape[1], min(k, len(own)), niter=20, seed=seed + 1, min_points_per_centroid=1,
            max_points_per_centroid=len(own),
        )  # fmt: skip
        clusters.train(own)
        found.append(clusters.centroids)
    return np.concatenate(found)


def attached_means(X: torch.Tensor, representatives: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Mean of the representatives each row is attached to, [n, h], and the share without any."""
    cosine = nn.functional.normalize(X) @ nn.functional.normalize(representatives).T
    edges = (cosine > EPSILON).float()
    count = edges.sum(1, keepdim=True)
    means = edges @ representatives / count.clamp(min=1)
    return means, float((count == 0).float().mean())


class Layer(nn.Module):
    """SAGE-mean and head on a row and the mean of its representatives: [n, h], [n, h] -> [n]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, HIDDEN, bias=False)
        self.neighbours = nn.Linear(width, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        return self.head(self.own(x) + self.neighbours(means))[:, 0]


class PaperModel:
    """`fit` and `scores` on embeddings; `isolation`: share of validation rows on their own."""

    def __init__(self, per_class: dict[int, int], seed: int) -> None:
        self._per_class = per_class
        self._seed = seed

    def fit(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats) -> PaperModel:
        torch.manual_seed(self._seed)
        found = balanced_kmeans(X, y, self._per_class, self._seed)
        self._representatives = torch.from_numpy(found)
        x, labels = torch.from_numpy(X), torch.from_numpy(y.astype(np.float32))
        means, _ = attached_means(x, self._representatives)
        held_out = torch.from_numpy(X_validation)
        held_out_means, self.isolation = attached_means(held_out, self._representatives)
        self._layer = Layer(X.shape[1])
        optimiser = torch.optim.Adam(self._layer.parameters(), lr=LEARNING_RATE)
        best, kept, since = -1.0, None, 0
        for _ in range(MAX_EPOCHS):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimiser.zero_grad()
                probability = torch.sigmoid(self._layer(x[rows], means[rows]))
                nn.functional.mse_loss(probability, labels[rows]).backward()
                optimiser.step()
            with torch.no_grad():
                auc = roc_auc(y_validation, self._layer(held_out, held_out_means).numpy())
            since += 1
            if auc > best:
                best, since = auc, 0
                kept = {name: value.clone() for name, value in self._layer.state_dict().items()}
            if since >= PATIENCE:
                break
        assert kept is not None
        self._layer.load_state_dict(kept)
        return self

    def scores(self, X: Floats) -> Floats:
        x = torch.from_numpy(X)
        with torch.no_grad():
            return torch.sigmoid(
                self._layer(x, attached_means(x, self._representatives)[0])
            ).numpy()
