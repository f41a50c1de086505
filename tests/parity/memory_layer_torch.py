"""Writes golden/memory_layer.txt: PyTorch's GRU and an attention pooling over ragged memories.

    python tests/parity/memory_layer_torch.py tests/parity/golden

As recurrent_torch.py. Outputs and all gradients of a weighted sum of them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from recurrent_torch import Rng, write

# One entity is remembered by nothing.
LENGTHS = [3, 0, 1, 6, 2]
COLUMNS, SIZE = 3, 8


def leaf(matrix):
    return torch.from_numpy(matrix.astype(np.float64)).requires_grad_()


def gru(rows, weight_input, weight_hidden, bias):
    """bias: [1, 4H], the new gate's of the state last; the first three gates have one each."""
    layer = torch.nn.GRU(COLUMNS, SIZE, batch_first=True).double()
    # torch keeps gates by row: r, z, n, as columns here.
    parameters = {
        "weight_ih_l0": weight_input.T,
        "weight_hh_l0": weight_hidden.T,
        "bias_ih_l0": bias[0, : 3 * SIZE],
        "bias_hh_l0": torch.cat([torch.zeros(2 * SIZE).double(), bias[0, 3 * SIZE :]]),
    }
    states = []
    for part in torch.split(rows, LENGTHS):
        state = torch.zeros(SIZE).double()
        if len(part):
            _, last = torch.func.functional_call(layer, parameters, (part[None],))
            state = last[0, 0]
        states.append(state)
    return torch.stack(states)


def gnn(rows, first, first_bias, second, second_bias, attention):
    v = torch.relu(torch.relu(rows @ first + first_bias) @ second + second_bias)
    pooled = []
    for part in torch.split(v, LENGTHS):
        if len(part) == 0:
            pooled.append(torch.zeros(SIZE).double())
            continue
        alpha = torch.softmax(part @ attention[0], 0)
        pooled.append(torch.cat([part.mean(0), alpha @ part]))
    return torch.stack(pooled)


def case(out, number, name):
    rng = Rng(9100 + number)
    rows = leaf(rng.matrix(sum(LENGTHS), COLUMNS, 2.0))
    half = SIZE // 2
    shapes = {
        "gru": [(COLUMNS, 3 * SIZE), (SIZE, 3 * SIZE), (1, 4 * SIZE)],
        "gnn": [(COLUMNS, half), (1, half), (half, half), (1, half), (1, half)],
    }[name]
    parameters = [leaf(rng.matrix(*shape, 0.7)) for shape in shapes]
    coefficients = torch.from_numpy(rng.matrix(len(LENGTHS), SIZE, 1.0).astype(np.float64))
    z = {"gru": gru, "gnn": gnn}[name](rows, *parameters)
    (z * coefficients).sum().backward()
    write(out, f"{name}.z", z.detach().numpy())
    write(out, f"{name}.rows", rows.grad.numpy())
    for i, parameter in enumerate(parameters):
        write(out, f"{name}.{i}", parameter.grad.numpy())


def main():
    with open(Path(sys.argv[1]) / "memory_layer.txt", "w", encoding="ascii") as out:
        for number, name in enumerate(["gru", "gnn"]):
            case(out, number, name)


if __name__ == "__main__":
    main()
