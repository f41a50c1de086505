"""Forecasts of many parallel series that look at each other through representatives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ecseq import _core
from ecseq._foreign_weights import from_state_dict, graph_layer_from_state_dict
from ecseq._inputs import positive, seed_of, threads
from ecseq._model_file import _compressor_from_json, _compressor_to_json, _plain
from ecseq._own_compressor import grouping_of
from ecseq._progress import Verbose, as_progress, close_progress
from ecseq._series_explanations import FrozenRepresentatives, SeriesCase, SeriesExplanation
from ecseq._series_inputs import (
    Floats,
    as_exogenous,
    as_series,
    flattened,
    series_names,
    validation_begin,
)
from ecseq._series_relation import SeriesRelation

# What the preset leaves to the caller, and what it says where the caller does not.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "default": {"hidden_size": 32, "head_size": 64, "series_id_size": 8, "error_lags": 1},
    "paper": {"hidden_size": 64, "head_size": 16, "series_id_size": 0, "error_lags": 0},
}


class ECSeqForecaster(BaseEstimator):
    """Forecast many parallel series from their own past and from representatives of the others.

    One recurrent network reads the last `window` steps of each series; its linear head is the base.
    A graph layer then sees, beside the embedding, what representatives of correlated series look
    like at the same moment and how wrong their last forecasts were, and forecasts what the base
    leaves over. The base is kept where that does not help on the validation rows
    (``fit_report_["gate"]``). A control with everything but the representatives is trained beside
    it: it is what a claim about relations has to beat.

    Y is [time, series] or [time, series, channels], NaN where a value is missing: missing values
    count nowhere in the loss, and enter as the last known one with a mark. ``exogenous`` is [time,
    features], known in advance of every step and shared by all series (hour, holiday). Forecasts
    are [series, horizon] or [series, horizon, channels].

    Parameters
    ----------
    horizon : int
        Steps forecast at once, each directly.
    window : int
    relation : "series", SeriesRelation or None
        "series": `SeriesRelation()`. None: the base alone.
    cell : {"lstm", "gru"}
    hidden_size, head_size, series_id_size, error_lags : int or None
        Of the encoder (32); of the graph layer (64); of the learned embedding of a series' number
        (8; 0 for none); of how many steps the last errors are known (1; 0 for none).
    dropout : float or None
        Of the graph layer (0.1).
    loss : {"series", "units"}
        Squared errors in each series' own standard deviations, or in the units of Y, where large
        series count for more, as they do in an RMSE over all of them.
    encoder_learning_rate, encoder_max_epochs, encoder_patience
        Of the base (AdamW, cosine schedule): 6e-3, 40, 10.
    learning_rate, max_epochs, patience
        Of the graph layer and the control: 4e-3, 40, 10.
    batch_size : int or None
        Windows per step; None: by their number, at most 512.
    weight_decay : float
    max_moments : int or None
        Train on so many moments, drawn at random. None: on all (the graph layer on as many as fit
        in a GiB, see ``fit_report_["moments"]``).
    gate : bool
        Keep the base where relations do not help on the validation rows (never with the preset).
    controls : bool
        Also train the control.
    preset : None or "paper"
        "paper": the traffic model of Wu et al. (ICWS 2024) as released: LSTM of 64 on each channel
        alone, values scaled by their range, at most 100 representatives, edges from a correlation
        of 0.5 on, GraphSAGE-mean of 16 without activation, forecasting the value itself; Adam 1e-4,
        batches of 16 moments. Parameters that are given go before it.
    random_state : int, RandomState or None
        With an int, results are the same bits for every `num_threads`.
    num_threads : int or None
    verbose : bool or callable
        True prints progress to stderr; a callable gets (stage, done, total, message).

    Attributes
    ----------
    fit_report_ : dict
        ``validation`` (RMSE and MAE of base, ecseq and mlp), ``gate``, ``n_representatives``,
        ``isolation_rate``, ``constant_series``, ``series_without_values``, ``seconds``, curves.
    series_names_ : list
        Columns of the DataFrame that was fitted, else numbers.
    n_series_, n_channels_, required_rows_ : int
        required_rows_: rows that a forecast looks back on.
    members_ : list of lists
        The series that each representative stands for.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> common = np.sin(np.arange(300) / 4)[:, None] + 0.3 * rng.normal(size=(300, 2))
    >>> Y = np.repeat(common, 3, axis=1) + 0.1 * rng.normal(size=(300, 6))
    >>> model = ECSeqForecaster(window=8, hidden_size=8, encoder_max_epochs=2, max_epochs=2)
    >>> model.fit(Y, validation=0.2).predict(Y).shape
    (6, 1)
    """

    def __init__(
        self,
        horizon: int = 1,
        window: int = 24,
        *,
        relation: SeriesRelation | str | None = "series",
        cell: str = "lstm",
        hidden_size: int | None = None,
        head_size: int | None = None,
        series_id_size: int | None = None,
        error_lags: int | None = None,
        dropout: float | None = None,
        loss: str = "series",
        encoder_learning_rate: float | None = None,
        encoder_max_epochs: int | None = None,
        encoder_patience: int | None = None,
        learning_rate: float | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        batch_size: int | None = None,
        weight_decay: float = 0.0,
        max_moments: int | None = None,
        gate: bool = True,
        controls: bool = True,
        preset: str | None = None,
        random_state: Any = None,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.horizon = horizon
        self.window = window
        self.relation = relation
        self.cell = cell
        self.hidden_size = hidden_size
        self.head_size = head_size
        self.series_id_size = series_id_size
        self.error_lags = error_lags
        self.dropout = dropout
        self.loss = loss
        self.encoder_learning_rate = encoder_learning_rate
        self.encoder_max_epochs = encoder_max_epochs
        self.encoder_patience = encoder_patience
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.max_moments = max_moments
        self.gate = gate
        self.controls = controls
        self.preset = preset
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def fit(
        self,
        Y: ArrayLike,
        exogenous: ArrayLike | None = None,
        *,
        validation: float | int = 0.2,
    ) -> ECSeqForecaster:
        """Train on Y [time, series] or [time, series, channels].

        exogenous : [time, features]. validation : the share of the latest rows, or the number of
        the first row, that is held out; it decides when training stops and what the gate keeps.
        Scales and representatives come from the rows before it.
        """
        values = as_series(Y)
        features = as_exogenous(exogenous)
        self._require_preset(features)
        steps = len(values)
        if features is not None and len(features) != steps:
            raise ValueError(
                f"exogenous: expected {steps} rows, one for each of Y, got {len(features)}"
            )
        split = self.preset == "paper" and values.ndim == 3
        flat, channels = flattened(values, split)
        progress = as_progress(self.verbose)
        seed = seed_of(self.random_state)
        begin = validation_begin(validation, steps)
        options = self._options(seed, flat.shape[1] // channels)
        try:
            core = _core.Forecaster.fit(flat, channels, features, begin, options, progress)
        finally:
            close_progress(progress)
        self._adopt(core, series_names(Y, values), values.shape[2:], split)
        return self

    def _require_preset(self, features: Floats | None) -> None:
        if self.preset not in (None, "paper"):
            raise ValueError(f"preset: {self.preset!r} is not one of None, 'paper'")
        if self.preset == "paper" and features is not None:
            raise ValueError("exogenous: preset='paper' reads the series alone")

    def _options(self, seed: int, n_series: int) -> dict[str, Any]:
        paper = self.preset == "paper"
        options: dict[str, Any] = {
            "paper": paper,
            "horizon": positive(self.horizon, "horizon"),
            "window": positive(self.window, "window"),
            "cell": self.cell,
            "loss": self.loss,
            "gate": bool(self.gate) and not paper,
            "controls": bool(self.controls) and not paper,
        }
        for name, value in _DEFAULTS["paper" if paper else "default"].items():
            given = getattr(self, name)
            small = name in ("series_id_size", "error_lags") and given == 0
            options[name] = value if given is None else 0 if small else positive(given, name)
        if self.dropout is not None:
            options["dropout"] = float(self.dropout)
        if self.max_moments is not None:
            options["max_moments"] = positive(self.max_moments, "max_moments")
        for part, prefix in (("encoder_training", "encoder_"), ("head_training", "")):
            training: dict[str, Any] = {
                "seed": seed,
                "num_threads": threads(self.num_threads),
                "weight_decay": float(self.weight_decay),
            }
            rate = getattr(self, prefix + "learning_rate")
            if rate is not None:
                if not rate > 0:
                    raise ValueError(
                        f"{prefix}learning_rate: expected a positive number, got {rate}"
                    )
                training["learning_rate"] = float(rate)
            for name in ("max_epochs", "patience"):
                given = getattr(self, prefix + name)
                if given is not None:
                    training[name] = positive(given, prefix + name)
            if self.batch_size is not None:
                training["batch_size"] = positive(self.batch_size, "batch_size")
            options[part] = training
        if isinstance(self.relation, SeriesRelation):
            relation = self.relation._options()
            if relation["compressor"] == "custom":
                relation["grouping"] = grouping_of(
                    self.relation.compressor, np.zeros(n_series), seed
                )
            options["relation"] = relation
        elif self.relation is None:
            options["relation"] = None
        elif self.relation != "series":
            raise ValueError(
                f"relation: expected 'series', a SeriesRelation or None, got {self.relation!r}"
            )
        return options

    def _adopt(
        self, core: _core.Forecaster, names: list[Any], channels: tuple[int, ...], split: bool
    ) -> None:
        self._core = core
        self._channels = channels
        self._split = split
        self.series_names_ = names
        self.n_series_ = len(names)
        self.n_channels_ = channels[0] if channels else 1
        self.required_rows_ = core.required_rows
        self.fit_report_: dict[str, Any] = json.loads(core.report)

    @property
    def members_(self) -> list[list[Any]]:
        check_is_fitted(self)
        return [[self._name(s) for s in members] for members in self._core.members()]

    def _name(self, series: int) -> Any:
        """Of a series of the core, which takes each channel for one under the paper's preset."""
        if not self._split:
            return self.series_names_[series]
        return self.series_names_[series // self.n_channels_], series % self.n_channels_

    def predict(self, Y: ArrayLike, exogenous: ArrayLike | None = None) -> Floats:
        """The next `horizon` steps of every series after the last row of Y.

        exogenous : [rows of Y + horizon, features]
        """
        return self._predict(Y, exogenous, "ecseq")

    def base_predict(self, Y: ArrayLike, exogenous: ArrayLike | None = None) -> Floats:
        """As `predict`, by the base: each series from itself alone."""
        return self._predict(Y, exogenous, "base")

    def control_predict(
        self, Y: ArrayLike, exogenous: ArrayLike | None = None, *, control: str = "mlp"
    ) -> Floats:
        """As `predict`, by the control: an MLP on the embedding, the series' number and its own
        last errors."""
        return self._predict(Y, exogenous, _control(control))

    def backtest(
        self, Y: ArrayLike, exogenous: ArrayLike | None = None, times: ArrayLike | None = None
    ) -> Floats:
        """Forecasts as of many moments, each from the rows before it alone.

        times : row numbers t, in any order; the forecast at t is of the rows t, t + 1, ...  None:
        every row that has enough before it. Returns [moments, series, horizon] or [moments, series,
        horizon, channels].
        """
        return self._backtest(Y, exogenous, times, "ecseq")

    def base_backtest(
        self, Y: ArrayLike, exogenous: ArrayLike | None = None, times: ArrayLike | None = None
    ) -> Floats:
        """As `backtest`, by the base."""
        return self._backtest(Y, exogenous, times, "base")

    def control_backtest(
        self,
        Y: ArrayLike,
        exogenous: ArrayLike | None = None,
        times: ArrayLike | None = None,
        *,
        control: str = "mlp",
    ) -> Floats:
        """As `backtest`, by the control."""
        return self._backtest(Y, exogenous, times, _control(control))

    def _predict(self, Y: ArrayLike, exogenous: ArrayLike | None, of: str) -> Floats:
        flat, features = self._given(Y, exogenous, len(np.asarray(Y)) + self.horizon, exact=True)
        moments = np.array([len(flat)], dtype=np.int64)
        found: Floats = self._forecasts(flat, features, moments, of)[0]
        return found

    def _backtest(
        self, Y: ArrayLike, exogenous: ArrayLike | None, times: ArrayLike | None, of: str
    ) -> Floats:
        check_is_fitted(self)
        steps = len(np.asarray(Y))
        if times is None:
            moments = np.arange(self.required_rows_, steps - self.horizon + 1, dtype=np.int64)
        else:
            moments = np.asarray(times)
            if moments.ndim != 1 or moments.dtype.kind not in "iu":
                raise ValueError(
                    f"times: expected row numbers [moments], got {moments.dtype} of shape "
                    f"{moments.shape}"
                )
            moments = np.ascontiguousarray(moments, dtype=np.int64)
        needed = int(moments.max()) + self.horizon if len(moments) else 0
        flat, features = self._given(Y, exogenous, needed)
        return self._forecasts(flat, features, moments, of)

    def _given(
        self, Y: ArrayLike, exogenous: ArrayLike | None, needed: int, *, exact: bool = False
    ) -> tuple[Floats, Floats | None]:
        check_is_fitted(self)
        values = as_series(Y)
        if values.shape[1:] != (self.n_series_, *self._channels):
            raise ValueError(
                f"Y: expected [time, {', '.join(map(str, (self.n_series_, *self._channels)))}] as "
                f"in the fit, got shape {values.shape}"
            )
        features = as_exogenous(exogenous)
        self._require_features(features, needed, exact)
        return flattened(values, self._split)[0], features

    def _require_features(self, features: Floats | None, needed: int, exact: bool) -> None:
        expected = self._core.exogenous_features
        got = 0 if features is None else features.shape[1]
        if got != expected:
            raise ValueError(f"exogenous: expected {expected} features, got {got}")
        if features is None:
            return
        if len(features) < needed or (exact and len(features) != needed):
            raise ValueError(
                f"exogenous: expected {needed} rows, one for each step read or forecast, got "
                f"{len(features)}"
            )

    def _forecasts(
        self, flat: Floats, features: Floats | None, moments: NDArray[np.int64], of: str
    ) -> Floats:
        progress = as_progress(self.verbose)
        try:
            found = self._core.backtest(
                flat, features, moments, of, threads(self.num_threads), progress
            )
        finally:
            close_progress(progress)
        return self._shaped(found.reshape(len(moments), -1, found.shape[1]))

    def _shaped(self, found: Floats) -> Floats:
        """[moments, series of the core, outputs] to [moments, series, horizon(, channels)]."""
        shape = (len(found), -1, self.horizon)
        if not self._channels:
            return found.reshape(shape)
        if not self._split:
            return found.reshape(*shape, self.n_channels_)
        by_channel = found.reshape(len(found), -1, self.n_channels_, self.horizon)
        return np.ascontiguousarray(by_channel.transpose(0, 1, 3, 2))

    def freeze(self, Y: ArrayLike, exogenous: ArrayLike | None = None) -> FrozenRepresentatives:
        """The representatives after the last row of Y: with them one series can be scored alone.

        exogenous : [rows of Y + horizon, features]
        """
        steps = len(np.asarray(Y))
        flat, features = self._given(Y, exogenous, steps + self.horizon, exact=True)
        moment, nodes = self._core.freeze(flat, features, threads(self.num_threads))
        return FrozenRepresentatives(moment, nodes)

    def predict_one(
        self,
        series: Any,
        window: ArrayLike,
        representatives: FrozenRepresentatives,
        exogenous: ArrayLike | None = None,
    ) -> Floats:
        """The forecast of one series from its own latest rows and frozen representatives.

        series : its name (number, where Y had no columns). window : [rows] or [rows, channels], at
        least ``required_rows_`` of them. exogenous : [rows + horizon, features]. Returns [horizon]
        or [horizon, channels]: what `predict` says, to the last bit, where the representatives are
        of the same moment.
        """
        check_is_fitted(self)
        if not isinstance(representatives, FrozenRepresentatives):
            raise TypeError(
                f"representatives: expected what freeze returns, got {type(representatives)}"
            )
        number = self._number(series)
        values = np.asarray(window, dtype=np.float32)
        if values.ndim != 1 + len(self._channels) or values.shape[1:] != self._channels:
            raise ValueError(
                f"window: expected [rows{', ' + str(self.n_channels_) if self._channels else ''}], "
                f"got shape {values.shape}"
            )
        features = as_exogenous(exogenous)
        self._require_features(features, len(values) + self.horizon, True)
        nodes = np.ascontiguousarray(representatives.nodes, dtype=np.float32)
        channels = [values[:, c : c + 1] for c in range(self.n_channels_)] if self._split else []
        parts = channels or [values.reshape(len(values), -1)]
        forecasts = [
            self._core.predict_one(
                number * len(parts) + i,
                np.ascontiguousarray(part),
                features,
                representatives.moment,
                nodes,
            )
            for i, part in enumerate(parts)
        ]
        found: Floats = self._shaped(np.concatenate(forecasts)[None])[0, 0]
        return found

    def _number(self, series: Any) -> int:
        if series not in self.series_names_:
            raise ValueError(f"series: {series!r} is not one of the series of the fit")
        return self.series_names_.index(series)

    def explain(
        self,
        Y: ArrayLike,
        exogenous: ArrayLike | None = None,
        *,
        series: ArrayLike | None = None,
    ) -> list[SeriesExplanation]:
        """Why the steps after the last row of Y are forecast as they are.

        series : names of the series to explain; None for all. For each: which representatives it
        moves with, their members and last errors, and what the forecast owes to each: the change
        when an average representative without errors stands in its place. Under the paper's preset
        each channel is a series of its own, named (series, channel).
        """
        steps = len(np.asarray(Y))
        flat, features = self._given(Y, exogenous, steps + self.horizon, exact=True)
        names = self.series_names_ if series is None else list(np.asarray(series, dtype=object))
        per = self.n_channels_ if self._split else 1
        numbers = [self._number(name) * per + c for name in names for c in range(per)]
        found = self._core.explain(
            flat, features, np.array(numbers, dtype=np.int64), threads(self.num_threads)
        )
        return [self._explanation(item) for item in found]

    def _explanation(self, item: Mapping[str, Any]) -> SeriesExplanation:
        def shaped(values: list[float]) -> Floats:
            forecast = np.array(values, dtype=np.float32)
            if not self._channels or self._split:
                return forecast
            return forecast.reshape(self.horizon, self.n_channels_)

        return SeriesExplanation(
            self._name(item["series"]),
            shaped(item["forecast"]),
            shaped(item["base"]),
            shaped(item["without_relations"]),
            np.array(item["errors"], dtype=np.float32),
            [
                SeriesCase(
                    case["representative"],
                    case["weight"],
                    case["correlation"],
                    [self._name(s) for s in case["members"]],
                    np.array(case["errors"], dtype=np.float32),
                    shaped(case["contribution"]),
                )
                for case in item["cases"]
            ],
        )

    @classmethod
    def from_torch(
        cls,
        encoder: Any,
        gnn: Any,
        Y: ArrayLike,
        *,
        window: int = 24,
        value_range: tuple[float, float] | None = None,
        relation: SeriesRelation | None = None,
        prefix: str = "",
        head: str | None = None,
        random_state: Any = 0,
        num_threads: int | None = None,
    ) -> ECSeqForecaster:
        """The paper's traffic model with weights that were trained in PyTorch.

        Parameters
        ----------
        encoder : state dict of an LSTM on one channel, weight_ih_l0 [4h, 1]; torch is not needed,
            tensors may be arrays. ``prefix``, ``head`` as in `SequenceEncoder.from_torch`; without
            a head `base_predict` has nothing to say.
        gnn : state dict of one SAGEConv by PyTorch Geometric's names (``*.lin_l.weight`` and
            ``.bias`` of the neighbours, ``*.lin_r.weight`` of the node itself) and one linear head.
        Y : [time, series] or [time, series, channels], the rows that give representatives,
            correlations and, unless ``value_range`` (minimum, maximum) is given, the scale.
        relation : None: the paper's.

        Raises ``ValueError`` by name for a tensor that is missing, unknown or does not fit.
        """
        values = as_series(Y)
        split = values.ndim == 3
        flat, channels = flattened(values, split)
        imported = from_state_dict(_state_of(encoder), {}, prefix=prefix, head=head)
        architecture = imported.architecture
        if architecture["n_layers"] != 1 or architecture.get("bidirectional"):
            raise ValueError("encoder: expected one layer that reads forward")
        if imported.tensors["feature.mean"].shape[1] != 1:
            raise ValueError(
                "encoder: expected tensor 'weight_ih_l0' with 1 column, the series itself, got "
                f"{imported.tensors['feature.mean'].shape[1]}"
            )
        hidden = architecture["hidden_size"]
        layer = graph_layer_from_state_dict(_state_of(gnn), hidden)
        tensors = {f"layer.{name}": tensor for name, tensor in layer.items()}
        skipped = ("feature.mean", "feature.scale", "target.mean", "target.std")
        for name, tensor in imported.tensors.items():
            if name not in skipped:
                tensors[f"encoder.{name}"] = tensor
        model = cls(
            horizon=layer["output.weight"].shape[1],
            window=window,
            relation="series" if relation is None else relation,
            cell=architecture["cell"],
            hidden_size=hidden,
            head_size=layer["output.weight"].shape[0],
            preset="paper",
            random_state=random_state,
            num_threads=num_threads,
        )
        options = model._options(seed_of(random_state), flat.shape[1] // channels)
        core = _core.Forecaster.assemble(flat, channels, tensors, options, value_range)
        model._adopt(core, series_names(Y, values), values.shape[2:], split)
        return model

    def save(self, path: Any) -> None:
        """Write one safetensors file; ``ecseq.load`` reads it. Nothing in it is ever executed."""
        check_is_fitted(self)
        self._core.set_metadata(json.dumps(self._description()))
        self._core.save(str(path))

    def _description(self) -> dict[str, Any]:
        parameters = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        if isinstance(self.relation, SeriesRelation):
            relation = {k: _plain(v) for k, v in self.relation.get_params(deep=False).items()}
            relation["compressor"] = _compressor_to_json(self.relation.compressor)
            parameters["relation"] = relation
        if callable(self.verbose):
            parameters["verbose"] = False
        if not isinstance(self.random_state, (int, np.integer)):
            parameters["random_state"] = None
        return {
            "estimator": type(self).__name__,
            "parameters": parameters,
            "series_names": [
                plain if isinstance(plain := _plain(name), (str, int, float)) else str(name)
                for name in self.series_names_
            ],
            "channels": list(self._channels),
            "split": self._split,
        }

    @classmethod
    def _load(cls, path: str) -> ECSeqForecaster:
        core = _core.Forecaster.load(path)
        try:
            return cls._restored(core)
        except (KeyError, TypeError, ValueError) as error:
            raise _core.ModelFileError(f"{path}: the description does not fit: {error}") from error

    @classmethod
    def _restored(cls, core: _core.Forecaster) -> ECSeqForecaster:
        if not core.metadata:  # written by the C++ library: series are numbered
            model = cls(horizon=core.horizon)
            channels = (core.channels,) if core.channels > 1 else ()
            model._adopt(core, list(range(core.n_series)), channels, False)
            return model
        description = json.loads(core.metadata)
        parameters = dict(description["parameters"])
        if isinstance(parameters["relation"], dict):
            relation = dict(parameters["relation"])
            relation["compressor"] = _compressor_from_json(relation["compressor"])
            parameters["relation"] = SeriesRelation(**relation)
        model = cls(**parameters)
        names, channels = description["series_names"], tuple(description["channels"])
        split = bool(description["split"])
        series = core.n_series * core.channels
        if len(names) * (channels[0] if channels else 1) != series or len(channels) > 1:
            raise ValueError("series_names: not as many as the model has")
        if model.horizon != core.horizon:
            raise ValueError("horizon: not the model's")
        model._adopt(core, names, channels, split)
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        core = state.pop("_core", None)
        if core is not None:
            state["_core_bytes"] = core.to_bytes()
        if callable(state.get("verbose")):
            state["verbose"] = False
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_core_bytes", None)
        super().__setstate__(state)
        if saved is not None:
            self._core = _core.Forecaster.from_bytes(saved, "pickle")


def is_forecaster(path: str) -> bool:
    """Whether a file says that it holds a forecaster; whoever loads it checks the rest."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 1 << 26)))
        return bool(header["__metadata__"]["format"] == "ecseq-forecaster")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _control(name: str) -> str:
    if name != "mlp":
        raise ValueError(f"control: {name!r} is not one of 'mlp'")
    return name


def _state_of(source: Any) -> Mapping[str, Any]:
    state = source.state_dict() if hasattr(source, "state_dict") else source
    if not isinstance(state, Mapping):
        raise TypeError(f"expected a module or a state dict, got {type(source).__name__}")
    return state
