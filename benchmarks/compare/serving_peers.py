"""How a service calls the model: through PyTorch, ONNX Runtime, and our package."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from serving_torch import ModelFile, OneEvent, WholeSequence
from torch import nn

import ecseq

Rows = NDArray[np.float32]
State = Any


@dataclass(frozen=True)
class Peer:
    """How a service calls one side. Requests are prepared before they are timed."""

    name: str
    history: Callable[[Rows], Any]  # of [length, features]
    whole: Callable[[Any], float]
    event: Callable[[Rows], Any]  # of [1, features]
    start: Callable[[], State]
    step: Callable[[Any, State], tuple[float, State]]


def _torch_peer(name: str, whole: Callable[..., Any], step: Callable[..., Any], h: int) -> Peer:
    def one_event(event: torch.Tensor, state: State) -> tuple[float, State]:
        score, h, c = step(event, *state)
        return float(score), (h, c)

    zeros = torch.zeros(1, h)
    return Peer(
        name,
        lambda rows: torch.from_numpy(rows).unsqueeze(1),
        lambda events: float(whole(events)),
        torch.from_numpy,
        lambda: (zeros, zeros),
        one_event,
    )


def _session(
    module: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], outputs: list[str]
) -> onnxruntime.InferenceSession:
    exported = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer exporter, and of other batch sizes
        torch.onnx.export(
            module, example, exported, dynamo=False, input_names=inputs, output_names=outputs
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        exported.getvalue(), options, providers=["CPUExecutionProvider"]
    )


def _onnx_peer(
    whole: nn.Module,
    step: nn.Module,
    history: tuple[torch.Tensor],
    event: tuple[torch.Tensor, ...],
) -> Peer:
    outputs = ["score", "h_after", "c_after"]
    of_history = _session(whole, history, ["events"], ["score"])
    of_event = _session(step, event, ["event", "h", "c"], outputs)

    def one_event(row: Rows, state: State) -> tuple[float, State]:
        score, h, c = of_event.run(outputs, {"event": row, "h": state[0], "c": state[1]})
        return float(score[0]), (h, c)

    zeros = event[1].numpy()
    return Peer(
        "ONNX Runtime",
        lambda rows: rows[:, None],
        lambda events: float(of_history.run(["score"], {"events": events})[0][0]),
        lambda rows: rows,
        lambda: (zeros, zeros),
        one_event,
    )


def ours_from_python(path: Path) -> Peer:
    scorer = ecseq.Scorer.load(str(path))

    def one_event(event: Rows, state: State) -> tuple[float, State]:
        return scorer.update(state, event), state

    return Peer(
        "ecseq, from Python",
        lambda rows: rows,
        scorer.score,
        lambda rows: rows[0],
        scorer.start,
        one_event,
    )


def peers(path: Path, length: int) -> list[Peer]:
    """All that can be called: ours too where this ecseq has a Scorer. length: of all
    histories."""
    file = ModelFile(path)
    features, hidden = file.recurrent_sizes()
    whole, step = WholeSequence(file).eval(), OneEvent(file).eval()
    zeros = torch.zeros(1, hidden)
    history, event = (torch.zeros(length, 1, features),), (torch.zeros(1, features), zeros, zeros)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript gets no new features
        scripts = [
            torch.jit.freeze(torch.jit.trace(module, example))
            for module, example in ((whole, history), (step, event))
        ]
        found = [
            _torch_peer("PyTorch, eager", whole, step, hidden),
            _torch_peer("PyTorch, TorchScript", *scripts, hidden),
            _torch_peer("PyTorch, compiled", torch.compile(whole), torch.compile(step), hidden),
            _onnx_peer(whole, step, history, event),
        ]
    if hasattr(ecseq, "Scorer"):
        found.insert(0, ours_from_python(path))
    return found
