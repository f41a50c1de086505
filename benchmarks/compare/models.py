"""The same network on each side: one set of weights, checked to give the same embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import ecseq

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}
TOLERANCE = 1e-4


def recurrent_module(cell: str, features: int, hidden: int) -> nn.Module:
    torch.manual_seed(1)
    return CELLS[cell](features, hidden, batch_first=True)


def recurrent_encoder(module: nn.Module) -> ecseq.SequenceEncoder:
    return ecseq.SequenceEncoder.from_torch(module)


def transformer_module(width: int, heads: int, layers: int) -> nn.Module:
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(width, heads, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).eval()


def transformer_encoder(module: nn.Module) -> ecseq.SequenceEncoder:
    return ecseq.SequenceEncoder.from_torch(module)


def full_length(x: NDArray[np.float32]) -> ecseq.Sequences:
    """x: [batch, length, features]"""
    batch, length, features = x.shape
    return ecseq.Sequences(x.reshape(-1, features), np.arange(batch + 1) * length)


# ONNX orders the gates of an LSTM i, o, f, c and of a GRU z, r, h; PyTorch i, f, g, o and r, z, n.
_ONNX_ORDER = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}


def onnx_session(module: nn.Module, length: int, threads: int) -> onnxruntime.InferenceSession:
    """x: [length, 1, features] -> h: [1, 1, hidden] with the module's weights."""
    cell = "lstm" if isinstance(module, nn.LSTM) else "gru"
    order = _ONNX_ORDER[cell]
    hidden, features = module.hidden_size, module.input_size

    def ordered(name: str) -> NDArray[np.float32]:
        value = getattr(module, name).detach().numpy()
        return np.concatenate([value[gate * hidden : (gate + 1) * hidden] for gate in order])

    weights = {
        "w": ordered("weight_ih_l0")[None],
        "r": ordered("weight_hh_l0")[None],
        "b": np.concatenate([ordered("bias_ih_l0"), ordered("bias_hh_l0")])[None],
    }
    attributes = {"hidden_size": hidden}
    if cell == "gru":
        attributes["linear_before_reset"] = 1
    node = helper.make_node(cell.upper(), ["x", "w", "r", "b"], ["", "h"], **attributes)
    graph = helper.make_graph(
        [node],
        cell,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [length, 1, features])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 1, hidden])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def onnx_calls(
    session: onnxruntime.InferenceSession, x: NDArray[np.float32]
) -> dict[str, Callable[[], object]]:
    """The two ways to call a session, of which either may be the faster one."""
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("h")
    return {
        "ONNX Runtime run": lambda: session.run(["h"], {"x": x}),
        "ONNX Runtime bound": lambda: session.run_with_iobinding(binding),
    }


def require_equal(ours: NDArray[np.float32], theirs: NDArray[np.float32], what: str) -> None:
    """Raises unless both computed the same thing: other work must not be timed against ours."""
    if ours.shape != theirs.shape:
        raise SystemExit(f"{what}: shape {ours.shape} is not {theirs.shape}")
    difference = float(np.abs(ours - theirs).max())
    if not difference <= TOLERANCE:
        raise SystemExit(f"{what}: results differ by {difference}, more than {TOLERANCE}")
