"""Writes golden/augru.txt: states and gradients of an AUGRU composed of torch's operations.

    python tests/parity/augru_torch.py tests/parity/golden

As recurrent_torch.py. The cell is written as in Zhou et al. 2019, section 4.3: u weighs the new
state, u' = a u; u is one minus the sigmoid of the library's update gate, which weighs the old one.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from recurrent_torch import LENGTHS, Rng, write

SIZES = [(1, 7), (5, 7), (33, 32), (1, 64), (5, 100)]


def augru(x, attention, weight_input, weight_hidden, bias_input, bias_hidden):
    """x: [events, inputs], attention: [events, 1] -> [events, H]"""
    h = torch.zeros(weight_hidden.shape[0], dtype=torch.float64)
    states = []
    for event, a in zip(x, attention, strict=True):
        reset_x, keep_x, new_x = (event @ weight_input + bias_input).chunk(3)
        reset_h, keep_h, new_h = (h @ weight_hidden + bias_hidden).chunk(3)
        u = a * (1 - torch.sigmoid(keep_x + keep_h))
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        h = (1 - u) * h + u * new
        states.append(h)
    return torch.stack(states)


def case(out, inputs, hidden):
    rng = Rng(1000 * inputs + hidden)
    bound = hidden**-0.5

    def leaf(matrix):
        return torch.from_numpy(matrix.astype(np.float64)).requires_grad_()

    x = leaf(rng.matrix(sum(LENGTHS), inputs, 2.0))
    attention = leaf((rng.matrix(sum(LENGTHS), 1, 0.5) + np.float32(0.5)).astype(np.float32))
    weight_input = leaf(rng.matrix(inputs, 3 * hidden, bound))
    weight_hidden = leaf(rng.matrix(hidden, 3 * hidden, bound))
    bias_input = leaf(rng.matrix(1, 3 * hidden, bound)[0])
    bias_hidden = leaf(rng.matrix(1, 3 * hidden, bound)[0])
    of_last = torch.from_numpy(rng.matrix(len(LENGTHS), hidden, 1.0).astype(np.float64))
    of_every = torch.from_numpy(rng.matrix(sum(LENGTHS), hidden, 1.0).astype(np.float64))
    columns = rng.matrix(3 * hidden, 1, 1.0).astype(np.float64)

    parts = [
        augru(*part, weight_input, weight_hidden, bias_input, bias_hidden)
        for part in zip(torch.split(x, LENGTHS), torch.split(attention, LENGTHS), strict=True)
    ]
    last, every = torch.stack([part[-1] for part in parts]), torch.cat(parts)
    ((last * of_last).sum() + (every * of_every).sum()).backward()

    name = f"{inputs}x{hidden}"
    write(out, f"{name}.last", last.detach().numpy().sum(axis=0))
    write(out, f"{name}.every", every.detach().numpy().sum(axis=0))
    write(out, f"{name}.x", x.grad.numpy().sum(axis=1))
    write(out, f"{name}.attention", attention.grad.numpy())
    write(out, f"{name}.input", weight_input.grad.numpy() @ columns)
    write(out, f"{name}.hidden", weight_hidden.grad.numpy() @ columns)
    gradients = [bias_input.grad.numpy(), bias_hidden.grad.numpy()[2 * hidden :]]
    write(out, f"{name}.bias", np.concatenate(gradients))


def main():
    with open(Path(sys.argv[1]) / "augru.txt", "w", encoding="ascii") as out:
        for inputs, hidden in SIZES:
            case(out, inputs, hidden)


if __name__ == "__main__":
    main()
