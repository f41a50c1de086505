"""Are the cases that explain a prediction those that made it, like it, and the same tomorrow?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.utils.validation import check_is_fitted

from ecseq import _core
from ecseq._frames import pandas_frame
from ecseq._inputs import CoreX, Samples, positive, seed_of, threads
from ecseq._sequences import Sequences

# Draws of cases at random for each row, which are averaged.
_RANDOM_DRAWS = 5

Found: TypeAlias = "list[_core.Explanation]"


@dataclass(frozen=True)
class ExplanationQuality:
    """Means over the explained rows that are related to a representative by similarity.

    Tuples have a number for each m in `top`, about the m cases that matter most to a row. Outputs
    are logits (of the predicted class where there are several), or values of a regression.

    Attributes
    ----------
    rows : int
    top : tuple of int
    fidelity : tuple of float
        How much the output changes when, of the cases that move it the way all of them together do,
        the m that do so most are removed together: taken by their size alone, cases that speak
        against each other would cancel out.
    fidelity_at_random : tuple of float
        The same for m of the row's cases taken at random: less, where contributions say what the
        prediction hangs on, as long as rows have more than m cases.
    faithfulness : tuple of float
        Correlation, over the rows and m of their cases at random, between what the contributions of
        these add up to and how much the output changes without them (Bhatt et al. 2020). NaN where
        either is constant.
    agreement : tuple of float
        Classes: the share of the predicted class in the label mix of the m cases, by their weights.
        Values: the distance of their mean target from the prediction; smaller is better.
    agreement_by_chance : float
        The same of all representatives by their mass, whatever the row.
    true_agreement, true_agreement_by_chance
        The same for the true labels; None without.
    overlap : tuple of float
        Share of the m cases of either explanation that are in both (Jaccard), when the input moves
        by a little noise.
    rank_correlation : float
        Spearman's between the contributions before and after, over the cases of either; NaN where
        no row has cases of different contributions.
    noise : float
        Standard deviation of that noise in units of each column's own.
    """

    rows: int
    top: tuple[int, ...]
    fidelity: tuple[float, ...]
    fidelity_at_random: tuple[float, ...]
    faithfulness: tuple[float, ...]
    agreement: tuple[float, ...]
    agreement_by_chance: float
    true_agreement: tuple[float, ...] | None
    true_agreement_by_chance: float | None
    overlap: tuple[float, ...]
    rank_correlation: float
    noise: float

    def __str__(self) -> str:
        lines = [f"Explanations of {self.rows} rows, by the m cases that matter most:"]
        for i, m in enumerate(self.top):
            true = "" if self.true_agreement is None else f", {self.true_agreement[i]:.3f} (true)"
            lines.append(
                f"  m = {m}: output changes by {self.fidelity[i]:.3f} without them "
                f"(at random {self.fidelity_at_random[i]:.3f}, faithfulness "
                f"{self.faithfulness[i]:.3f}), label agreement "
                f"{self.agreement[i]:.3f}{true}, overlap under noise {self.overlap[i]:.3f}"
            )
        lines.append(
            f"Label agreement by chance {self.agreement_by_chance:.3f}; rank correlation of "
            f"contributions under noise {self.rank_correlation:.3f}."
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, in JSON's own types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row for each m, and the attributes as columns.

        Raises
        ------
        ImportError
            When pandas is not installed.
        """
        return pandas_frame(self.to_dict())


