"""PyTorch's names and layouts of weights to ecseq's, and back.

A state dict is a mapping of names to arrays, as ``torch.nn.LSTM``, ``torch.nn.GRU`` and
``torch.nn.TransformerEncoder`` make it. Every tensor is consumed, or the import refuses by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tensors = dict[str, Array]


class Imported(NamedTuple):
    """An encoder's tensors by ecseq's names, and the architecture that they have."""

    tensors: Tensors
    architecture: dict[str, Any]


class _StateDict:
    """Tensors taken one by one, until none is left."""

    def __init__(self, state: Mapping[str, Any], prefix: str) -> None:
        self._tensors = {name: _array(value, name) for name, value in state.items()}
        self._prefix = prefix
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._tensors

    def names(self) -> list[str]:
        return [n[len(self._prefix) :] for n in self._tensors if n.startswith(self._prefix)]

    def take(self, name: str, *shape: int) -> Array:
        """The tensor, whose shape must be this; -1 for any size."""
        full = self._prefix + name
        if full not in self._tensors:
            raise ValueError(f"state dict: tensor {full!r} is missing; it holds {self._held()}")
        tensor = self._tensors[full]
        fits = len(tensor.shape) == len(shape) and all(
            expected in (-1, got) for got, expected in zip(tensor.shape, shape, strict=True)
        )
        if not fits:
            wanted = ["any" if size < 0 else size for size in shape]
            raise ValueError(
                f"state dict: tensor {full!r} has shape {list(tensor.shape)}, expected {wanted}"
            )
        self._taken.add(full)
        return tensor

    def take_absolute(self, name: str, *shape: int) -> Array:
        """As `take`, by the whole name."""
        prefix, self._prefix = self._prefix, ""
        try:
            return self.take(name, *shape)
        finally:
            self._prefix = prefix

    def require_all_taken(self, kind: str) -> None:
        left = sorted(set(self._tensors) - self._taken)
        if left:
            raise ValueError(
                f"state dict: tensor {left[0]!r} has no place in {kind}"
                + (f" (nor have {left[1]!r} and others)" if len(left) > 1 else "")
                + "; name the part to import with prefix=, a final linear layer with head="
            )

    def _held(self) -> str:
        names = sorted(self._tensors)
        return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"


def _array(value: Any, name: str) -> Array:
    if hasattr(value, "detach"):  # a torch tensor, of whichever precision and device
        value = value.detach().cpu().float().numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise ValueError(f"state dict: tensor {name!r} is of {array.dtype}, expected real numbers")
    converted = array.astype(np.float32)
    if not np.isfinite(converted).all():
        raise ValueError(f"state dict: tensor {name!r} holds a value that is not finite")
    return converted


def from_state_dict(
    state: Mapping[str, Any], given: Mapping[str, Any], *, prefix: str, head: str | None
) -> Imported:
    """``given``: what a state dict does not say of a Transformer, see `architecture_of_module`."""
    tensors = _StateDict(state, prefix)
    if "weight_ih_l0" in tensors:
        imported = _recurrent(tensors)
    elif any(name.startswith("layers.0.self_attn.") for name in tensors.names()):
        imported = _transformer(tensors, given)
    else:
        raise ValueError(
            "state dict: neither an LSTM or GRU ('weight_ih_l0') nor a Transformer encoder "
            f"('layers.0.self_attn.in_proj_weight') under prefix {prefix!r}; it holds "
            f"{tensors._held()}"
        )
    if head is not None:
        width = imported.architecture["hidden_size"]
        width *= 2 if imported.architecture.get("bidirectional") else 1
        weight = tensors.take_absolute(f"{head}.weight", -1, width)
        outputs = len(weight)
        bias = (
            tensors.take_absolute(f"{head}.bias", outputs)
            if f"{head}.bias" in state
            else np.zeros(outputs, np.float32)
        )
        imported.tensors["head.weight"] = weight.T
        imported.tensors["head.bias"] = bias[None]
        imported.tensors["target.mean"] = np.zeros((1, 1), np.float32)
        imported.tensors["target.std"] = np.ones((1, 1), np.float32)
    tensors.require_all_taken(f"a {imported.architecture['cell']} encoder")
    return Imported(
        {name: np.ascontiguousarray(t, np.float32) for name, t in imported.tensors.items()},
        imported.architecture,
    )


def _identity_features(features: int) -> Tensors:
    return {
        "feature.mean": np.zeros((1, features), np.float32),
        "feature.scale": np.ones((1, features), np.float32),
    }


def _recurrent(state: _StateDict) -> Imported:
    if "weight_hr_l0" in state:
        raise ValueError(
            "state dict: tensor 'weight_hr_l0' has no place in an encoder, whose LSTM has no "
            "projection (proj_size)"
        )
    hidden = state.take("weight_hh_l0", -1, -1).shape[1]
    rows, features = state.take("weight_ih_l0", -1, -1).shape
    cells = {4 * hidden: ("lstm", 4), 3 * hidden: ("gru", 3)}
    if rows not in cells:
        raise ValueError(
            f"state dict: tensor 'weight_ih_l0' has {rows} rows for a hidden size of {hidden}; an "
            f"LSTM has {4 * hidden}, a GRU {3 * hidden}"
        )
    cell, gates = cells[rows]
    bidirectional = "weight_ih_l0_reverse" in state
    tensors = _identity_features(features)
    layer = 0
    while f"weight_ih_l{layer}" in state:
        inputs = features if layer == 0 else hidden * (2 if bidirectional else 1)
        for backward in (False, True) if bidirectional else (False,):
            theirs = f"_l{layer}" + ("_reverse" if backward else "")
            ours = _layer_suffix(layer, backward)
            biases = []
            for name in ("bias_ih", "bias_hh"):
                present = name + theirs in state
                biases.append(
                    state.take(name + theirs, gates * hidden)
                    if present
                    else np.zeros(gates * hidden, np.float32)
                )
            tensors[f"{cell}.weight_input{ours}"] = state.take(
                "weight_ih" + theirs, gates * hidden, inputs
            ).T
            tensors[f"{cell}.weight_hidden{ours}"] = state.take(
                "weight_hh" + theirs, gates * hidden, hidden
            ).T
            tensors[f"{cell}.bias{ours}"] = _joined(cell, *biases)[None]
        layer += 1
    architecture = {
        "cell": cell,
        "hidden_size": hidden,
        "n_layers": layer,
        "bidirectional": bidirectional,
    }
    return Imported(tensors, architecture)


def _layer_suffix(layer: int, backward: bool) -> str:
    return (f"_{layer}" if layer else "") + ("_backward" if backward else "")


def _joined(cell: str, of_input: Array, of_hidden: Array) -> Array:
    """One bias per gate; a GRU's new gate keeps its two apart. [4 H]"""
    if cell == "lstm":
        return of_input + of_hidden
    third = len(of_input) // 3
    joined = of_input.copy()
    joined[: 2 * third] += of_hidden[: 2 * third]
    return np.concatenate([joined, of_hidden[2 * third :]])


