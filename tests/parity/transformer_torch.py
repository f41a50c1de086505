"""Writes golden/transformer.txt: torch.nn.TransformerEncoder on ragged input, padded and masked.

    python tests/parity/transformer_torch.py tests/parity/golden

As recurrent_torch.py. The padding holds large numbers, which the mask must keep out. What is
compared: of the output and of the gradient of the input a random combination of the columns; of
each weight's gradient the same, of each bias' and gain's gradient one random combination.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from recurrent_torch import LENGTHS, Rng, write

LAYERS = 2
# norm_first, causal, activation; a stack of norm_first layers ends with a norm of its own
SHAPES = [
    (False, False, "relu"),
    (True, False, "relu"),
    (False, True, "gelu"),
    (True, True, "gelu"),
]
SIZES = [(8, 2, 16), (12, 3, 21), (64, 4, 48)]  # width, heads, hidden units


class Parameters:
    """Draws parameters in the order of the C++ test and remembers how to compare gradients."""

    def __init__(self, rng):
        self.rng = rng
        self.columns = []

    def weight(self, module, name, rows, cols):
        value = self.rng.matrix(rows, cols, 1.5 * rows**-0.5)
        self._set(module, name, value.T, self.rng.matrix(cols, 1, 1.0))

    def vector(self, module, name, size, centre=0.0):
        value = np.float32(centre) + self.rng.matrix(1, size, 0.5)[0]
        self._set(module, name, value, self.rng.matrix(size, 1, 1.0))

    def _set(self, module, name, value, column):
        parameter = getattr(module, name)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        self.columns.append((parameter, column.astype(np.float64)))

    def norm(self, module, size):
        self.vector(module, "weight", size, centre=1.0)
        self.vector(module, "bias", size)


def case(out, number, shape, size):
    norm_first, causal, activation = shape
    width, heads, hidden = size
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, hidden, 0.0, activation, batch_first=True, norm_first=norm_first
    )
    final = torch.nn.LayerNorm(width) if norm_first else None
    encoder = torch.nn.TransformerEncoder(layer, LAYERS, final, enable_nested_tensor=False).double()
    rng = Rng(1000 * number + width)
    events = rng.matrix(sum(LENGTHS), width, 2.0)
    objective = rng.matrix(sum(LENGTHS), width, 1.0).astype(np.float64)
    column = rng.matrix(width, 1, 1.0).astype(np.float64)
    parameters = Parameters(rng)
    for block in encoder.layers:
        parameters.weight(block.self_attn, "in_proj_weight", width, 3 * width)
        parameters.vector(block.self_attn, "in_proj_bias", 3 * width)
        parameters.weight(block.self_attn.out_proj, "weight", width, width)
        parameters.vector(block.self_attn.out_proj, "bias", width)
        parameters.weight(block.linear1, "weight", width, hidden)
        parameters.vector(block.linear1, "bias", hidden)
        parameters.weight(block.linear2, "weight", hidden, width)
        parameters.vector(block.linear2, "bias", width)
        parameters.norm(block.norm1, width)
        parameters.norm(block.norm2, width)
    if final is not None:
        parameters.norm(encoder.norm, width)

    padded = torch.full((len(LENGTHS), max(LENGTHS), width), 50.0, dtype=torch.float64)
    padding = torch.ones(len(LENGTHS), max(LENGTHS), dtype=torch.bool)
    for i, part in enumerate(np.split(events, np.cumsum(LENGTHS)[:-1])):
        padded[i, : len(part)] = torch.from_numpy(part)
        padding[i, : len(part)] = False
    padded.requires_grad_()
    mask = None
    if causal:
        mask = torch.ones(max(LENGTHS), max(LENGTHS), dtype=torch.bool).triu(1)
    result = encoder(padded, mask=mask, src_key_padding_mask=padding, is_causal=causal)[~padding]
    (result * torch.from_numpy(objective)).sum().backward()

    prefix = f"{number}.{width}"
    write(out, f"{prefix}.output", result.detach().numpy() @ column)
    write(out, f"{prefix}.input", padded.grad[~padding].numpy() @ column)
    for i, (parameter, of_gradient) in enumerate(parameters.columns):
        write(out, f"{prefix}.p{i}", of_gradient.T @ parameter.grad.numpy())


def main():
    with open(Path(sys.argv[1]) / "transformer.txt", "w", encoding="ascii") as out:
        for number, shape in enumerate(SHAPES):
            for size in SIZES:
                case(out, number, shape, size)


if __name__ == "__main__":
    main()