def explanation_quality(
    model: Any,
    X: ArrayLike | Sequences,
    *,
    entities: Mapping[str, ArrayLike] | None = None,
    times: ArrayLike | None = None,
    y: ArrayLike | None = None,
    top: Sequence[int] = (1, 3, 5),
    method: str = "auto",
    noise: float = 0.01,
    n_samples: int = 200,
    seed: int = 0,
) -> ExplanationQuality:
    """How good the similar cases of ``model.explain`` are as explanations, on some rows of X.

    Fidelity: the output must change more without the cases that are named than without others
    (DeYoung et al. 2020 call it comprehensiveness), and by what their contributions say. Agreement:
    cases like the target should have its label. Stability: nearly the same input should have nearly
    the same explanation (Alvarez-Melis and Jaakkola 2018).

    Parameters
    ----------
    model : fitted ECSeqClassifier or ECSeqRegressor with a similarity relation
    X, entities, times
        As for ``model.explain``.
    y : array [n], optional
        True labels, or those that Sequences carry.
    top : numbers of cases
    method : str
        Of ``model.explain``.
    noise : float > 0
        Standard deviation of what is added to each column of X (each number of each event), in
        units of the column's own. Categories stay.
    n_samples : int
        Rows to look at, drawn without replacement.
    seed : int

    Raises ``ValueError`` for bad input, a model without a similarity relation, and where no row is
    related to any representative.
    """
    check_is_fitted(model)
    sizes = _sizes(top)
    if not noise > 0 or not np.isfinite(noise):
        raise ValueError(f"noise: expected a finite number above 0, got {noise!r}")
    if getattr(model, "head_", None) is not None:
        raise ValueError("model: takes the built-in head, as explain does")
    core = model._model
    representatives = core.representatives()
    if representatives is None:
        raise ValueError("model: has no similarity relation, whose cases are what is judged here")
    rng = np.random.default_rng(seed_of(seed))
    codes: NDArray[np.float32] | None = None
    samples: Samples
    if y is not None or getattr(X, "labels", None) is not None:
        samples, codes = model._labelled(X, y, entities, times)
    else:
        samples = model._samples(X, entities, times)
    n = _size(samples.x)
    rows = np.sort(rng.choice(n, min(n, positive(n_samples, "n_samples")), replace=False))
    scale = _column_scales(samples.x, X)
    chosen = samples.take(rows)
    n_threads = threads(model.num_threads)
    everything = len(representatives["mass"])

    found: Found = core.explain(*chosen, everything, method, n_threads)
    related = np.array([i for i, item in enumerate(found) if item["similar"]], dtype=np.int64)
    if len(related) == 0:
        raise ValueError("X: no row is related to any representative")
    chosen, found = chosen.take(related), [found[i] for i in related]
    truth = None if codes is None else codes[rows[related]]

    outputs = core.decide(*chosen, n_threads)
    explained = [item["output"] for item in found]
    each = np.arange(len(found))

    def change_without(removed: list[list[int]]) -> NDArray[np.float64]:
        without = core.decide_without(*chosen, removed, n_threads)
        changes: NDArray[np.float64] = (
            outputs[each, explained].astype(np.float64) - without[each, explained]
        )
        return changes

    fidelity, at_random, faithfulness = [], [], []
    for m in sizes:
        named = change_without([_driving_cases(item)[:m] for item in found])
        fidelity.append(float(np.abs(named).mean()))
        drawn, said = [], []
        for _ in range(_RANDOM_DRAWS):
            cases = [rng.permutation(_cases(item))[:m].tolist() for item in found]
            drawn.append(change_without(cases))
            said.append([_said(item, of) for item, of in zip(found, cases, strict=True)])
        at_random.append(float(np.abs(drawn).mean()))
        faithfulness.append(_correlation(np.ravel(drawn), np.ravel(said)))

    predicted = outputs[:, 0] if core.task == "regression" else _classes_of(outputs)
    overall = _overall_mix(representatives, core)
    moved = chosen._replace(x=_moved(chosen.x, scale, noise, rng))
    again: Found = core.explain(*moved, everything, method, n_threads)
    return ExplanationQuality(
        rows=len(found),
        top=sizes,
        fidelity=tuple(fidelity),
        fidelity_at_random=tuple(at_random),
        faithfulness=tuple(faithfulness),
        agreement=tuple(_agreement(found, m, predicted) for m in sizes),
        agreement_by_chance=_agreement_of([overall] * len(found), predicted),
        true_agreement=None if truth is None else tuple(_agreement(found, m, truth) for m in sizes),
        true_agreement_by_chance=(
            None if truth is None else _agreement_of([overall] * len(found), truth)
        ),
        overlap=tuple(_overlap(found, again, m) for m in sizes),
        rank_correlation=_rank_correlation(found, again),
        noise=float(noise),
    )


