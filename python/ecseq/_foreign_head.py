"""``head=``: the built-in head's sizes, or a classifier or regressor of the caller's own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier, is_regressor

from ecseq import _core
from ecseq._inputs import FloatMatrix, positive

_SMALLEST = 1e-7  # probabilities become logits; a tree may well say exactly 0


def is_foreign(head: Any) -> bool:
    """Whether ``head`` is an estimator with ``fit``, not a name or sizes."""
    return hasattr(head, "fit")


def hidden_sizes(head: Any, hidden_size: int) -> list[int]:
    """Sizes of the built-in head's hidden layers."""
    if is_foreign(head) or head == "linear":
        return []
    if head == "mlp":
        return [hidden_size]
    if isinstance(head, Sequence) and not isinstance(head, str):
        return [positive(size, f"head[{i}]") for i, size in enumerate(head)]
    raise ValueError(
        "head: expected 'linear', 'mlp', sizes of hidden layers such as (64, 32), or an object "
        f"with fit, got {head!r}"
    )


def fitted_head(
    head: Any, task: str, inputs: FloatMatrix, codes: NDArray[np.float32], seed: int
) -> Any:
    """A clone of ``head`` fitted on what the relation layer would see. codes: class numbers or
    values [n]."""
    if task == "regression" and is_classifier(head):
        raise ValueError(f"head: {head!r} is a classifier, but y is a number to predict")
    if task != "regression" and is_regressor(head):
        raise ValueError(f"head: {head!r} is a regressor, but y holds classes")
    own = clone(head)
    if own.get_params().get("random_state", 0) is None:
        own.set_params(random_state=seed)
    return own.fit(inputs, codes if task == "regression" else codes.astype(np.int64))


def head_outputs(head: Any, task: str, n_classes: int, inputs: FloatMatrix) -> FloatMatrix:
    """Logits [n, 1] or [n, classes], or values [n, 1]."""
    if task == "regression":
        return np.asarray(head.predict(inputs), dtype=np.float32).reshape(-1, 1)
    if not hasattr(head, "predict_proba"):
        scores = np.asarray(head.decision_function(inputs), dtype=np.float32)
        return scores.reshape(len(inputs), -1)
    # A class that the training part does not hold has no column.
    known = np.full((len(inputs), n_classes), _SMALLEST)
    known[:, np.asarray(head.classes_, dtype=np.int64)] = head.predict_proba(inputs)
    probability = np.clip(known, _SMALLEST, 1 - _SMALLEST)
    if task == "binary":
        probability = probability[:, 1:] / (1 - probability[:, 1:])
    logits: FloatMatrix = np.log(probability).astype(np.float32)
    return logits


def head_to_text(head: Any) -> str:
    """A fitted head as text for the model file, by skops: a file that executes nothing."""
    try:
        import skops.io
    except ImportError:
        raise ValueError(
            f"save: the head {type(head).__name__} is not ours; install skops (pip install skops) "
            "to keep it in the file, or use head='mlp'"
        ) from None
    return base64.b64encode(skops.io.dumps(head)).decode("ascii")


def head_from_text(text: str) -> Any:
    """The head that `head_to_text` wrote. Types that skops does not trust are refused."""
    try:
        import skops.io
    except ImportError:
        raise _core.ModelFileError(
            "model file: its head is kept by skops; install it (pip install skops) to load the file"
        ) from None
    data = base64.b64decode(text)
    unknown = [t for t in skops.io.get_untrusted_types(data=data) if not t.startswith("sklearn.")]
    if unknown:
        raise _core.ModelFileError(f"model file: its head holds types not to be trusted: {unknown}")
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
