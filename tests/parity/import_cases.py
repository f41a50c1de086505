"""State dicts of PyTorch's layers, and input for them, from NumPy's legacy random numbers alone:
the golden file then holds results only. Used by import_torch.py and tests/python."""

import itertools

import numpy as np

LENGTHS = [3, 9, 1, 5, 9, 2, 6]


def recurrent_cases():
    """name -> (cell, features, hidden, layers, bidirectional)"""
    grid = itertools.product(
        ("lstm", "gru"), (1, 5, 33), (7, 32, 64, 100), (1, 2, 3), (False, True)
    )
    for cell, features, hidden, layers, bidirectional in grid:
        name = f"{cell}.{features}.{hidden}.{layers}.{'both' if bidirectional else 'one'}"
        yield name, (cell, features, hidden, layers, bidirectional)


def transformer_cases():
    """name -> (hidden, heads, feed_forward, layers, norm_first, activation, causal, final_norm)"""
    for (hidden, heads), norm_first, activation, causal in itertools.product(
        ((8, 2), (12, 3), (64, 4)), (False, True), ("relu", "gelu"), (False, True)
    ):
        name = f"transformer.{hidden}.{'pre' if norm_first else 'post'}.{activation}"
        name += ".causal" if causal else ""
        yield name, (hidden, heads, 3 * hidden + 1, 2, norm_first, activation, causal, norm_first)


def seed_of(name):
    return sum((i + 1) * byte for i, byte in enumerate(name.encode())) % 2**31


def draw(random, *shape, bound):
    return random.uniform(-bound, bound, shape).astype(np.float32)


def recurrent_state(name, case):
    cell, features, hidden, layers, bidirectional = case
    random = np.random.RandomState(seed_of(name))
    rows = (4 if cell == "lstm" else 3) * hidden
    bound = hidden**-0.5
    state = {}
    for layer in range(layers):
        inputs = features if layer == 0 else hidden * (2 if bidirectional else 1)
        for suffix in ("", "_reverse") if bidirectional else ("",):
            end = f"_l{layer}{suffix}"
            state["weight_ih" + end] = draw(random, rows, inputs, bound=bound)
            state["weight_hh" + end] = draw(random, rows, hidden, bound=bound)
            state["bias_ih" + end] = draw(random, rows, bound=bound)
            state["bias_hh" + end] = draw(random, rows, bound=bound)
    return state


def transformer_state(name, case):
    hidden, _, feed_forward, layers, *_, final_norm = case
    random = np.random.RandomState(seed_of(name))
    state = {}

    def norm(prefix):
        state[prefix + ".weight"] = 1 + draw(random, hidden, bound=0.3)
        state[prefix + ".bias"] = draw(random, hidden, bound=0.3)

    for layer in range(layers):
        prefix = f"layers.{layer}."
        for part, rows, cols in (
            ("self_attn.in_proj_", 3 * hidden, hidden),
            ("self_attn.out_proj.", hidden, hidden),
            ("linear1.", feed_forward, hidden),
            ("linear2.", hidden, feed_forward),
        ):
            state[prefix + part + "weight"] = draw(random, rows, cols, bound=cols**-0.5)
            state[prefix + part + "bias"] = draw(random, rows, bound=0.2)
        norm(prefix + "norm1")
        norm(prefix + "norm2")
    if final_norm:
        norm("norm")
    return state


def events(name, features):
    random = np.random.RandomState(seed_of(name) + 1)
    return [draw(random, length, features, bound=2.0) for length in LENGTHS]


def projections(name, outputs):
    """What the golden file holds of outputs [sequences, width]: two sums per sequence, weighted at
    random. [sequences, 2]"""
    random = np.random.RandomState(seed_of(name) + 2)
    weights = random.uniform(-1, 1, (outputs.shape[1], 2)) / outputs.shape[1] ** 0.5
    return outputs.astype(np.float64) @ weights
