"""Weights from and to PyTorch."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ecseq import SequenceEncoder, Sequences

PARITY = Path(__file__).parents[1] / "parity"
sys.path.insert(0, str(PARITY))
from import_cases import (  # noqa: E402
    events,
    projections,
    recurrent_cases,
    recurrent_state,
    transformer_cases,
    transformer_state,
)


@pytest.fixture(scope="module")
def golden():
    lines = (PARITY / "golden" / "import.txt").read_text().splitlines()
    found = {name: np.array(values, float) for name, *values in (line.split() for line in lines)}
    assert len(found) == 144 + 24
    return found


def transformer_options(case):
    _, heads, _, _, norm_first, activation, causal, _ = case
    return {
        "n_heads": heads,
        "norm": "pre" if norm_first else "post",
        "activation": activation,
        "causal": causal,
    }


@pytest.mark.parametrize(
    ("name", "case"), list(recurrent_cases()), ids=[name for name, _ in recurrent_cases()]
)
def test_recurrent_state_dicts_give_what_torch_gives(golden, name, case):
    encoder = SequenceEncoder.from_torch(recurrent_state(name, case))
    assert (encoder.cell, encoder.hidden_size, encoder.n_layers, encoder.bidirectional) == (
        case[0],
        case[2],
        case[3],
        case[4],
    )
    outputs = encoder.transform(Sequences.from_list(events(name, case[1])))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(projections(name, outputs).ravel(), golden[name], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "case"), list(transformer_cases()), ids=[name for name, _ in transformer_cases()]
)
def test_transformer_state_dicts_give_what_torch_gives(golden, name, case):
    encoder = SequenceEncoder.from_torch(transformer_state(name, case), **transformer_options(case))
    outputs = encoder.transform(Sequences.from_list(events(name, case[0])))
    np.testing.assert_allclose(projections(name, outputs).ravel(), golden[name], atol=1e-5)


LSTM = ("lstm", 5, 7, 2, True)
TRANSFORMER = (12, 3, 37, 2, True, "gelu", False, True)


@pytest.mark.parametrize("case", [LSTM, ("gru", 5, 7, 3, False)])
def test_a_state_dict_comes_back_and_gives_the_same(case):
    state = recurrent_state("back", case)
    encoder = SequenceEncoder.from_torch(state)
    back = encoder.to_torch_state_dict(as_numpy=True)
    assert set(back) == set(state)
    sequences = Sequences.from_list(events("back", 5))
    again = SequenceEncoder.from_torch(back)
    np.testing.assert_array_equal(again.transform(sequences), encoder.transform(sequences))
    for name in state:
        if name.startswith("weight"):
            np.testing.assert_array_equal(back[name], state[name])


def test_a_transformer_comes_back_and_gives_the_same():
    state = transformer_state("back", TRANSFORMER)
    encoder = SequenceEncoder.from_torch(state, **transformer_options(TRANSFORMER))
    back = encoder.to_torch_state_dict(as_numpy=True)
    assert set(back) == set(state)
    for name in state:
        np.testing.assert_array_equal(back[name], state[name])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_trained_weights_leave_with_their_standardisation(cell):
    rng = np.random.default_rng(0)
    data = [rng.normal([100, -3], [20, 0.1], (n, 2)) for n in rng.integers(2, 9, 60)]
    sequences = Sequences.from_list(data)
    labels = np.arange(60) % 2
    encoder = SequenceEncoder(cell, 9, n_layers=2, max_epochs=2).fit(sequences, labels)
    raw = SequenceEncoder.from_torch(encoder.to_torch_state_dict(as_numpy=True))
    np.testing.assert_allclose(
        raw.transform(sequences), encoder.transform(sequences), atol=2e-5, rtol=0
    )


def test_a_head_answers():
    rng = np.random.default_rng(0)
    state = {f"rnn.{n}": t for n, t in recurrent_state("head", ("gru", 3, 6, 1, False)).items()}
    state["fc.weight"], state["fc.bias"] = rng.normal(size=(3, 6)), rng.normal(size=3)
    encoder = SequenceEncoder.from_torch(state, prefix="rnn.", head="fc", classes=["a", "b", "c"])
    sequences = Sequences.from_list(events("head", 3))
    expected = encoder.transform(sequences) @ state["fc.weight"].T + state["fc.bias"]
    np.testing.assert_allclose(encoder.decision_function(sequences), expected, atol=1e-5)
    assert set(encoder.predict(sequences)) <= {"a", "b", "c"}
    headless = {n: t for n, t in state.items() if not n.startswith("fc")}
    with pytest.raises(AttributeError, match="no head"):
        SequenceEncoder.from_torch(headless, prefix="rnn.").predict(sequences)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("weight_hh_l1"), "tensor 'weight_hh_l1' is missing"),
        (lambda s: s.update(weight_hr_l0=np.ones((3, 7))), "'weight_hr_l0' has no place"),
        (lambda s: s.update({"fc.weight": np.ones((1, 7))}), "'fc.weight' has no place.*head="),
        (lambda s: s.update(bias_ih_l0=np.ones(5)), r"'bias_ih_l0' has shape \[5\], expected"),
        (lambda s: s.update(bias_ih_l0=np.full(28, np.nan)), "'bias_ih_l0' holds a value that"),
        (lambda s: s.update(bias_ih_l0=np.ones(28, int)), "'bias_ih_l0' is of int64"),
        (lambda s: s.clear(), "neither an LSTM or GRU"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, message):
    state = recurrent_state("refused", LSTM)
    change(state)
    with pytest.raises(ValueError, match=message):
        SequenceEncoder.from_torch(state)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_imported_weights_can_be_trained_on(kind):
    if kind == "lstm":
        encoder = SequenceEncoder.from_torch(recurrent_state("tune", ("lstm", 12, 9, 2, False)))
    else:
        state = transformer_state("tune", TRANSFORMER)
        encoder = SequenceEncoder.from_torch(state, **transformer_options(TRANSFORMER))
    rng = np.random.default_rng(0)
    sequences = Sequences.from_list([rng.normal(size=(5, 12)) for _ in range(60)])
    labels = np.arange(60) % 2
    before = encoder.transform(sequences)
    encoder.set_params(learning_rate=1e-9).partial_fit(sequences, labels)
    np.testing.assert_allclose(encoder.transform(sequences), before, atol=1e-5)
    encoder.set_params(learning_rate=1e-2, warm_start=True, max_epochs=20, dropout=0.1)
    encoder.fit(sequences, labels, validation=(sequences, labels))
    assert (encoder.predict(sequences) == labels).mean() > 0.9


def test_a_transformer_needs_to_be_told_its_heads():
    with pytest.raises(ValueError, match="n_heads"):
        SequenceEncoder.from_torch(transformer_state("heads", TRANSFORMER))
    with pytest.raises(ValueError, match="n_heads"):
        SequenceEncoder.from_torch(transformer_state("heads", TRANSFORMER), n_heads=5)
    with pytest.raises(TypeError, match="state dict"):
        SequenceEncoder.from_torch([1, 2])


def test_encoders_of_categories_do_not_become_torch_layers():
    rng = np.random.default_rng(0)
    sequences = Sequences.from_list([rng.integers(0, 3, (4, 1)) for _ in range(40)])
    encoder = SequenceEncoder(categorical={0: 2}, max_epochs=1).fit(sequences, np.arange(40) % 2)
    with pytest.raises(ValueError, match="categories"):
        encoder.to_torch_state_dict()


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    state = recurrent_state("file", LSTM)
    safetensors.save_file(state, str(tmp_path / "weights.safetensors"))
    read = SequenceEncoder.from_safetensors(tmp_path / "weights.safetensors", pooling="mean")
    given = SequenceEncoder.from_torch(state, pooling="mean")
    sequences = Sequences.from_list(events("file", 5))
    np.testing.assert_array_equal(read.transform(sequences), given.transform(sequences))


def test_modules(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is a peer, not a requirement")
    torch.manual_seed(0)
    x = [torch.from_numpy(part) for part in events("module", 12)]
    sequences = Sequences.from_list([part.numpy() for part in x])
    for module in (torch.nn.LSTM(12, 10, 2), torch.nn.GRU(12, 10, bidirectional=True)):
        encoder = SequenceEncoder.from_torch(module)
        packed = torch.nn.utils.rnn.pack_sequence(x, enforce_sorted=False)
        with torch.inference_mode():
            _, state = module(packed)
        state = state[0] if isinstance(state, tuple) else state
        top = state[-1:] if not module.bidirectional else state[-2:]
        np.testing.assert_allclose(
            encoder.transform(sequences), torch.cat(list(top), dim=1).numpy(), atol=1e-5
        )
        module.load_state_dict(encoder.to_torch_state_dict())
    layer = torch.nn.TransformerEncoderLayer(12, 3, 20, activation="gelu", norm_first=True)
    module = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    encoder = SequenceEncoder.from_torch(module, pooling="mean")
    with torch.inference_mode():
        expected = np.stack([module(part[:, None]).mean(dim=0)[0].numpy() for part in x])
    np.testing.assert_allclose(encoder.transform(sequences), expected, atol=1e-5)
    with pytest.raises(ValueError, match="no place"):
        SequenceEncoder.from_torch(torch.nn.LSTM(12, 12, proj_size=4))
    layer = torch.nn.TransformerEncoderLayer(12, 3, 20, activation=torch.tanh)
    module = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    with pytest.raises(ValueError, match="activation"):
        SequenceEncoder.from_torch(module)