# Of one layer: our name, PyTorch's, and its shape in terms of H and F.
_TRANSFORMER_LAYER = (
    ("in_projection", "self_attn.in_proj_weight", "self_attn.in_proj_bias", "3HxH"),
    ("out_projection", "self_attn.out_proj.weight", "self_attn.out_proj.bias", "HxH"),
    ("feed_forward_in", "linear1.weight", "linear1.bias", "FxH"),
    ("feed_forward_out", "linear2.weight", "linear2.bias", "HxF"),
    ("norm_attention", "norm1.weight", "norm1.bias", "H"),
    ("norm_feed_forward", "norm2.weight", "norm2.bias", "H"),
)


def _transformer(state: _StateDict, given: Mapping[str, Any]) -> Imported:
    if given.get("n_heads") is None:
        raise ValueError(
            "n_heads: a Transformer's state dict does not say it; pass n_heads= (and norm=, "
            "activation=), or the module itself"
        )
    hidden = state.take("layers.0.self_attn.out_proj.weight", -1, -1).shape[0]
    feed_forward = state.take("layers.0.linear1.weight", -1, hidden).shape[0]
    sizes = {"3H": 3 * hidden, "H": hidden, "F": feed_forward}
    tensors = _identity_features(hidden)
    layer = 0
    while f"layers.{layer}.linear1.weight" in state:
        for ours, weight, bias, shape in _TRANSFORMER_LAYER:
            name = f"transformer.{layer}.{ours}"
            shapes = [sizes[size] for size in shape.split("x")]
            taken = state.take(f"layers.{layer}.{weight}", *shapes)
            present = f"layers.{layer}.{bias}" in state
            offset = (
                state.take(f"layers.{layer}.{bias}", shapes[0])
                if present
                else np.zeros(shapes[0], np.float32)
            )
            if ours.startswith("norm"):
                tensors[f"{name}.gain"] = taken[None]
            else:
                tensors[f"{name}.weight"] = taken.T
            tensors[f"{name}.bias"] = offset[None]
        layer += 1
    final_norm = "norm.weight" in state
    if final_norm:
        tensors["transformer.norm.gain"] = state.take("norm.weight", hidden)[None]
        tensors["transformer.norm.bias"] = (
            state.take("norm.bias", hidden)[None]
            if "norm.bias" in state
            else np.zeros((1, hidden), np.float32)
        )
    architecture = {
        "cell": "transformer",
        "hidden_size": hidden,
        "n_layers": layer,
        "feed_forward_size": feed_forward,
        "positions": "none",
        "input_projection": False,
        "final_norm": final_norm,
        **given,
    }
    return Imported(tensors, architecture)


