"""Lines of the compressors' table: what was measured, and whether its targets were met."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from child import Outcome


@dataclass(frozen=True)
class Target:
    """What a line promises; None: nothing about that."""

    ratio: float | None = None  # at least this many times faster than the other side
    seconds: float | None = None
    peak_mb: float | None = None
    may_refuse: bool = False  # a refusal with advice is an answer too

    def text(self) -> str:
        parts = []
        if self.ratio is not None:
            parts.append(f">= {self.ratio:g}x")
        if self.seconds is not None:
            parts.append(f"< {self.seconds:g} s")
        if self.peak_mb is not None:
            parts.append(f"< {self.peak_mb / 1000:g} GB")
        return ", ".join(parts) + (" or a refusal" if self.may_refuse else "")


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    row: str
    problem: str
    status: str
    seconds: tuple[float, ...] = ()  # one per round
    peak_mb: float | None = None  # largest over the rounds
    against: str = ""
    their_seconds: tuple[float, ...] = ()
    their_peak_mb: float | None = None
    ratios: tuple[float, ...] = ()  # theirs / ours, one per round
    target: str = ""
    met: bool | None = None  # None: nothing was promised, or nothing could be measured
    note: str = ""


def line(
    row: str,
    problem: str,
    ours: Sequence[Outcome],
    target: Target,
    *,
    against: str = "",
    theirs: Sequence[Outcome] = (),
    their_seconds: float | None = None,
    extra: Iterable[tuple[bool | None, str]] = (),
) -> Line:
    """The line of `ours`, one outcome per round, beside `theirs` or a published time.

    extra: further conditions, each with what to say of it; None where it is only a note.
    """
    conditions, notes = [], []
    for holds, text in extra:
        if holds is not None:
            conditions.append(holds)
        notes.append(text)
    wrong = next((o for o in [*ours, *theirs] if not o.done), None)
    if wrong is not None:
        missing = wrong.status in ("not offered", "failed") and wrong not in ours
        refused = wrong.status == "refused" and target.may_refuse
        met = None if missing or wrong.status == "not offered" else refused
        return Line(
            row,
            problem,
            wrong.status,
            seconds=tuple(o.seconds for o in ours if o.seconds is not None),
            against=against,
            target=target.text(),
            met=met,
            note="; ".join([wrong.message, *notes]),
        )
    seconds = tuple(o.seconds for o in ours)
    peak = max(o.peak_mb for o in ours)
    beside = tuple(o.seconds for o in theirs)
    if their_seconds is not None:
        beside = (their_seconds,) * len(seconds)
    ratios = tuple(b / a for a, b in zip(seconds, beside, strict=True)) if beside else ()
    if target.ratio is not None:
        conditions.append(statistics.median(ratios) >= target.ratio)
    if target.seconds is not None:
        conditions.append(statistics.median(seconds) < target.seconds)
    if target.peak_mb is not None:
        conditions.append(peak < target.peak_mb)
    return Line(
        row,
        problem,
        "done",
        seconds,
        peak,
        against,
        beside,
        max((o.peak_mb for o in theirs), default=None),
        ratios,
        target.text(),
        all(conditions) if conditions else None,
        "; ".join(note for note in notes if note),
    )


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    middle = statistics.median(values)
    if min(values) == max(values):
        return f"{middle:.3g}{unit}"
    return f"{middle:.3g}{unit} ({min(values):.3g}..{max(values):.3g})"


HEADINGS = ("row", "problem", "ours", "peak", "beside", "theirs", "ratio", "target", "met", "note")


def cells(entry: Line) -> tuple[str, ...]:
    return (
        entry.row,
        entry.problem,
        _spread(entry.seconds, " s") if entry.status == "done" else entry.status,
        "" if entry.peak_mb is None else f"{entry.peak_mb:.0f} MB",
        entry.against,
        _spread(entry.their_seconds, " s"),
        _spread(entry.ratios, "x"),
        entry.target,
        {True: "yes", False: "**no**", None: ""}[entry.met],
        entry.note.replace("|", "/"),
    )


def markdown(lines: Iterable[Line]) -> str:
    table = [HEADINGS, ("---",) * len(HEADINGS), *(cells(entry) for entry in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)
