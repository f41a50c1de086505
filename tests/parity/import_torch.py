"""Writes golden/import.txt: what torch's layers give for the state dicts of import_cases.py.

    python tests/parity/import_torch.py tests/parity/golden

Each line: name, values (see `projections`). Computed in float64; torch 2.13.0.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from import_cases import (
    events,
    projections,
    recurrent_cases,
    recurrent_state,
    transformer_cases,
    transformer_state,
)


def loaded(module, state):
    module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in state.items()})
    return module.double().eval()


def recurrent_outputs(name, case):
    """The last states of the top layer, forward and then backward. [sequences, width]"""
    cell, features, hidden, layers, bidirectional = case
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](
        features, hidden, layers, bidirectional=bidirectional, batch_first=True
    )
    module = loaded(module, recurrent_state(name, case))
    parts = [torch.from_numpy(x).double() for x in events(name, features)]
    _, state = module(torch.nn.utils.rnn.pack_sequence(parts, enforce_sorted=False))
    state = state[0] if cell == "lstm" else state
    directions = 2 if bidirectional else 1
    return torch.cat(list(state[-directions:]), dim=1).numpy()


def transformer_outputs(name, case):
    """The last state of each sequence. [sequences, hidden]"""
    hidden, heads, feed_forward, layers, norm_first, activation, causal, final_norm = case
    layer = torch.nn.TransformerEncoderLayer(
        hidden,
        heads,
        feed_forward,
        activation=activation,
        norm_first=norm_first,
        batch_first=True,
    )
    norm = torch.nn.LayerNorm(hidden) if final_norm else None
    module = loaded(
        torch.nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False),
        transformer_state(name, case),
    )
    out = []
    for x in events(name, hidden):
        mask = torch.nn.Transformer.generate_square_subsequent_mask(len(x), dtype=torch.float64)
        states = module(torch.from_numpy(x).double()[None], mask=mask if causal else None)
        out.append(states[0, -1].numpy())
    return np.stack(out)


def main():
    with (
        open(Path(sys.argv[1]) / "import.txt", "w", encoding="ascii") as out,
        torch.inference_mode(),
    ):
        for cases, outputs in (
            (recurrent_cases, recurrent_outputs),
            (transformer_cases, transformer_outputs),
        ):
            for name, case in cases():
                values = projections(name, outputs(name, case)).ravel()
                out.write(name + " " + " ".join(f"{v:.6g}" for v in values) + "\n")


if __name__ == "__main__":
    main()
