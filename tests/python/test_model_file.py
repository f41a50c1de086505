"""The model file: exact, readable by others, and refused when it is not what was written."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ecseq
from conftest import Embeddings

Batch = tuple[ecseq.Sequences, NDArray[np.int64]]

REPLAY = """
import sys, numpy as np, ecseq
data = np.load(sys.argv[2])
model = ecseq.load(sys.argv[1])
np.save(sys.argv[3], model.replay(
    data["X"], data["y"], entities={"terminal": data["terminal"]}, times=data["times"]))
"""


def test_predicts_the_same_bits_in_a_new_process(
    related: ecseq.ECSeqClassifier, later: Embeddings, tmp_path: Path
) -> None:
    related.save(tmp_path / "model.ecseq")
    np.savez(tmp_path / "data.npz", **vars(later))
    subprocess.run(
        [sys.executable, "-c", REPLAY, tmp_path / "model.ecseq", tmp_path / "data.npz",
         tmp_path / "scores.npy"],
        check=True,
    )  # fmt: skip
    here = related.replay(later.X, later.y, entities=later.entities, times=later.times)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), here)


def test_everything_about_the_estimator_comes_back(
    related: ecseq.ECSeqClassifier, later: Embeddings, tmp_path: Path
) -> None:
    related.user_metadata_ = {"columns": ["a"], "window": 20}
    try:
        related.save(tmp_path / "model.ecseq")
    finally:
        related.user_metadata_ = {}
    loaded = ecseq.load(tmp_path / "model.ecseq")
    assert type(loaded) is ecseq.ECSeqClassifier
    assert loaded.max_epochs == related.max_epochs
    assert loaded.relations[1].by == "terminal"
    assert loaded.fit_report_ == related.fit_report_
    assert loaded.user_metadata_ == {"columns": ["a"], "window": 20}
    np.testing.assert_array_equal(loaded.classes_, related.classes_)
    np.testing.assert_array_equal(loaded.representatives_.cases, related.representatives_.cases)
    arguments: dict[str, Any] = {
        "entities": {"terminal": later.terminal[:3]},
        "times": later.times[:3],
    }
    assert str(loaded.explain(later.X[:3], **arguments)) == str(
        related.explain(later.X[:3], **arguments)
    )


def test_text_classes_and_dict_options_come_back(training: Embeddings, tmp_path: Path) -> None:
    y = np.where(training.y == 1, "fraud", "fine")
    model = ecseq.ECSeqClassifier(
        compressor="balanced_kmeans",
        n_representatives={"fine": 20, "fraud": 5},
        class_weight={"fraud": 3.0},
        max_epochs=2,
    ).fit(training.X, y)
    model.save(tmp_path / "model.ecseq")
    loaded = ecseq.load(tmp_path / "model.ecseq")
    assert loaded.n_representatives == {"fine": 20, "fraud": 5}
    assert loaded.class_weight == {"fraud": 3.0}
    np.testing.assert_array_equal(loaded.predict(training.X), model.predict(training.X))


def test_models_with_an_encoder(
    encoder: ecseq.SequenceEncoder, sequences: Batch, tmp_path: Path
) -> None:
    batch, y = sequences
    model = ecseq.ECSeqClassifier(encoder, max_epochs=3).fit(batch, y)
    model.save(tmp_path / "model.ecseq")
    loaded = ecseq.load(tmp_path / "model.ecseq")
    np.testing.assert_array_equal(loaded.predict_proba(batch), model.predict_proba(batch))
    np.testing.assert_array_equal(
        loaded.encoder_.predict_proba(batch), encoder.predict_proba(batch)
    )


def test_regressors(training: Embeddings, tmp_path: Path) -> None:
    model = ecseq.ECSeqRegressor(max_epochs=2).fit(training.X, training.X[:, 0] * 7)
    model.save(tmp_path / "model.ecseq")
    loaded = ecseq.load(tmp_path / "model.ecseq")
    assert type(loaded) is ecseq.ECSeqRegressor
    np.testing.assert_array_equal(loaded.predict(training.X), model.predict(training.X))


def test_pickle_holds_the_same_bytes(
    related: ecseq.ECSeqClassifier, later: Embeddings, encoder: ecseq.SequenceEncoder,
    sequences: Batch,
) -> None:  # fmt: skip
    copy = pickle.loads(pickle.dumps(related))
    np.testing.assert_array_equal(
        copy.replay(later.X, later.y, entities=later.entities, times=later.times),
        related.replay(later.X, later.y, entities=later.entities, times=later.times),
    )
    assert copy._model.to_bytes() == related._model.to_bytes()
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(encoder)).transform(sequences[0]),
        encoder.transform(sequences[0]),
    )


def test_the_safetensors_package_opens_it(related: ecseq.ECSeqClassifier, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    related.save(tmp_path / "model.ecseq")
    with safetensors.safe_open(tmp_path / "model.ecseq", "np") as file:
        assert file.metadata()["format"] == "ecseq-model"
        assert json.loads(file.metadata()["config"])["n_classes"] == 2
        np.testing.assert_array_equal(
            file.get_tensor("similarity.vectors"), related.representatives_.vectors
        )


def test_truncated_altered_and_foreign_files_are_refused(
    related: ecseq.ECSeqClassifier, tmp_path: Path
) -> None:
    path = tmp_path / "model.ecseq"
    related.save(path)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    bad = [good[:n] for n in (0, 5, 8, 1000, len(good) // 2, len(good) - 1)]
    bad += [good + b"x", b"not a model at all", b"\xff" * 64]
    for _ in range(50):
        changed = bytearray(good)
        changed[rng.integers(len(good))] ^= int(rng.integers(1, 256))
        bad.append(bytes(changed))
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(ecseq.ModelFileError, match=r"model\.ecseq"):
            ecseq.load(path)
    with pytest.raises(ecseq.ModelFileError, match="nowhere"):
        ecseq.load(tmp_path / "nowhere.ecseq")
    assert issubclass(ecseq.ModelFileError, ValueError)


def test_a_failed_save_leaves_the_old_file(related: ecseq.ECSeqClassifier, tmp_path: Path) -> None:
    with pytest.raises(ecseq.ModelFileError):
        related.save(tmp_path / "no" / "such" / "folder" / "model.ecseq")
    related.save(tmp_path / "model.ecseq")
    assert [file.name for file in tmp_path.iterdir()] == ["model.ecseq"]
