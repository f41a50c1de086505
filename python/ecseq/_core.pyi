"""What python/bindings/*.cpp registers. Arrays must be C-contiguous and of exactly these types."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float32]
_Doubles: TypeAlias = NDArray[np.float64]
_Integers: TypeAlias = NDArray[np.int64]
_Keys: TypeAlias = NDArray[np.uint64]
# Values [steps, features], starts [n], stops [n], times [steps] or None.
_Sequences: TypeAlias = tuple[_Floats, _Integers, _Integers, _Doubles | None]
# Embeddings [n, h], or sequences.
_X: TypeAlias = _Floats | _Sequences
# Of sets: keys of all rows, offsets [n + 1].
_KeySets: TypeAlias = tuple[_Keys, _Integers]
_Entities: TypeAlias = dict[str, _Keys | _KeySets]
_Progress: TypeAlias = Callable[[str, int, int, str], object] | None

level: str
version: str

class EcseqError(RuntimeError): ...
class ModelFileError(ValueError): ...
class TrainingDiverged(RuntimeError): ...

def set_num_threads(threads: int) -> None: ...
def resolve_threads(requested: int) -> int: ...
def keys_of_integers(ids: _Integers) -> _Keys: ...
def keys_of_texts(ids: list[str | None]) -> _Keys: ...
def entity_features(
    options: dict[str, Any],
    prior: list[float],
    keys: _Keys | _KeySets,
    times: _Doubles | None,
    labels: _Floats,
    base: _Floats | None,
) -> tuple[_Floats, list[str]]: ...
def split_by_time(times: _Doubles, fraction: float) -> tuple[_Integers, _Integers]: ...
def split_at_random(
    task: str, n_classes: int, y: _Floats, fraction: float, seed: int
) -> tuple[_Integers, _Integers]: ...

# Offsets [n + 1], neighbours, weights.
_Graph: TypeAlias = tuple[_Integers, NDArray[np.int32], _Floats]

def compressor_names() -> list[str]: ...
def compress(
    x: _Floats,
    labels: _Floats,
    groups: NDArray[np.int32],
    graph: _Graph | None,
    options: dict[str, Any],
    progress: _Progress,
) -> dict[str, Any]: ...
def nearest_rows(points: _Floats, x: _Floats, num_threads: int) -> _Integers: ...
def update_representatives(
    state: dict[str, Any], x: _Floats, labels: _Floats, options: dict[str, Any]
) -> dict[str, Any]: ...
def quantile_groups(values: _Floats, bins: int) -> NDArray[np.int32]: ...
def laplacian(
    graph: _Graph, normalized: bool
) -> tuple[_Doubles, NDArray[np.int32], NDArray[np.int32]]: ...
def eigenpairs(
    graph: _Graph, normalized: bool, options: dict[str, Any], progress: _Progress
) -> tuple[_Doubles, _Doubles, dict[str, Any]]: ...
def connected_components(graph: _Graph) -> NDArray[np.int64]: ...
def knn_graph(
    x: _Floats, k: int, options: dict[str, Any], progress: _Progress
) -> tuple[_Graph, float]: ...
def epsilon_graph(
    x: _Floats, radius: float, options: dict[str, Any], progress: _Progress
) -> _Graph: ...
def correlation_graph(
    series: _Floats, threshold: float, options: dict[str, Any], progress: _Progress
) -> _Graph: ...

@type_check_only
class Epoch(TypedDict):
    epoch: int
    training_loss: float
    validation_loss: float
    validation_score: float
    learning_rate: float
    seconds: float

class SequenceEncoder:
    @staticmethod
    def fit(
        training: _Sequences,
        y: _Floats,
        validation: _Sequences,
        y_validation: _Floats,
        task: str,
        n_classes: int,
        options: dict[str, Any],
        start: SequenceEncoder | None,
        progress: _Progress,
    ) -> tuple[SequenceEncoder, BaseException | None]: ...
    @staticmethod
    def pretrain(
        training: _Sequences,
        validation: _Sequences,
        options: dict[str, Any],
        start: SequenceEncoder | None,
        progress: _Progress,
    ) -> tuple[SequenceEncoder, BaseException | None]: ...
    def encode(self, sequences: _Sequences, num_threads: int) -> _Floats: ...
    def encode_events(self, sequences: _Sequences, num_threads: int) -> _Floats: ...
    def decide(self, embedding: _Floats) -> _Floats: ...
    def tensors(self) -> dict[str, _Floats]: ...
    @staticmethod
    def from_tensors(
        tensors: dict[str, _Floats], options: dict[str, Any], task: str, n_classes: int
    ) -> SequenceEncoder: ...
    @property
    def architecture(self) -> dict[str, Any]: ...
    @property
    def curve(self) -> list[Epoch]: ...
    @property
    def best_epoch(self) -> int: ...
    @property
    def stop_reason(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def task(self) -> str: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def has_head(self) -> bool: ...
    @property
    def embedding_size(self) -> int: ...
    @property
    def input_features(self) -> int: ...

@type_check_only
class SimilarCase(TypedDict):
    representative: int
    similarity: float
    weight: float
    mass: float
    label_mix: list[float]
    cases: list[int]
    contribution: float

@type_check_only
class EntityCase(TypedDict):
    by: str
    known: bool
    names: list[str]
    facts: list[float]
    contribution: float

@type_check_only
class Explanation(TypedDict):
    output: int
    score: float
    base_score: float
    without_relations: float
    method: str
    own: float
    rest: float
    other_similar: float
    similar: list[SimilarCase]
    entities: list[EntityCase]

@type_check_only
class Representatives(TypedDict):
    vectors: _Floats
    mass: _Doubles
    spread: _Doubles
    radius: _Doubles
    label_sums: _Doubles
    cases: _Integers

@type_check_only
class FitDetails(TypedDict):
    training_inputs: _Floats
    validation_inputs: _Floats
    rows: _Integers
    validation_outputs: _Floats

class Model:
    @staticmethod
    def fit(
        x: _X,
        y: _Floats,
        entities: _Entities,
        times: _Doubles | None,
        x_validation: _X,
        y_validation: _Floats,
        entities_validation: _Entities,
        times_validation: _Doubles | None,
        task: str,
        n_classes: int,
        options: dict[str, Any],
        encoder: SequenceEncoder | None,
        row_numbers: _Integers,
        base: _Floats | None,
        unlabelled: _X | None,
        progress: _Progress,
    ) -> tuple[Model, FitDetails]: ...
    def inputs(
        self, x: _X, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def replay_inputs(
        self, x: _X, y: _Floats, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def fit_gate_of(self, base: _Floats, head: _Floats, y: _Floats) -> None: ...
    def gated(self, base: _Floats, head: _Floats) -> _Floats: ...
    def decide(
        self, x: _X, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def predict(
        self, x: _X, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def transform(
        self, x: _X, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def base(
        self, x: _X, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def control(
        self, x: _X, entities: _Entities, times: _Doubles | None, name: str, num_threads: int
    ) -> _Floats: ...
    def replay(
        self, x: _X, y: _Floats, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def observe(
        self, x: _X, y: _Floats, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> dict[str, Any] | None: ...
    def explain(
        self,
        x: _X,
        entities: _Entities,
        times: _Doubles | None,
        top: int,
        method: str,
        num_threads: int,
    ) -> list[Explanation]: ...
    def decide_without(
        self,
        x: _X,
        entities: _Entities,
        times: _Doubles | None,
        removed: list[list[int]],
        num_threads: int,
    ) -> _Floats: ...
    def representatives(self) -> Representatives | None: ...
    def similarity_scale(self) -> tuple[_Floats, _Floats, float]: ...
    def knows(self, relation: int, keys: _Keys) -> NDArray[np.bool_]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(bytes: bytes, origin: str) -> Model: ...
    def save(self, path: str) -> None: ...
    @staticmethod
    def load(path: str) -> Model: ...
    def set_metadata(self, text: str) -> None: ...
    @property
    def metadata(self) -> str: ...
    @property
    def tuned(self) -> bool: ...
    @property
    def gate(self) -> dict[str, Any]: ...
    @property
    def report(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def input_features(self) -> int: ...
    @property
    def target_mean(self) -> float: ...
    @property
    def target_std(self) -> float: ...
    @property
    def entity_sets(self) -> dict[str, bool]: ...
    @property
    def encoder(self) -> SequenceEncoder | None: ...

@type_check_only
class SeriesCase(TypedDict):
    representative: int
    weight: float
    correlation: float
    members: list[int]
    errors: list[float]
    contribution: list[float]

@type_check_only
class SeriesExplanation(TypedDict):
    series: int
    forecast: list[float]
    base: list[float]
    without_relations: list[float]
    errors: list[float]
    cases: list[SeriesCase]

class Forecaster:
    @staticmethod
    def fit(
        values: _Floats,
        channels: int,
        exogenous: _Floats | None,
        validation_begin: int,
        options: dict[str, Any],
        progress: _Progress,
    ) -> Forecaster: ...
    @staticmethod
    def assemble(
        values: _Floats,
        channels: int,
        tensors: dict[str, _Floats],
        options: dict[str, Any],
        range: tuple[float, float] | None,
    ) -> Forecaster: ...
    def backtest(
        self,
        values: _Floats,
        exogenous: _Floats | None,
        moments: _Integers,
        of: str,
        num_threads: int,
        progress: _Progress,
    ) -> _Floats: ...
    def freeze(
        self, values: _Floats, exogenous: _Floats | None, num_threads: int
    ) -> tuple[int, _Floats]: ...
    def predict_one(
        self,
        series: int,
        values: _Floats,
        exogenous: _Floats | None,
        moment: int,
        nodes: _Floats,
    ) -> _Floats: ...
    def explain(
        self, values: _Floats, exogenous: _Floats | None, series: _Integers, num_threads: int
    ) -> list[SeriesExplanation]: ...
    def members(self) -> list[list[int]]: ...
    def tensors(self) -> dict[str, _Floats]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(bytes: bytes, origin: str) -> Forecaster: ...
    def save(self, path: str) -> None: ...
    @staticmethod
    def load(path: str) -> Forecaster: ...
    def set_metadata(self, text: str) -> None: ...
    @property
    def metadata(self) -> str: ...
    @property
    def report(self) -> str: ...
    @property
    def n_series(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def required_rows(self) -> int: ...
    @property
    def exogenous_features(self) -> int: ...
    @property
    def horizon(self) -> int: ...

class State:
    @staticmethod
    def from_bytes(bytes: bytes) -> State: ...
    @property
    def bytes(self) -> bytes: ...
    @property
    def events(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def user(self) -> int: ...
    @property
    def encoder_id(self) -> int: ...

class LiveScorer:
    def __init__(
        self,
        path: str,
        window: int,
        max_users: int,
        max_pending: int,
        labels_on_arrival: bool,
        map_file: bool,
    ) -> None: ...
    def on_event(
        self, user: int, event_id: int, event: _Floats, time: float, keys: list[_Keys]
    ) -> float | _Floats: ...
    def label(self, event_id: int, y: float, now: float) -> bool: ...
    def score(
        self, events: _Floats, times: _Doubles | None, time: float, keys: list[_Keys]
    ) -> float | _Floats: ...
    def explain(
        self,
        events: _Floats,
        times: _Doubles | None,
        time: float,
        keys: list[_Keys],
        top: int,
        method: str,
    ) -> Explanation: ...
    def explain_event(
        self,
        user: int,
        event: _Floats,
        time: float,
        keys: list[_Keys],
        top: int,
        method: str,
    ) -> Explanation: ...
    def reload(self, path: str) -> None: ...
    def save(self, folder: str) -> None: ...
    def restore(self, folder: str) -> None: ...
    def staleness(self, now: float) -> float: ...
    @property
    def scorer(self) -> Scorer: ...
    @property
    def version(self) -> int: ...
    @property
    def n_users(self) -> int: ...
    @property
    def n_waiting(self) -> int: ...

def event_id(user: int, time: float) -> int: ...

class Scorer:
    @staticmethod
    def load(path: str, window: int, map_file: bool) -> Scorer: ...
    @staticmethod
    def from_bytes(bytes: bytes, origin: str, window: int) -> Scorer: ...
    def to_bytes(self) -> bytes: ...
    # keys: of each relation, one or those of a set.
    def score(
        self, events: _Floats, times: _Doubles | None, time: float, keys: list[_Keys]
    ) -> float | _Floats: ...
    def score_batch(
        self, x: _X, entities: _Entities, times: _Doubles | None, num_threads: int
    ) -> _Floats: ...
    def explain(
        self,
        events: _Floats,
        times: _Doubles | None,
        time: float,
        keys: list[_Keys],
        top: int,
        method: str,
    ) -> Explanation: ...
    def start(self, user: int) -> State: ...
    def update(
        self, state: State, event: _Floats, time: float, keys: list[_Keys]
    ) -> float | _Floats: ...
    @property
    def metadata(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    @property
    def embedding_size(self) -> int: ...
    @property
    def has_encoder(self) -> bool: ...
    @property
    def reads_event_times(self) -> bool: ...
    @property
    def has_timed_entities(self) -> bool: ...
    @property
    def entity_sets(self) -> dict[str, bool]: ...
    @property
    def encoder_id(self) -> int: ...
    @property
    def state_size(self) -> int: ...
    @property
    def window(self) -> int: ...
