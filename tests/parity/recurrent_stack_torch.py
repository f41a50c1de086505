"""Writes golden/lstm_stack.txt and gru_stack.txt: stacked and bidirectional torch cells on ragged
input.

    python tests/parity/recurrent_stack_torch.py tests/parity/golden

As recurrent_torch.py. What is compared: four random combinations each of the last states (torch's
h_n of the top layer, forward and backward side by side), of all states of the top layer, and of the
gradient of each weight and bias; the objective weighs every state.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from recurrent_torch import LENGTHS, SIZES, Rng, joined, write

SHAPES = [(1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]


def combined(rng, matrix):
    """Four random combinations of all elements."""
    rows = rng.matrix(4, matrix.shape[0], 1.0).astype(np.float64)
    columns = rng.matrix(matrix.shape[1], 1, 1.0).astype(np.float64)
    return rows @ (matrix @ columns)


def case(out, cell, layers, directions, inputs, hidden):
    rng = Rng(1000000 * (2 * layers + directions) + 1000 * inputs + hidden)
    bound = hidden**-0.5
    gates = 4 if cell == "lstm" else 3
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    network = module(
        inputs, hidden, layers, batch_first=True, bidirectional=directions == 2
    ).double()
    events = rng.matrix(sum(LENGTHS), inputs, 2.0)
    suffixes = [f"l{i}{d}" for i in range(layers) for d in ("", "_reverse")[:directions]]
    for index, suffix in enumerate(suffixes):
        width = inputs if index < directions else hidden * directions
        weights = {
            "weight_ih": rng.matrix(width, gates * hidden, bound).T.copy(),
            "weight_hh": rng.matrix(hidden, gates * hidden, bound).T.copy(),
            "bias_ih": rng.matrix(1, gates * hidden, bound)[0],
            "bias_hh": rng.matrix(1, gates * hidden, bound)[0],
        }
        with torch.no_grad():
            for name, value in weights.items():
                getattr(network, f"{name}_{suffix}").copy_(torch.from_numpy(value))
    of_last = rng.matrix(len(LENGTHS), hidden * directions, 1.0).astype(np.float64)
    of_every = rng.matrix(sum(LENGTHS), hidden * directions, 1.0).astype(np.float64)

    parts = torch.split(torch.from_numpy(events).double(), LENGTHS)
    packed, state = network(torch.nn.utils.rnn.pack_sequence(list(parts), enforce_sorted=False))
    state = state[0] if cell == "lstm" else state
    last = torch.cat(list(state[-directions:]), dim=1)
    every = torch.cat(torch.nn.utils.rnn.unpack_sequence(packed))
    objective = (last * torch.from_numpy(of_last)).sum()
    (objective + (every * torch.from_numpy(of_every)).sum()).backward()

    prefix = f"{layers}x{directions}.{inputs}x{hidden}"
    write(out, f"{prefix}.last", combined(rng, last.detach().numpy()))
    write(out, f"{prefix}.every", combined(rng, every.detach().numpy()))
    for suffix in suffixes:
        gradient = {
            name: getattr(network, f"{name}_{suffix}").grad.numpy()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        name = f"{prefix}.{suffix}"
        write(out, f"{name}.input", combined(rng, gradient["weight_ih"].T))
        write(out, f"{name}.hidden", combined(rng, gradient["weight_hh"].T))
        bias = joined(cell, gradient["bias_ih"], gradient["bias_hh"])
        write(out, f"{name}.bias", combined(rng, bias[:, np.newaxis]))


def main():
    for cell in ("lstm", "gru"):
        with open(Path(sys.argv[1]) / f"{cell}_stack.txt", "w", encoding="ascii") as out:
            for layers, directions in SHAPES:
                for inputs, hidden in SIZES:
                    case(out, cell, layers, directions, inputs, hidden)


if __name__ == "__main__":
    main()