def graph_layer_from_state_dict(state: Mapping[str, Any], own: int) -> Tensors:
    """A SAGEConv of PyTorch Geometric and a linear head, as the layer of a forecaster.

    z = lin_r x + lin_l m + b, where m is the mean over the neighbours. own: columns of x and m.
    """
    tensors = _StateDict(state, "")
    ends = [name for name in tensors.names() if name.endswith("lin_l.weight")]
    if len(ends) != 1:
        raise ValueError(
            "state dict: expected one SAGEConv ('lin_l.weight'), got "
            f"{ends if ends else 'none'}; it holds {tensors._held()}"
        )
    layer = ends[0].removesuffix("lin_l.weight")
    heard = tensors.take(layer + "lin_l.weight", -1, own)
    hidden = len(heard)
    bias = tensors.take(layer + "lin_l.bias", hidden)
    self_weight = tensors.take(layer + "lin_r.weight", hidden, own)
    heads = [
        name
        for name in tensors.names()
        if name.endswith(".weight") and not name.startswith(layer + "lin_")
    ]
    if len(heads) != 1:
        raise ValueError(
            "state dict: expected one linear head beside the SAGEConv, got "
            f"{heads if heads else 'none'}"
        )
    head = heads[0].removesuffix(".weight")
    weight = tensors.take(head + ".weight", -1, hidden)
    output_bias = (
        tensors.take(head + ".bias", len(weight))
        if head + ".bias" in tensors
        else np.zeros(len(weight), np.float32)
    )
    tensors.require_all_taken("a GraphSAGE layer with a head")
    return {
        "hidden.weight": np.ascontiguousarray(np.concatenate([self_weight.T, heard.T])),
        "hidden.bias": np.ascontiguousarray(bias[None]),
        "output.weight": np.ascontiguousarray(weight.T),
        "output.bias": np.ascontiguousarray(output_bias[None]),
    }


def architecture_of_module(module: Any) -> dict[str, Any]:
    """What a ``torch.nn.TransformerEncoder`` does that its tensors do not say; {} for others."""
    layers = getattr(module, "layers", None)
    if layers is None:
        return {}
    found = [_layer_architecture(layer) for layer in layers]
    if any(layer != found[0] for layer in found):
        raise ValueError("module: its layers differ in heads, norm, activation or epsilon")
    return found[0]


def _layer_architecture(layer: Any) -> dict[str, Any]:
    activation = layer.activation
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    if name not in ("relu", "gelu") or getattr(activation, "approximate", "none") != "none":
        raise ValueError(f"module: activation {activation!r} is neither relu nor exact gelu")
    for norm in (layer.norm1, layer.norm2):
        if norm.eps != 1e-5:
            raise ValueError(f"module: layer_norm_eps is {norm.eps}, expected 1e-5")
    return {
        "n_heads": int(layer.self_attn.num_heads),
        "norm": "pre" if layer.norm_first else "post",
        "activation": name,
    }


