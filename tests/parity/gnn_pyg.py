"""Writes golden/gnn.txt: PyTorch Geometric's layers on representatives -> targets, ragged.

    python tests/parity/gnn_pyg.py tests/parity/golden

As recurrent_torch.py; torch_geometric 2.8. Outputs and all gradients of a weighted sum of them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from recurrent_torch import Rng, write
from torch_geometric.nn import GATConv, GCNConv, SAGEConv

# The sources of each target's edges; one target has none.
NEIGHBOURS = [[0, 3], [5], [], [1, 2, 4, 5], [3, 3, 0]]
N_SOURCES = 6
# name, columns in, columns out, heads
CASES = [
    ("sage_mean", 5, 7, 1),
    ("sage_max", 5, 7, 1),
    ("gcn", 5, 7, 1),
    ("gat1", 5, 4, 1),
    ("gat4", 6, 12, 4),
]


def leaf(matrix):
    return torch.from_numpy(matrix.astype(np.float64)).requires_grad_()


def case(out, number, name, columns, size, heads):
    rng = Rng(7000 + number)
    targets, sources = leaf(rng.matrix(5, columns, 2.0)), leaf(rng.matrix(6, columns, 2.0))
    edges = [(s, t) for t, row in enumerate(NEIGHBOURS) for s in row]
    weights = (rng.matrix(len(edges), 1, 0.5) + np.float32(1.0)).astype(np.float64)[:, 0]
    index = torch.tensor(edges).T
    shape = {
        "sage_mean": [(columns, size), (columns, size), (1, size)],
        "gcn": [(columns, size), (1, size)],
        "gat": [(columns, size), (heads, size // heads), (heads, size // heads), (1, size)],
    }["gat" if name.startswith("gat") else "gcn" if name == "gcn" else "sage_mean"]
    parameters = [leaf(rng.matrix(rows, cols, 0.7)) for rows, cols in shape]
    coefficients = torch.from_numpy(rng.matrix(5, size, 1.0).astype(np.float64))

    everyone = torch.cat([sources, targets])
    to_targets = torch.stack([index[0], index[1] + N_SOURCES])
    if name.startswith("sage"):
        own, heard, bias = parameters
        layer = SAGEConv((columns, columns), size, aggr=name.removeprefix("sage_"))
        replace(layer.lin_r, weight=own.T)
        replace(layer.lin_l, weight=heard.T, bias=bias[0])
        z = layer((sources, targets), index, size=(N_SOURCES, 5))
    elif name == "gcn":
        weight, bias = parameters
        layer = GCNConv(columns, size)
        replace(layer.lin, weight=weight.T)
        replace(layer, bias=bias[0])
        z = layer(everyone, to_targets, torch.from_numpy(weights))[N_SOURCES:]
    else:
        weight, of_source, of_target, bias = parameters
        layer = GATConv(columns, size // heads, heads=heads)
        replace(layer.lin, weight=weight.T)
        replace(layer, att_src=of_source[None], att_dst=of_target[None], bias=bias[0])
        z = layer(everyone, to_targets)[N_SOURCES:]
    (z * coefficients).sum().backward()

    write(out, f"{name}.z", z.detach().numpy())
    write(out, f"{name}.targets", targets.grad.numpy())
    write(out, f"{name}.sources", sources.grad.numpy())
    for i, parameter in enumerate(parameters):
        write(out, f"{name}.{i}", parameter.grad.numpy())


def replace(module, **tensors):
    """Parameters become these tensors, which keep their own gradients."""
    for name, tensor in tensors.items():
        del module._parameters[name]
        setattr(module, name, tensor)


def main():
    with open(Path(sys.argv[1]) / "gnn.txt", "w", encoding="ascii") as out:
        for number, (name, columns, size, heads) in enumerate(CASES):
            case(out, number, name, columns, size, heads)


if __name__ == "__main__":
    main()