def _sizes(top: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(positive(m, f"top[{i}]") for i, m in enumerate(top))
    if not sizes:
        raise ValueError("top: expected at least one number of cases, got none")
    return sizes


def _size(x: CoreX) -> int:
    return len(x[1]) if isinstance(x, tuple) else len(x)


def _by_effect(item: _core.Explanation) -> list[_core.SimilarCase]:
    return sorted(item["similar"], key=lambda case: -abs(case["contribution"]))


def _cases(item: _core.Explanation) -> list[int]:
    """The representatives of a row, those that matter most first."""
    return [case["representative"] for case in _by_effect(item)]


def _driving_cases(item: _core.Explanation) -> list[int]:
    """The representatives that move the output as all together do, those that do most first."""
    total = sum(case["contribution"] for case in item["similar"])
    along = [case for case in _by_effect(item) if case["contribution"] * total > 0]
    return [case["representative"] for case in along]


def _said(item: _core.Explanation, cases: list[int]) -> float:
    """What the contributions of these cases add up to."""
    return sum(case["contribution"] for case in item["similar"] if case["representative"] in cases)


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _classes_of(outputs: NDArray[np.float32]) -> NDArray[Any]:
    return outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(axis=1)


def _overall_mix(representatives: _core.Representatives, core: _core.Model) -> list[float]:
    """The label mix of all rows that the representatives stand for."""
    mean = representatives["label_sums"].sum(axis=0) / representatives["mass"].sum()
    if core.task == "regression":
        return [float(mean[0]) * core.target_std + core.target_mean]
    shares = [1.0 - mean[0], mean[0]] if core.task == "binary" else mean
    return [float(share) for share in shares]


def _agreement(found: Found, m: int, labels: NDArray[Any]) -> float:
    mixes = []
    for item in found:
        cases = _by_effect(item)[:m]
        weights = np.array([case["weight"] for case in cases])
        if not weights.sum() > 0:
            weights = np.ones(len(cases))
        mixes.append(np.average([case["label_mix"] for case in cases], axis=0, weights=weights))
    return _agreement_of(mixes, labels)


def _agreement_of(mixes: list[Any], labels: NDArray[Any]) -> float:
    mix = np.asarray(mixes, dtype=np.float64)
    if mix.shape[1] == 1:
        return float(np.abs(mix[:, 0] - labels).mean())
    return float(mix[np.arange(len(mix)), labels.astype(np.int64)].mean())


def _column_scales(x: CoreX, X: Any) -> NDArray[np.float32]:
    """Standard deviation of each column of numbers, 0 of categories."""
    values = x[0] if isinstance(x, tuple) else x
    scale = np.asarray(values.std(axis=0, dtype=np.float64), dtype=np.float32)
    if isinstance(X, Sequences):
        scale[[name in X.categories for name in X.feature_names]] = 0.0
    return scale


def _moved(x: CoreX, scale: NDArray[np.float32], noise: float, rng: np.random.Generator) -> CoreX:
    values = x[0] if isinstance(x, tuple) else x
    step = np.float32(noise) * scale * rng.standard_normal(values.shape, dtype=np.float32)
    shifted = np.ascontiguousarray(values + step)
    return (shifted, *x[1:]) if isinstance(x, tuple) else shifted


def _overlap(found: Found, again: Found, m: int) -> float:
    shares = []
    for before, after in zip(found, again, strict=True):
        one, other = set(_cases(before)[:m]), set(_cases(after)[:m])
        shares.append(len(one & other) / len(one | other))
    return float(np.mean(shares))


def _rank_correlation(found: Found, again: Found) -> float:
    """Mean over the rows that have one; a case of one explanation alone adds 0 in the other."""
    correlations = []
    for before, after in zip(found, again, strict=True):
        one = {case["representative"]: case["contribution"] for case in before["similar"]}
        other = {case["representative"]: case["contribution"] for case in after["similar"]}
        cases = sorted(one.keys() | other.keys())
        ranks = rankdata([[own.get(case, 0.0) for case in cases] for own in (one, other)], axis=1)
        correlations.append(_correlation(*ranks))
    there = np.isfinite(correlations)
    return float(np.mean(np.asarray(correlations)[there])) if there.any() else float("nan")
