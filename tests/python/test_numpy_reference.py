"""The whole forward pass once more, in NumPy, from nothing but the tensors of the model file.

An independent implementation of the published equations: standardise, attach to the nearest
representatives, aggregate (GraphSAGE mean), relate, head, gate. Messages are passed edge by edge,
with a weight matrix per relation, not with the blocks that the library multiplies at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ecseq
from conftest import Embeddings, make_sequences

safetensors = pytest.importorskip("safetensors.numpy")
Array = NDArray[np.float64]


def read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["config"])


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def scaled(tensors: dict[str, Array], prefix: str, x: Array) -> Array:
    z = (x - tensors[prefix + "scale.mean"]) * tensors[prefix + "scale.inverse_std"]
    return np.clip(z, -8, 8)


def lstm(tensors: dict[str, Array], events: Array) -> Array:
    """Last hidden state, one event after the other. events: [t, d]"""
    hidden = tensors["encoder.lstm.weight_hidden"].shape[0]
    h, c = np.zeros(hidden), np.zeros(hidden)
    mean, scale = tensors["encoder.feature.mean"][0], tensors["encoder.feature.scale"][0]
    for event in (events - mean) * scale:
        gates = (
            event @ tensors["encoder.lstm.weight_input"]
            + h @ tensors["encoder.lstm.weight_hidden"]
            + tensors["encoder.lstm.bias"][0]
        )
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return h


def relate(
    tensors: dict[str, Array], config: dict[str, Any], x: Array, base: Array
) -> tuple[Array, Array]:
    """(enriched embedding [hidden], logit of the head) of one target x [h] with base logit [1]."""
    # Attach: the k nearest representatives in standardised space.
    vectors = scaled(tensors, "similarity.", tensors["similarity.vectors"])
    distance = ((vectors - scaled(tensors, "similarity.", x[None])[0]) ** 2).sum(axis=1)
    nearest = np.argsort(distance, kind="stable")[: config["similarity"]["n_neighbors"]]
    near = distance[nearest]
    weight = np.exp(-2 * (near - near.min()) / near.mean())
    weight /= weight.sum()

    # Node features of a representative: vector, evidence of its labels, log mass.
    prior, strength = tensors["similarity.prior"][0], config["similarity"]["prior_strength"]
    mass = tensors["similarity.mass"]
    share = (tensors["similarity.label_sums"] + strength * prior) / (mass + strength)
    evidence = np.log(share / (1 - share)) - np.log(prior / (1 - prior))
    nodes = np.column_stack([vectors, evidence, np.log1p(mass)])

    # GraphSAGE mean: z = relu(W_self x + sum_j w_j W_rep node_j + b), on standardised columns.
    weights = tensors["layer.hidden.weight"]
    blocks = {block["name"]: block for block in config["blocks"]}
    own, around = blocks["self"], blocks["similarity"]
    mean, inverse_std = tensors["layer.scale.mean"][0], tensors["layer.scale.inverse_std"][0]

    def columns(block: dict[str, Any]) -> slice:
        return slice(block["begin"], block["begin"] + block["size"])

    def standard(block: dict[str, Any], values: Array) -> Array:
        return (values - mean[columns(block)]) * inverse_std[columns(block)]

    message = sum(
        w * (standard(around, nodes[j]) @ weights[columns(around)])
        for w, j in zip(weight, nearest, strict=True)
    )
    state = standard(own, np.concatenate([x, base])) @ weights[columns(own)]
    z = np.maximum(0, state + message + tensors["layer.hidden.bias"][0])
    return z, z @ tensors["layer.output.weight"] + tensors["layer.output.bias"][0]


def gated(config: dict[str, Any], base: Array, head: Array) -> Array:
    gate = config["gate"]
    if not gate["stacked"]:
        return base
    return gate["base_weight"] * base + gate["head_weight"] * head + gate["bias"]


def test_embeddings(training: Embeddings, tmp_path: Path) -> None:
    model = ecseq.ECSeqClassifier(n_representatives=30, max_epochs=10)
    model.fit(training.X, training.y).save(tmp_path / "model.ecseq")
    assert model.fit_report_["gate"]["choice"] == "stacked"
    tensors, config = read(tmp_path / "model.ecseq")
    rows = training.X[:40]
    enriched, scores = model.transform(rows), model.decision_function(rows)
    for row, x in enumerate(rows.astype(np.float64)):
        base = (
            scaled(tensors, "base.", x[None])[0] @ tensors["base.output.weight"]
            + tensors["base.output.bias"][0]
        )
        z, head = relate(tensors, config, x, base)
        np.testing.assert_allclose(enriched[row], z, atol=2e-4)
        np.testing.assert_allclose(scores[row], gated(config, base, head)[0], atol=1e-3)


def test_sequences(tmp_path: Path) -> None:
    batch, y = make_sequences(800, 5)
    encoder = ecseq.SequenceEncoder(hidden_size=6, max_epochs=6, learning_rate=0.01)
    # Labels that a linear head on the sum misses, so that the relation has something to add.
    y = np.array([int(abs(x[:, 0].sum()) > 1.2) for x in batch])
    model = ecseq.ECSeqClassifier(encoder, n_representatives=40, max_epochs=10).fit(batch, y)
    model.save(tmp_path / "model.ecseq")
    tensors, config = read(tmp_path / "model.ecseq")
    rows = batch[:25]
    embedding = model.encoder_.transform(rows)
    scores, base_scores = model.decision_function(rows), model.base_scores(rows)
    for row in range(len(rows)):
        x = lstm(tensors, rows[row].astype(np.float64))
        np.testing.assert_allclose(embedding[row], x, atol=1e-5)
        base = x @ tensors["encoder.head.weight"] + tensors["encoder.head.bias"][0]
        np.testing.assert_allclose(base_scores[row], sigmoid(base)[0], atol=1e-5)
        _, head = relate(tensors, config, x, base)
        np.testing.assert_allclose(scores[row], gated(config, base, head)[0], atol=2e-3)
