"""What shared entities add to a trained encoder: card payments, shop sessions, film viewers.

    python benchmarks/compare/entity.py --data $ECSEQ_DATA --seeds 5 [--only card_fraud pakdd ml1m]

For every data set a Markdown table: mean and sd over seeds in percent, and paired differences to
the trained encoder with 95 % intervals. Validation rows choose (early stopping, the gate); test
rows are scored once. "shuffled" gives every row another row's entities: what it gains is not due to
entities.

card_fraud  Simulated payments (Fraud Detection Handbook), labels known 7 days late, split by time:
            days 0-89 train, 90-109 validation, 110-150 test, which is replayed in order. "hand-made
            windows" are boosted trees over the payment's own features and its terminal's count, its
            known frauds and their rate in 1, 7 and 30 days.
pakdd       Gender from one shop session: products and the three levels of their categories are sets
            of entities. 80/10/10 by session.
pakdd_few   The same with 60 labelled sessions (0.5 %) to train on and 75 to validate on, against
            SVD + logistic regression, which sees all sessions and chooses its C on validation.
ml1m        Gender from the tail of a MovieLens user's films; films are a set of entities.

Without times the base knows the labels of its own training rows, so that what is learned on top of
it there would trust it too much: "cross-fitted" is ``cross_fit=5, embedding=False``, where the
layer sees of a training row what encoders of the other four fifths say of it. pakdd_few does the
same by hand for its linear model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split

import ecseq
from ecseq.metrics import binary_metrics

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "python"))
from card_fraud import (
    DAY,
    FEATURES,
    TEST_DAYS,
    TRAIN_DAYS,
    VALIDATION_DAYS,
    between,
    read_payments,
)
from comparison import Comparison

BOOSTED = {"max_iter": 200, "learning_rate": 0.06, "max_leaf_nodes": 23, "l2_regularization": 1.0}
SETS = ["level_1", "level_2", "level_3", "product"]


def log_odds(p: np.ndarray) -> np.ndarray:
    p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(p / (1 - p))


def boosted(
    inputs: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Scores of the test rows by boosted trees. train, test: masks or row numbers."""
    trees = HistGradientBoostingClassifier(**BOOSTED, early_stopping=False, random_state=seed)
    return trees.fit(inputs[train], labels[train]).predict_proba(inputs[test])[:, 1]


