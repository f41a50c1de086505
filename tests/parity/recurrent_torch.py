"""Writes golden/lstm.txt and golden/gru.txt: states and gradients of torch's cells, ragged input.
Of the states a random combination of the sequences, of the weights' gradients one of the columns.

    python tests/parity/recurrent_torch.py tests/parity/golden

Inputs and weights come from the library's own random numbers, so the files hold results only.
Each line: name, number of values, values. Computed in float64; torch 2.13.0.
"""

import sys
from pathlib import Path

import numpy as np
import torch

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    """z: [n] of uint64, whose products wrap around."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Rng:
    """ecseq::Rng."""

    def __init__(self, seed):
        self.state = mix(np.array([seed], dtype=np.uint64) + GOLDEN_RATIO)

    def matrix(self, rows, cols, bound):
        states = self.state + GOLDEN_RATIO * np.arange(1, rows * cols + 1, dtype=np.uint64)
        self.state = states[-1:]
        u = (mix(states) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return (-bound + 2 * bound * u).astype(np.float32).reshape(rows, cols)


LENGTHS = [3, 9, 1, 5, 9, 2, 6]
SIZES = [(inputs, hidden) for inputs in (1, 5, 33) for hidden in (7, 32, 64, 100)]


def write(out, name, tensor):
    values = np.asarray(tensor).ravel()
    out.write(f"{name} {values.size} " + " ".join(f"{v:.8g}" for v in values) + "\n")


def joined(cell, of_input, of_hidden):
    """One bias per gate; a GRU's new gate keeps the two apart. [4H]"""
    if cell == "lstm":
        return of_input
    return np.concatenate([of_input, of_hidden[len(of_hidden) // 3 * 2 :]])


def case(out, cell, inputs, hidden):
    rng = Rng(1000 * inputs + hidden)
    bound = hidden**-0.5
    size = (4 if cell == "lstm" else 3) * hidden
    events = rng.matrix(sum(LENGTHS), inputs, 2.0)
    weight_input = rng.matrix(inputs, size, bound)
    weight_hidden = rng.matrix(hidden, size, bound)
    bias_input = rng.matrix(1, size, bound)
    bias_hidden = rng.matrix(1, size, bound)
    coefficients = rng.matrix(len(LENGTHS), hidden, 1.0)
    columns = rng.matrix(size, 1, 1.0).astype(np.float64)
    sequences = rng.matrix(1, len(LENGTHS), 1.0).astype(np.float64)

    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    network = module(inputs, hidden, batch_first=True).double()
    with torch.no_grad():
        network.weight_ih_l0.copy_(torch.from_numpy(weight_input.T.copy()))
        network.weight_hh_l0.copy_(torch.from_numpy(weight_hidden.T.copy()))
        network.bias_ih_l0.copy_(torch.from_numpy(bias_input[0]))
        network.bias_hh_l0.copy_(torch.from_numpy(bias_hidden[0]))
    parts = torch.split(torch.from_numpy(events).double(), LENGTHS)
    _, state = network(torch.nn.utils.rnn.pack_sequence(list(parts), enforce_sorted=False))
    state = (state[0] if cell == "lstm" else state)[0]
    (state * torch.from_numpy(coefficients).double()).sum().backward()

    grad_input = network.weight_ih_l0.grad.numpy().T
    grad_hidden = network.weight_hh_l0.grad.numpy().T
    grad_bias = joined(cell, network.bias_ih_l0.grad.numpy(), network.bias_hh_l0.grad.numpy())
    name = f"{inputs}x{hidden}"
    write(out, f"{name}.state", sequences @ state.detach().numpy())
    write(out, f"{name}.bias", grad_bias)
    write(out, f"{name}.input", grad_input @ columns)
    write(out, f"{name}.hidden", grad_hidden @ columns)


def main():
    for cell in ("lstm", "gru"):
        with open(Path(sys.argv[1]) / f"{cell}.txt", "w", encoding="ascii") as out:
            for inputs, hidden in SIZES:
                case(out, cell, inputs, hidden)


if __name__ == "__main__":
    main()