def to_state_dict(tensors: Mapping[str, Array], architecture: Mapping[str, Any]) -> Tensors:
    """PyTorch's tensors of an encoder of numeric events, which it is to be given as they are:
    their standardisation becomes part of the first weights.

    An LSTM or GRU loads into ``torch.nn.LSTM`` or ``GRU``; a Transformer's layers into
    ``torch.nn.TransformerEncoder``, beside ``input.weight`` and ``.bias`` of the linear map before
    it (if it has one) and ``positions`` where they are learned.
    """
    mean = tensors["feature.mean"][0].astype(np.float64)
    scale = tensors["feature.scale"][0].astype(np.float64)

    def folded(weight: Array, bias: Array) -> tuple[Array, Array]:
        """weight: [inputs, outputs], of standardised events; bias: [outputs]"""
        raw = weight.astype(np.float64) * scale[:, None]
        moved = bias.astype(np.float64) - mean @ raw
        return raw.T.astype(np.float32), moved.astype(np.float32)

    convert = _transformer_state if architecture["cell"] == "transformer" else _recurrent_state
    return convert(tensors, architecture, folded)


Fold = Callable[[Array, Array], tuple[Array, Array]]


def _recurrent_state(
    tensors: Mapping[str, Array], architecture: Mapping[str, Any], folded: Fold
) -> Tensors:
    cell, hidden = architecture["cell"], architecture["hidden_size"]
    state: Tensors = {}
    for layer in range(architecture["n_layers"]):
        for backward in (False, True) if architecture["bidirectional"] else (False,):
            ours, theirs = _layer_suffix(layer, backward), f"_l{layer}"
            theirs += "_reverse" if backward else ""
            weight = tensors[f"{cell}.weight_input{ours}"]
            bias = tensors[f"{cell}.bias{ours}"][0]
            of_input = bias[: weight.shape[1]]
            of_hidden = np.zeros_like(of_input)
            if cell == "gru":
                of_hidden[2 * hidden :] = bias[3 * hidden :]
            if layer == 0:
                weight_ih, of_input = folded(weight, of_input)
            else:
                weight_ih = weight.T
            state["weight_ih" + theirs] = weight_ih
            state["weight_hh" + theirs] = tensors[f"{cell}.weight_hidden{ours}"].T
            state["bias_ih" + theirs] = of_input
            state["bias_hh" + theirs] = of_hidden
    return {name: np.array(tensor, np.float32, order="C") for name, tensor in state.items()}


def _transformer_state(
    tensors: Mapping[str, Array], architecture: Mapping[str, Any], folded: Fold
) -> Tensors:
    state: Tensors = {}
    if architecture["input_projection"]:
        state["input.weight"], state["input.bias"] = folded(
            tensors["transformer.input.weight"], tensors["transformer.input.bias"][0]
        )
    elif (tensors["feature.mean"] != 0).any() or (tensors["feature.scale"] != 1).any():
        raise ValueError(
            "to_torch_state_dict: events are standardised and there is no linear map in front of "
            "the Transformer to take that in"
        )
    if "transformer.positions" in tensors:
        state["positions"] = tensors["transformer.positions"]
    for layer in range(architecture["n_layers"]):
        for ours, weight, bias, _ in _TRANSFORMER_LAYER:
            name = f"transformer.{layer}.{ours}"
            is_norm = ours.startswith("norm")
            state[f"layers.{layer}.{weight}"] = (
                tensors[f"{name}.gain"][0] if is_norm else tensors[f"{name}.weight"].T
            )
            state[f"layers.{layer}.{bias}"] = tensors[f"{name}.bias"][0]
    if architecture["final_norm"]:
        state["norm.weight"] = tensors["transformer.norm.gain"][0]
        state["norm.bias"] = tensors["transformer.norm.bias"][0]
    return {name: np.array(tensor, np.float32, order="C") for name, tensor in state.items()}


def tensors_of_safetensors(path: str) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file."""
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(
            "from_safetensors: reading foreign files needs the package safetensors: "
            "pip install 'ecseq[safetensors]'"
        ) from error
    found: dict[str, NDArray[Any]] = load_file(path)
    return found
