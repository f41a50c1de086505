"""What an estimator can say of itself once it is in use: calibration, freshness, drift."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ecseq import _core, metrics
from ecseq._calibration import METHODS, Calibration, fit_calibration
from ecseq._checks import as_array, as_moment, as_seconds
from ecseq._drift import (
    DriftReport,
    label_shift,
    performance,
    reference_of,
    score_columns,
    score_shift,
    use_of_representatives,
)
from ecseq._entity_ids import flat
from ecseq._freshness import Staleness, StaleStateWarning, staleness_at, trained_age
from ecseq._inputs import Samples, threads
from ecseq._labels import probabilities
from ecseq._relations import Duration, EntityRelation, Relation, as_duration

# Times that would be dates before March 1973 count from elsewhere than 1970.
_FIRST_DATE = 1e8


class Monitoring:
    """Methods of an estimator, which has `_model`, `fit_report_` and what reads its arguments."""

    calibration_: Calibration | None = None
    _latest_time: float | None = None

    _task: str
    _model: _core.Model
    fit_report_: dict[str, Any]

    def _watch(
        self,
        relations: list[Relation],
        training: Samples,
        held_out: Samples,
        y_training: NDArray[np.float32],
        y_held_out: NDArray[np.float32],
        outputs: NDArray[np.float32],
    ) -> None:
        """Keeps, at the end of a fit, what later rows are compared with.

        outputs: those of the validation rows as the gate saw them, [m, 1] or [m, classes].
        """
        this: Any = self
        task = self._model.task
        self.calibration_ = None
        if this.calibrate is not None:
            self.calibration_ = fit_calibration(this.calibrate, _logits(outputs), y_held_out)
        scores = score_columns(self._shares(outputs), task)
        codes = np.concatenate([y_training, y_held_out])
        n_classes = self._model.n_classes
        reference = reference_of(task, n_classes, codes, scores)
        use = use_of_representatives(self._model, held_out, threads(this.num_threads))
        if use is not None:
            reference["beyond_radius"], reference["usage_shift"] = use
        self.fit_report_["reference"] = reference

        self._latest_time = None
        entity_relations = [r for r in relations if isinstance(r, EntityRelation)]
        if not entity_relations or training.times is None or held_out.times is None:
            return
        times = np.concatenate([training.times, held_out.times])
        self._latest_time = float(times.max())
        ages = {}
        for relation in entity_relations:
            keys, rows = flat(training.entities[relation.by])
            later_keys, later_rows = flat(held_out.entities[relation.by])
            rows = np.concatenate([rows, later_rows + len(training.times)])
            delay = as_duration(relation.label_delay, "label_delay")
            ages[relation.by] = trained_age(np.concatenate([keys, later_keys]), times[rows], delay)
        self.fit_report_["freshness"] = {"latest_time": self._latest_time, "trained_age": ages}

    def _advanced(self, times: NDArray[np.float64] | None) -> None:
        """The states know events up to the latest of times."""
        if self._latest_time is not None and times is not None and len(times):
            self._latest_time = max(self._latest_time, float(times.max()))

    def _warn_if_stale(self, times: NDArray[np.float64] | None) -> None:
        if self._latest_time is None or times is None or len(times) == 0:
            return
        found = self._staleness_at(float(times.max()))
        if found.stale:
            warnings.warn(found.message, StaleStateWarning, stacklevel=_callers_level())

    def _staleness_at(self, moment: float) -> Staleness:
        assert self._latest_time is not None
        trained = self.fit_report_["freshness"]["trained_age"]
        return staleness_at(moment, self._latest_time, trained)

    def staleness(self, times: ArrayLike | None = None) -> Staleness:
        """How old the entity states are at the moment of scoring, against what training saw.

        A state ages from the latest event that `fit` and `partial_fit` were given. It is stale once
        its age exceeds the age that 90 % of the training rows' newest known labels were younger
        than (``fit_report_["freshness"]``): `predict` and `predict_proba` then warn with
        `StaleStateWarning`, once per call. Labels that arrive late do not make a state stale: their
        delay is part of both ages.

        Parameters
        ----------
        times : one moment or an array of them, optional
            When scores are wanted (the latest counts): seconds or dates as for ``fit``. None: now,
            for models whose times are dates or seconds since 1970.

        Raises
        ------
        ValueError
            Without an entity relation fitted on times; and without ``times`` where those of the fit
            are no dates.
        """
        check_is_fitted(self)
        if self._latest_time is None:
            raise ValueError("staleness: this model has no entity relation fitted on times")
        if times is None:
            if self._latest_time < _FIRST_DATE:
                raise ValueError(
                    "times: give the moment of scoring; the times that this model was fitted on "
                    f"count from elsewhere than 1970 (the latest is {self._latest_time:g} s)"
                )
            return self._staleness_at(time.time())
        if isinstance(times, (str, int, float)) or np.ndim(times) == 0:
            return self._staleness_at(as_moment(times, "times"))  # type: ignore[arg-type]
        array = as_array(times, "times")
        if array.size == 0:
            raise ValueError("times: expected at least one moment, got none")
        return self._staleness_at(float(as_seconds(array, "times", len(array)).max()))

    def recalibrate(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        method: str | None = None,
        replay: bool = True,
    ) -> Any:
        """Fit the calibration anew on later labelled rows; everything else stays as it is.

        Parameters
        ----------
        X, y, entities, times
            As for `replay`; at least two classes.
        method : {"isotonic", "platt"}, optional
            None: the parameter ``calibrate``, or what calibrates now.
        replay : bool
            Score the rows one by one as it would have happened, see `replay`. False: with the
            entity states as they are, for rows after all events that these know.

        Raises ValueError for bad input; the calibration is then unchanged.
        """
        this: Any = self
        check_is_fitted(self)
        if self._task == "regression":
            raise ValueError("recalibrate: takes a classifier")
        if method is None:
            method = this.calibrate or (self.calibration_.method if self.calibration_ else None)
        if method not in METHODS:
            raise ValueError(f"method: {method!r} is not one of 'isotonic', 'platt'")
        samples, codes = this._labelled(X, y, entities, times)
        if len(np.unique(codes)) < 2:
            raise ValueError("y: recalibration takes rows of at least two classes, got only one")
        outputs = self._outputs_of(samples, codes if replay else None)
        self.calibration_ = fit_calibration(method, _logits(outputs), codes)
        return self

    def reliability_curve(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        n_bins: int = 10,
        bins: str = "width",
    ) -> metrics.ReliabilityCurve:
        """What `replay` says of labelled rows against what happened, for two classes.

        Parameters
        ----------
        X, y, entities, times
            As for `replay`.
        n_bins, bins
            See ``ecseq.metrics.reliability_curve``.
        """
        this: Any = self
        check_is_fitted(self)
        if self._model.task != "binary":
            raise ValueError("reliability_curve: takes a classifier of two classes")
        samples, codes = this._labelled(X, y, entities, times)
        scores = this._scores(self._outputs_of(samples, codes), self.calibration_)
        return metrics.reliability_curve(codes, scores, n_bins=n_bins, bins=bins)

    def drift(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        period: Duration = "7d",
    ) -> DriftReport:
        """How far new rows, their labels and their scores lie from what the model was fitted on.

        Parameters
        ----------
        X, entities, times
            As for ``predict``.
        y : array [n], optional
            Labels, or those that Sequences carry. With labels, rows are scored by `replay`; without
            any, with the entity states as they are.
        period : duration
            With labels and times, metrics are given for each, from the first row's time on.

        Raises ValueError for bad input.
        """
        this: Any = self
        check_is_fitted(self)
        seconds = as_duration(period, "period")
        if not 0.0 < seconds < np.inf:
            raise ValueError(f"period: expected a finite duration above 0, got {period!r}")
        samples: Samples
        codes: NDArray[np.float32] | None = None
        if y is not None or getattr(X, "labels", None) is not None:
            samples, codes = this._labelled(X, y, entities, times)
        else:
            samples = this._samples(X, entities, times)
        n_threads = threads(this.num_threads)
        task = self._model.task
        outputs = self._outputs_of(samples, codes)
        scores = score_columns(self._shares(outputs), task)

        beyond, usage = use_of_representatives(self._model, samples, n_threads) or (None, None)
        unseen = {
            by: float(np.mean(~self._model.knows(i, flat(samples.entities[by])[0])))
            for i, by in enumerate(self._model.entity_sets)
            if by in samples.entities
        }
        reference = self.fit_report_.get("reference", {})
        index = distance_of_scores = labels = None
        if reference.get("scores") is not None:
            index, distance_of_scores = score_shift(reference, scores)
        if reference and codes is not None:
            labels = label_shift(reference, codes)
        periods: list[dict[str, float]] = []
        if codes is not None and samples.times is not None:
            base_outputs = self._model.base(*samples, n_threads)
            base = score_columns(self._shares(base_outputs), task)
            said = score_columns(self._shares(outputs, self.calibration_), task)
            periods = performance(task, codes, said, base, samples.times, seconds)
        return DriftReport(
            rows=len(scores),
            beyond_radius=beyond,
            usage_shift=usage,
            unseen_entities=unseen,
            label_shift=labels,
            score_shift=index,
            score_distance=distance_of_scores,
            beyond_radius_at_fit=reference.get("beyond_radius"),
            usage_shift_at_fit=reference.get("usage_shift"),
            performance=periods,
            period=seconds,
        )

    def _outputs_of(
        self, samples: Samples, codes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Outputs [n, 1] or [n, classes]: of a replay where there are labels."""
        this: Any = self
        n_threads = threads(this.num_threads)
        model = self._model
        if codes is None:
            if this.head_ is None:
                return model.decide(*samples, n_threads)
            inputs = model.inputs(*samples, n_threads)
        else:
            period = (samples.x, codes, samples.entities, samples.times, n_threads)
            if this.head_ is None:
                return model.replay(*period)
            inputs = model.replay_inputs(*period)
        outputs: NDArray[np.float32] = this._gated(samples, inputs)
        return outputs

    def _shares(
        self, outputs: NDArray[np.float32], calibration: Calibration | None = None
    ) -> NDArray[np.float32]:
        """Probabilities [n, classes], or values [n, 1]."""
        if self._task == "regression":
            return outputs
        of = probabilities if calibration is None else calibration.probabilities
        return of(_logits(outputs))


def _callers_level() -> int:
    """The stacklevel, for a warning from the function that asks, of the first frame outside."""
    level, frame = 0, sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("ecseq."):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level + 1


def _logits(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs
