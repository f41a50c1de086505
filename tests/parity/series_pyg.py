"""Writes golden/series.txt: the paper's traffic model in PyTorch and PyTorch Geometric.

    python tests/parity/series_pyg.py tests/parity/golden

As recurrent_torch.py, weights in its random numbers; torch_geometric 2.8. Windows of scaled series
through an LSTM and its head, the mean of each group's embeddings at the same moment, edges from the
groups whose mean series correlates with a series, a SAGEConv and a linear head.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from recurrent_torch import Rng, write
from torch_geometric.nn import SAGEConv

SERIES, STEPS, WINDOW, HIDDEN, LAYER = 7, 40, 12, 64, 16
GROUPS = [0, 0, 1, 2, 2, 1, 3]
LEAST_CORRELATION = 0.5


def series(rng):
    """Three shapes with noise, so that some groups are correlated and some are not: [STEPS, 7]"""
    t = np.arange(STEPS)[:, None]
    shapes = np.concatenate([np.sin(t / 3), np.cos(t / 3), np.sin(t / 1.7)], axis=1)
    mixed = shapes[:, [0, 0, 1, 2, 2, 1, 0]] * np.array([1, 2, 1, 3, 1, 2, 1])
    return (10 + mixed + rng.matrix(STEPS, SERIES, 0.8)).astype(np.float32)


def edges_of(values):
    """(group, series) pairs."""
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    means = np.stack([z[:, np.equal(GROUPS, k)].mean(axis=1) for k in range(4)], axis=1)
    correlation = np.corrcoef(z.T, means.T)[:SERIES, SERIES:]
    pairs = []
    for s in range(SERIES):
        heard = np.flatnonzero(correlation[s] >= LEAST_CORRELATION)
        pairs += [(int(k), s) for k in (heard if len(heard) else [correlation[s].argmax()])]
    return pairs


def main(folder):
    rng = Rng(8100)
    values = series(rng)
    low, high = 5.0, 16.0
    scaled = torch.from_numpy((values.astype(np.float64) - low) / (high - low))
    lstm = torch.nn.LSTM(1, HIDDEN, batch_first=True).double()
    layer = SAGEConv((HIDDEN, HIDDEN), LAYER, aggr="mean").double()
    base, head = torch.nn.Linear(HIDDEN, 1).double(), torch.nn.Linear(LAYER, 1).double()
    own_and_heard = rng.matrix(2 * HIDDEN, LAYER, 0.3)
    with open(Path(folder) / "series.txt", "w") as out, torch.no_grad():
        write(out, "values", values)
        # In ecseq's layout, [inputs, outputs].
        for parameter, drawn in (
            (lstm.weight_ih_l0, rng.matrix(1, 4 * HIDDEN, 0.3)),
            (lstm.weight_hh_l0, rng.matrix(HIDDEN, 4 * HIDDEN, 0.3)),
            (lstm.bias_ih_l0, rng.matrix(1, 4 * HIDDEN, 0.3)),
            (base.weight, rng.matrix(HIDDEN, 1, 0.3)),
            (base.bias, rng.matrix(1, 1, 0.3)),
            (layer.lin_r.weight, own_and_heard[:HIDDEN]),
            (layer.lin_l.weight, own_and_heard[HIDDEN:]),
            (layer.lin_l.bias, rng.matrix(1, LAYER, 0.3)),
            (head.weight, rng.matrix(LAYER, 1, 0.3)),
            (head.bias, rng.matrix(1, 1, 0.3)),
        ):
            value = torch.from_numpy(drawn.T.astype(np.float64))
            parameter.copy_(value.reshape(parameter.shape))
        lstm.bias_hh_l0.zero_()
        windows = torch.stack([scaled[-WINDOW:, s, None] for s in range(SERIES)])
        e = lstm(windows)[1][0][0]
        x_com = torch.stack([e[np.equal(GROUPS, k)].mean(0) for k in range(4)])
        index = torch.tensor(edges_of(values.astype(np.float64))).T
        z = layer((x_com, e), index, size=(4, SERIES))
        write(out, "x_com", x_com.numpy())
        write(out, "edges", index.T.numpy())
        write(out, "base.forecast", low + (high - low) * base(e).numpy())
        write(out, "forecast", low + (high - low) * head(z).numpy())


if __name__ == "__main__":
    main(sys.argv[1])
