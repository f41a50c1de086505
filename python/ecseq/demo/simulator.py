"""A simulator of card payments whose fraud has two sources, one visible in a card's own sequence.

The data is simulated.  Part of the fraud is made at terminals by construction, so a model that
relates payments through their terminal gains by design; the size of that gain says that the
machinery works, not what it would be on somebody's real payments.

The story
---------
*Places.*  A town of 12 x 12 km has a few shopping districts.  Each terminal stands near one of
them, has a popularity and a price level (a kiosk is not a jeweller).

*Ordinary cards.*  Each card has a home, a spending level, a number of payments per day, a
favourite hour and a taste for weekends.  It pays at a dozen terminals, near ones and popular ones
more likely, and now and then anywhere.  Once in a while its holder has a *spree* (a holiday, a
new flat): for some days more and larger payments at unusual places.  A spree is not fraud; it is
there so that a burst alone proves nothing.

*Stolen cards* (``cause = "stolen card"``).  A thief adds payments for one to four days: larger,
faster, at odd hours, anywhere in town.  This shows in the sequence of the card.

*Compromised terminals* (``cause = "compromised terminal"``).  For three to six weeks nearly every
payment at such a terminal turns out fraudulent; then it is found out and stays closed for a week
or so.  The amounts and hours are those of ordinary payments, so the sequence of the card shows
nothing; what shows it are the other payments at the same terminal.

*Labels* become known ``LABEL_DELAY_DAYS`` after the payment (``known_at``): nobody knows of a fraud
before the holder complains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LABEL_DELAY_DAYS = 7
START = np.datetime64("2024-01-01", "s")

ORDINARY = "ordinary"
STOLEN_CARD = "stolen card"
COMPROMISED_TERMINAL = "compromised terminal"

_SIDE_KM = 12.0
_FAVOURITES = 12
_ELSEWHERE = 0.06  # share of an ordinary card's payments outside its favourites
_SPREES_PER_CARD_DAY = 0.0006
_THEFTS_PER_CARD_DAY = 0.0012
_COMPROMISES_PER_TERMINAL_DAY = 0.00045
_FRAUD_AT_COMPROMISED = 0.93
_COMPROMISED_DAYS = (21.0, 42.0)
_CLOSED_DAYS = (6.0, 10.0)
_FIRST_GAP_HOURS = 7 * 24.0  # stands for "unknown" at a card's first payment
_LONGEST_GAP_HOURS = 30 * 24.0

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class _Terminals:
    place: FloatArray  # [terminals, 2] km
    popularity: FloatArray  # [terminals], sums to 1
    price: FloatArray  # [terminals] log factor on amounts


@dataclass(frozen=True)
class _Cards:
    level: FloatArray  # [cards] log of the median amount
    payments_per_day: FloatArray  # [cards]
    hour: FloatArray  # [cards] favourite hour
    weekend: FloatArray  # [cards] share of payments on Saturday and Sunday
    favourites: IntArray  # [cards, favourites] terminals
    favour: FloatArray  # [cards, favourites] cumulative share of payments


@dataclass(frozen=True)
class _Payments:
    """Columns of equal length; time in days since START."""

    card: IntArray
    terminal: IntArray
    day: FloatArray
    log_amount: FloatArray

    def where(self, mask: NDArray[np.bool_]) -> _Payments:
        return _Payments(
            self.card[mask], self.terminal[mask], self.day[mask], self.log_amount[mask]
        )


def _make_terminals(rng: np.random.Generator, n: int) -> _Terminals:
    districts = rng.uniform(1.0, _SIDE_KM - 1.0, size=(max(3, n // 40), 2))
    place = districts[rng.integers(len(districts), size=n)] + rng.normal(0.0, 0.9, size=(n, 2))
    popularity = rng.gamma(2.5, 1.0, size=n) + 0.3
    return _Terminals(place, popularity / popularity.sum(), rng.normal(0.0, 0.45, size=n))


def _make_cards(rng: np.random.Generator, n: int, terminals: _Terminals) -> _Cards:
    home = rng.uniform(0.0, _SIDE_KM, size=(n, 2))
    offset = home[:, None, :] - terminals.place[None, :, :]
    distance = np.sqrt(np.square(offset).sum(axis=2))  # [cards, terminals]
    # Gumbel top-k: a draw without replacement with weight popularity * exp(-distance / 1.8 km).
    appeal = np.log(terminals.popularity)[None, :] - distance / 1.8
    appeal += rng.gumbel(size=appeal.shape)
    k = min(_FAVOURITES, appeal.shape[1])
    favourites = np.argsort(-appeal, axis=1, kind="stable")[:, :k].astype(np.int64)
    share = rng.gamma(1.2, 1.0, size=(n, k)) + 1e-3
    favour = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)
    return _Cards(
        level=rng.normal(3.3, 0.55, size=n),
        payments_per_day=0.12 + rng.gamma(2.2, 0.22, size=n),
        hour=rng.normal(14.5, 2.2, size=n),
        weekend=rng.beta(4.0, 8.0, size=n),
        favourites=favourites,
        favour=favour,
    )


def _pay_ordinarily(
    rng: np.random.Generator, cards: _Cards, terminals: _Terminals, days: int
) -> _Payments:
    count = rng.poisson(cards.payments_per_day * days)
    card = np.repeat(np.arange(count.size, dtype=np.int64), count)
    n = card.size

    calendar = np.arange(days)
    is_weekend = (calendar % 7) >= 5  # START is a Monday
    date = rng.choice(calendar[~is_weekend], size=n)
    if is_weekend.any():
        at_weekend = rng.random(n) < cards.weekend[card]
        date = np.where(at_weekend, rng.choice(calendar[is_weekend], size=n), date)
    hour = np.mod(cards.hour[card] + rng.normal(0.0, 3.2, size=n), 24.0)

    slot = (rng.random(n)[:, None] > cards.favour[card]).sum(axis=1)
    slot = np.minimum(slot, cards.favourites.shape[1] - 1)
    terminal = cards.favourites[card, slot]
    elsewhere = rng.random(n) < _ELSEWHERE
    terminal = np.where(elsewhere, _anywhere(rng, terminals, n), terminal)

    log_amount = cards.level[card] + terminals.price[terminal] + rng.normal(0.0, 0.5, size=n)
    return _Payments(card, terminal, date + hour / 24.0, log_amount)


def _anywhere(rng: np.random.Generator, terminals: _Terminals, n: int) -> IntArray:
    return rng.choice(terminals.popularity.size, size=n, p=terminals.popularity).astype(np.int64)


def _burst(
    rng: np.random.Generator,
    cards: _Cards,
    terminals: _Terminals,
    days: int,
    *,
    per_card_day: float,
    extra_payments: float,
    lift: float,
    hour: float,
    hour_spread: float,
) -> _Payments:
    """Extra payments of some cards within one to four days, ``exp(lift)`` times as large."""
    n_cards = cards.level.size
    n_bursts = round(per_card_day * n_cards * days)
    burst_card = rng.integers(n_cards, size=n_bursts)
    burst_start = np.floor(rng.uniform(2.0, max(3.0, days - 1.0), size=n_bursts))
    burst_days = rng.integers(1, 5, size=n_bursts)
    count = 3 + rng.poisson(extra_payments, size=n_bursts)

    burst = np.repeat(np.arange(n_bursts), count)
    n = burst.size
    card = burst_card[burst].astype(np.int64)
    date = burst_start[burst] + np.floor(rng.random(n) * burst_days[burst])
    clock = np.mod(rng.normal(hour, hour_spread, size=n), 24.0)
    day = date + clock / 24.0
    terminal = _anywhere(rng, terminals, n)
    log_amount = cards.level[card] + terminals.price[terminal]
    log_amount = log_amount + rng.normal(lift, 0.6, size=n)
    inside = day < days
    return _Payments(card[inside], terminal[inside], day[inside], log_amount[inside])


@dataclass(frozen=True)
class _Compromises:
    """Per terminal, in days; a terminal that is never compromised has an empty episode."""

    begin: FloatArray
    end: FloatArray
    reopened: FloatArray

    def hit(self, payments: _Payments) -> NDArray[np.bool_]:
        at = payments.terminal
        return (payments.day >= self.begin[at]) & (payments.day < self.end[at])

    def closed(self, payments: _Payments) -> NDArray[np.bool_]:
        at = payments.terminal
        return (payments.day >= self.end[at]) & (payments.day < self.reopened[at])


def _make_compromises(rng: np.random.Generator, terminals: _Terminals, days: int) -> _Compromises:
    n_terminals = terminals.popularity.size
    n = min(n_terminals, max(1, round(_COMPROMISES_PER_TERMINAL_DAY * n_terminals * days)))
    # At most one episode per terminal; the episodes are spread evenly over time, and some are
    # under way on the first day, so that no week is free of them by the design of the simulator.
    chosen = rng.choice(n_terminals, size=n, replace=False)
    length = rng.uniform(*_COMPROMISED_DAYS, size=n)
    strata = (np.arange(n) + rng.random(n)) / n
    lead = 0.6 * _COMPROMISED_DAYS[1]
    begin = strata * (days + lead) - lead

    compromises = _Compromises(
        np.full(n_terminals, np.inf), np.full(n_terminals, np.inf), np.full(n_terminals, np.inf)
    )
    compromises.begin[chosen] = begin
    compromises.end[chosen] = begin + length
    compromises.reopened[chosen] = begin + length + rng.uniform(*_CLOSED_DAYS, size=n)
    return compromises


def simulate(
    seed: int = 0, n_cards: int = 600, n_terminals: int = 300, days: int = 120
) -> pd.DataFrame:
    """Simulate card payments; see the module's text for the story and its limits.

    Returns one row per payment, ordered by time, with the columns ``card``, ``terminal``, ``ts``,
    ``amount``, ``gap_hours`` (since the card's previous payment), ``hour``, ``weekday`` (Monday
    is 0), ``fraud`` (0 or 1), ``known_at`` (when the label is known) and ``cause``.  ``cause`` is
    the simulator's secret: it is for reports, never for models.  The same arguments give the same
    table.
    """
    for name, value, least in (
        ("n_cards", n_cards, 1),
        ("n_terminals", n_terminals, 2),
        ("days", days, 7),
    ):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    streams = np.random.SeedSequence(seed).spawn(7)
    places, people, habits, sprees, thefts, criminals, labels = map(np.random.default_rng, streams)

    terminals = _make_terminals(places, n_terminals)
    cards = _make_cards(people, n_cards, terminals)
    ordinary = _pay_ordinarily(habits, cards, terminals, days)
    spree = _burst(
        sprees,
        cards,
        terminals,
        days,
        per_card_day=_SPREES_PER_CARD_DAY,
        extra_payments=3.0,
        lift=0.5,
        hour=14.0,
        hour_spread=4.0,
    )
    theft = _burst(
        thefts,
        cards,
        terminals,
        days,
        per_card_day=_THEFTS_PER_CARD_DAY,
        extra_payments=5.0,
        lift=1.1,
        hour=1.0,
        hour_spread=4.5,
    )
    parts = (ordinary, spree, theft)
    payments = _Payments(
        np.concatenate([part.card for part in parts]),
        np.concatenate([part.terminal for part in parts]),
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.log_amount for part in parts]),
    )
    stolen = np.repeat([False, False, True], [part.card.size for part in parts])
    compromises = _make_compromises(criminals, terminals, days)
    hit = compromises.hit(payments) & (labels.random(stolen.size) < _FRAUD_AT_COMPROMISED) & ~stolen
    happens = ~compromises.closed(payments)
    return _to_frame(payments.where(happens), stolen[happens], hit[happens])


def _to_frame(
    payments: _Payments, stolen: NDArray[np.bool_], hit: NDArray[np.bool_]
) -> pd.DataFrame:
    seconds = np.floor(payments.day * 86_400.0).astype(np.int64)
    order = np.lexsort((payments.card, seconds))
    card, seconds = payments.card[order], seconds[order]

    by_card = np.lexsort((seconds, card))
    gap = np.empty(card.size)
    gap[by_card] = np.diff(seconds[by_card], prepend=0) / 3600.0
    first = np.ones(card.size, dtype=bool)
    first[1:] = np.diff(card[by_card]) != 0
    gap[by_card[first]] = _FIRST_GAP_HOURS

    fraud = (stolen | hit)[order]
    cause = np.where(
        stolen[order], STOLEN_CARD, np.where(hit[order], COMPROMISED_TERMINAL, ORDINARY)
    )
    ts = (START + seconds.astype("timedelta64[s]")).astype("datetime64[ns]")
    return pd.DataFrame(
        {
            "card": np.char.add("c", np.char.zfill(card.astype(str), 4)).astype(object),
            "terminal": np.char.add(
                "t", np.char.zfill(payments.terminal[order].astype(str), 3)
            ).astype(object),
            "ts": ts,
            "amount": np.maximum(np.round(np.exp(payments.log_amount[order]), 2), 0.5),
            "gap_hours": np.minimum(gap, _LONGEST_GAP_HOURS).round(3),
            "hour": (seconds % 86_400) // 3600,
            "weekday": (seconds // 86_400) % 7,
            "fraud": fraud.astype(np.int64),
            "known_at": ts + np.timedelta64(LABEL_DELAY_DAYS, "D"),
            "cause": cause.astype(object),
        }
    )
