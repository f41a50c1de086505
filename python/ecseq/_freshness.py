"""Is the state that scores are made from still fresh enough?

What an entity relation adds is mostly what recent labels of the entity say, so a model whose state
is not advanced by `partial_fit` goes on looking at ever older labels, until it is worse than the
base it was gated against: it trusts evidence that has gone. The rule here takes no number of days
from anywhere but training. There, each row found the newest known label of its entity at some age,
at least the label delay. A state of age a leaves no row with a newest label younger than a. It is
stale as soon as that is more than 90 % of the training rows had to do with: from then on, every row
is scored from older evidence than all but the worst tenth in training, which is where the model has
seen too little to be relied on.

On the simulated payments of card_fraud (relation by terminal, one seed, R@P0.9 of states that end
at one moment) it comes while relations still pay, with labels at once after 4.7 days, with labels
7 days late after 11.7:

    age in days    0-1    3-5    7-10   10-14  14-21  21-28   base
    at once       .692   .516    .518    .313   .246   .201   .22-.27
    7 days late   .587   .484    .564    .372   .271   .199   .22-.27
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Share of the training rows whose newest evidence was younger than what counts as stale.
_COVERED = 0.9


class StaleStateWarning(UserWarning):
    """The entity states that scores are made from are older than training has prepared for."""


@dataclass(frozen=True)
class Staleness:
    """How old the entity states are, against what training saw. ``str`` of it is `message`.

    Attributes
    ----------
    age : float
        Seconds from the latest event that the states hold to the moment of scoring; 0 for earlier
        moments.
    trained_age : float or None
        Seconds: 90 % of the training rows had a label of their entity that was younger, of the
        relation for which this is least. None where no row's entity had one.
    stale : bool
        Whether ``age`` exceeds ``trained_age``.
    by : str
        The relation that `trained_age` is of.
    message : str
    """

    age: float
    trained_age: float | None
    stale: bool
    by: str
    message: str

    def __str__(self) -> str:
        return self.message


def evidence_ages(
    keys: NDArray[np.uint64], times: NDArray[np.float64], label_delay: float
) -> NDArray[np.float64]:
    """Seconds from the event of the newest known label of its entity to each row that has one.

    keys, times: [n], a row's entity (0: none) and moment; a label is known to rows after its event,
    and not before label_delay has passed. Rows whose entity has no known label are left out.
    """
    there = keys != 0
    keys, times = keys[there], times[there]
    n = len(keys)
    # Events and the moments up to which rows know labels, in one order by entity and time: the last
    # event before such a moment is the row's newest evidence. An event at the very moment is known
    # where labels are delayed; without a delay it is the row itself, or one at the same time.
    entity = np.concatenate([keys, keys])
    moment = np.concatenate([times, times - label_delay])
    is_row = np.repeat([False, True], n)
    order = np.lexsort((is_row if label_delay > 0 else ~is_row, moment, entity))
    position = np.arange(2 * n)
    newest = np.maximum.accumulate(np.where(is_row[order], -1, position))
    rows = position[is_row[order] & (newest >= 0)]
    event = order[newest[rows]]
    row = order[rows] - n
    same = keys[event] == keys[row]
    ages: NDArray[np.float64] = times[row[same]] - times[event[same]]
    return ages


def trained_age(
    keys: NDArray[np.uint64], times: NDArray[np.float64], label_delay: float
) -> float | None:
    """The age that 90 % of the rows' newest evidence was younger than; see `evidence_ages`."""
    ages = evidence_ages(keys, times, label_delay)
    return float(np.quantile(ages, _COVERED)) if len(ages) else None


def staleness_at(time: float, latest: float, trained: dict[str, float | None]) -> Staleness:
    """Of states whose latest event was at ``latest``. trained: `trained_age` by relation."""
    age = max(0.0, time - latest)
    limits = {by: np.inf if limit is None else limit for by, limit in trained.items()}
    by = min(limits, key=limits.__getitem__)
    limit = trained[by]
    if limit is None:
        message = (
            f"The state is {in_words(age)} old; training found no earlier label of any row's "
            f"{by}, so there is nothing to go stale."
        )
        return Staleness(age, None, False, by, message)
    compared = (
        f"The state is {in_words(age)} old; in training, nine of ten rows had a label of their "
        f"{by} that was younger than {in_words(limit)}."
    )
    if age <= limit:
        return Staleness(age, limit, False, by, compared)
    advice = "Scores may be worse than the base's: advance it with partial_fit, or use replay."
    return Staleness(age, limit, True, by, f"{compared} {advice}")


def in_words(seconds: float) -> str:
    """A duration in its largest unit, such as "7.5 days"."""
    for unit, length in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= length:
            return _count(seconds / length, unit)
    return _count(seconds, "second")


def _count(value: float, unit: str) -> str:
    number = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return f"{number} {unit}{'' if number == '1' else 's'}"