def hand_made(terminal: np.ndarray, times: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Per row of 1, 7 and 30 days: payments at its terminal, known labels, and their rate."""
    order = np.lexsort((times, terminal))
    span = times.max() + 1
    codes = np.unique(terminal, return_inverse=True)[1] * (2 * span)
    sorted_times, frauds = (codes + times)[order], np.r_[0, np.cumsum(labels[order])]

    def before(moment: np.ndarray) -> np.ndarray:
        return np.searchsorted(sorted_times, codes + np.maximum(moment, 0), side="left")

    columns = []
    for days in (1, 7, 30):
        columns.append(before(times) - before(times - days * DAY))
        last, first = before(times - 7 * DAY), before(times - (7 + days) * DAY)
        columns += [last - first, (frauds[last] - frauds[first]) / np.maximum(last - first, 1)]
    return np.stack(columns, 1)


def card_fraud(data: Path, seeds: Iterable[int], table: Comparison) -> None:
    payments = read_payments(data / "card_fraud" / "transactions.csv.gz", None)
    cards = ecseq.Sequences.from_frame(
        payments,
        by="customer_id",
        time="time_s",
        features=FEATURES,
        label="fraud",
        entities=["terminal_id"],
    )
    windows = cards.windows(20)
    parts = [between(windows, days) for days in (TRAIN_DAYS, VALIDATION_DAYS, TEST_DAYS)]
    windows, parts = windows[np.any(parts, axis=0)], [p[np.any(parts, axis=0)] for p in parts]
    train, validation, test = (windows[part] for part in parts)
    terminal, times = windows.end_entities["terminal_id"], windows.end_times
    labels = windows.labels
    own = windows.values[windows.stops - 1]
    relation = ecseq.EntityRelation("terminal_id", label_delay="7d")

    for seed in seeds:
        encoder = ecseq.SequenceEncoder(cell="lstm", hidden_size=32, random_state=seed)
        encoder.fit(train, validation=validation)
        base = encoder.predict_proba(windows)[:, 1]

        def add(name: str, scores: np.ndarray, seed: int = seed) -> None:
            metrics = binary_metrics(test.labels, scores)
            table.add(name, metrics)
            progress(f"card_fraud, seed {seed}, {name}: R@P0.9 {metrics['recall_at_p90']:.4f}")

        add("trained encoder (LSTM)", base[parts[2]])
        shuffled = np.random.default_rng(seed).permutation(terminal)
        trees = HistGradientBoostingClassifier(**BOOSTED, early_stopping=False, random_state=seed)
        # Schedule and epochs were chosen on validation, over three seeds.
        cosine = {"schedule": "cosine", "max_epochs": 30}
        for name, ids, head, how in (
            ("entities", terminal, "linear", {}),
            ("entities, MLP head", terminal, "mlp", cosine),
            ("entities, boosted trees as head", terminal, trees, {}),
            ("entities, MLP head, shuffled", shuffled, "mlp", cosine),
        ):
            given = [{"terminal_id": ids[part]} for part in parts]
            model = ecseq.ECSeqClassifier(
                encoder,
                relations=[relation],
                head=head,
                selection="ap",
                controls=False,
                random_state=seed,
                **how,
            )
            model.fit(
                train,
                entities=given[0],
                validation=(validation, validation.labels, {"entities": given[1]}),
            )
            add(name, model.replay(test, entities=given[2]))
        inputs = np.c_[own, hand_made(terminal, times, labels)]
        scores = boosted(inputs, labels, parts[0], parts[2], seed)
        add("hand-made windows, boosted trees", scores)


def sessions(data: Path) -> tuple[ecseq.Sequences, list[str]]:
    """Shop sessions as sequences of products with the levels of their categories."""
    table = pd.read_csv(data / "pakdd2015_gender" / "sessions.csv.gz")
    paths = table["products"].str.strip(";").str.split(";")
    rows = table[["session_id", "gender"]].loc[table.index.repeat(paths.str.len())]
    levels = [path.strip("/").split("/") for session in paths for path in session]
    for name, column in zip(SETS, zip(*levels, strict=True), strict=True):
        rows[name] = column
    rows["male"] = (rows["gender"] == "male").astype(int)
    return _sequences(rows, "session_id", SETS, "male"), SETS


def viewers(data: Path) -> tuple[ecseq.Sequences, list[str]]:
    """Users of MovieLens as sequences of films."""
    tails = pd.read_csv(data / "ml1m" / "tail_sequences.csv.gz")
    users = pd.read_csv(data / "ml1m" / "users.csv.gz")
    films = tails["movie_ids"].str.split()
    rows = tails[["user_id"]].loc[tails.index.repeat(films.str.len())]
    rows["film"] = [film for user in films for film in user]
    rows = rows.merge(users[["user_id", "gender"]], on="user_id")
    rows["female"] = (rows["gender"] == "F").astype(int)
    return _sequences(rows, "user_id", ["film"], "female"), ["film"]


def _sequences(rows: pd.DataFrame, by: str, names: list[str], label: str) -> ecseq.Sequences:
    rows = rows.assign(**{f"{name}_code": rows[name] for name in names})
    return ecseq.Sequences.from_frame(
        rows, by=by, features=[f"{name}_code" for name in names], label=label, entities=names
    )


def bags(sequences: ecseq.Sequences, names: list[str]) -> list[str]:
    """The entities of each sequence as one text."""
    columns = [sequences.entities[name].astype(str) for name in names]
    return [
        " ".join(token for column in columns for token in column[start:stop])
        for start, stop in zip(sequences.starts, sequences.stops, strict=True)
    ]


def sets_of(sequences: ecseq.Sequences, names: list[str]) -> dict[str, list[Any]]:
    """{name: the ids of each sequence}"""
    ends = list(zip(sequences.starts, sequences.stops, strict=True))
    return {
        name: [sequences.entities[name][start:stop].tolist() for start, stop in ends]
        for name in names
    }


def cross_fitted(
    fit: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]],
    train: np.ndarray,
    others: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Logits [n, 1] of a model fitted on `train`, those of `train` itself by models without them.

    fit: row numbers -> (row numbers -> logits)
    """
    logits = np.zeros((len(labels), 1), dtype=np.float32)
    logits[others, 0] = fit(train)(others)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    for known, held_out in folds.split(train, labels[train]):
        logits[train[held_out], 0] = fit(train[known])(train[held_out])
    return logits


@dataclass(frozen=True)
class Gender:
    """A data set whose rows have sets of entities."""

    sequences: ecseq.Sequences
    names: list[str]
    ids: dict[str, list[Any]]
    bag: Any  # sparse [n, tokens]
    pooling: str

    @property
    def labels(self) -> np.ndarray:
        return self.sequences.labels

    def given(self, rows: np.ndarray) -> dict[str, list[Any]]:
        return {name: [self.ids[name][i] for i in rows] for name in self.names}

    def encoder(self, seed: int, train: np.ndarray, validation: np.ndarray) -> Any:
        encoder = ecseq.SequenceEncoder(
            "gru",
            hidden_size=32,
            dropout=0.2,
            pooling=self.pooling,
            categorical={f"{name}_code": 16 for name in self.names},
            random_state=seed,
        )
        held_out = self.sequences[validation]
        return encoder.fit(self.sequences[train], self.labels[train], validation=held_out)

    def related(
        self,
        X: Any,
        parts: tuple[np.ndarray, np.ndarray, np.ndarray],
        of_row: np.ndarray,
        *,
        encoder: Any,
        hidden_size: int,
        seed: int,
        cross_fit: int | None = None,
    ) -> np.ndarray:
        """Scores of the test rows; the entities of row i are those of row of_row[i]."""
        train, validation, test = parts
        model = ecseq.ECSeqClassifier(
            encoder,
            relations=[ecseq.EntityRelation(name, over="sequence") for name in self.names],
            hidden_size=hidden_size,
            cross_fit=cross_fit,
            embedding=cross_fit is None,
            controls=False,
            random_state=seed,
        )
        held_out = {"entities": self.given(of_row[validation])}
        model.fit(
            X[train],
            self.labels[train],
            entities=self.given(of_row[train]),
            validation=(X[validation], self.labels[validation], held_out),
        )
        return model.predict_proba(X[test], entities=self.given(of_row[test]))[:, 1]


def gender(
    read: Callable[[Path], tuple[ecseq.Sequences, list[str]]], pooling: str, few: bool = False
) -> Callable[[Path, Iterable[int], Comparison], None]:
    """The comparison on a data set of sets. few: of 60 labels, on top of the linear model."""

    def run(data: Path, seeds: Iterable[int], table: Comparison) -> None:
        sequences, names = read(data)
        tokens = CountVectorizer(token_pattern=r"\S+", binary=True)
        bag = tokens.fit_transform(bags(sequences, names))
        problem = Gender(sequences, names, sets_of(sequences, names), bag, pooling)
        for seed in seeds:
            for name, metrics in one_seed(problem, seed, few):
                table.add(name, metrics)
            progress(f"{read.__name__}, seed {seed}")

    return run


def one_seed(problem: Gender, seed: int, few: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and test metrics of each method."""
    labels = problem.labels
    parts = split(labels, seed, few)
    train, validation, test = parts

    def scored(name: str, scores: np.ndarray) -> tuple[str, dict[str, float]]:
        return name, binary_metrics(labels[test], scores)

    reduced = TruncatedSVD(64, random_state=seed).fit_transform(problem.bag)
    strength = best_strength(reduced, labels, train, validation)

    def linear(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = LogisticRegression(C=strength, max_iter=2000).fit(reduced[rows], labels[rows])
        return lambda of: log_odds(model.predict_proba(reduced[of])[:, 1])

    same = np.arange(len(labels))
    if not few:
        encoder = problem.encoder(seed, train, validation)
        scores = encoder.predict_proba(problem.sequences[test])[:, 1]
        yield scored("trained encoder (GRU)", scores)
    yield scored("SVD + logistic regression", 1 / (1 + np.exp(-linear(train)(test))))
    if not few:
        scores = problem.related(
            problem.sequences, parts, same, encoder=encoder, hidden_size=32, seed=seed
        )
        yield scored("entities", scores)
    shuffled = np.random.default_rng(seed).permutation(same)
    if few:
        X: Any = cross_fitted(linear, train, np.r_[validation, test], labels, seed)
        how = {"encoder": None, "hidden_size": 2}
    else:
        X, how = problem.sequences, {"encoder": encoder, "hidden_size": 8, "cross_fit": 5}
    for title, rows in (
        ("entities, cross-fitted", same),
        ("entities, cross-fitted, shuffled", shuffled),
    ):
        yield scored(title, problem.related(X, parts, rows, **how, seed=seed))


def split(labels: np.ndarray, seed: int, few: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers to train on, to validate on and to test on."""

    def cut(rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        one, other = train_test_split(
            rows, test_size=share, stratify=labels[rows], random_state=seed
        )
        return one, other

    rest, test = cut(np.arange(len(labels)), 0.1)
    train, validation = cut(rest, 1 / 9)
    if few:
        train, validation = cut(train, 0.005)[1], cut(validation, 0.05)[1]
    return train, validation, test


def best_strength(
    reduced: np.ndarray, labels: np.ndarray, train: np.ndarray, validation: np.ndarray
) -> float:
    """The C of a logistic regression that does best on the validation rows."""

    def auc(strength: float) -> float:
        model = LogisticRegression(C=strength, max_iter=2000).fit(reduced[train], labels[train])
        scores = model.predict_proba(reduced[validation])[:, 1]
        return binary_metrics(labels[validation], scores)["auc"]

    return max((0.1, 1.0, 10.0), key=auc)


RUNS: dict[str, tuple[Callable[[Path, Iterable[int], Comparison], None], dict[str, str]]] = {
    "card_fraud": (card_fraud, {"auc": "AUC", "ap": "AP", "recall_at_p90": "R@P0.9"}),
    "pakdd": (gender(sessions, "last"), {"auc": "AUC"}),
    "pakdd_few": (gender(sessions, "last", few=True), {"auc": "AUC"}),
    "ml1m": (gender(viewers, "mean"), {"auc": "AUC"}),
}

_BEGIN = time.perf_counter()


def progress(what: str) -> None:
    print(f"{what}: {time.perf_counter() - _BEGIN:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("ECSEQ_DATA"), help="default: $ECSEQ_DATA")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data is: --data or the environment variable ECSEQ_DATA")
    for name in arguments.only:
        run, metrics = RUNS[name]
        table = Comparison(metrics)
        run(Path(arguments.data), range(arguments.seeds), table)
        print(f"\n{name}, {arguments.seeds} seeds:\n\n{table.markdown()}", flush=True)


if __name__ == "__main__":
    main()
