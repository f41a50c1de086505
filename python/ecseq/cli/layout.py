"""How a model's events are laid out in a file; kept in the model file so that scoring knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import ecseq

_KEY = "events"


@dataclass(frozen=True)
class EventLayout:
    """The columns of an event table, and what one scored sequence is."""

    by: str
    features: tuple[str, ...]
    time: str = ""  # empty: events are in the order of the file
    label: str = ""
    entities: tuple[str, ...] = ()
    window: int = 20  # events of a sequence at most
    per: str = "event"  # a score for each "event", or for each "user"
    # Arrow types of the identifying columns: "007" and 7 are different terminals.
    id_types: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str, ...]:
        return (self.by, *self.entities)

    def columns(self, with_label: bool = False) -> list[str]:
        """Names of the columns to read, each once."""
        names = [self.by, self.time, *self.features, *self.entities]
        if with_label:
            names.append(self.label)
        return [name for name in dict.fromkeys(names) if name]

    def sequences(self, table: Any, with_label: bool = False) -> ecseq.Sequences:
        """The table's events as one sequence per user, in time order."""
        return ecseq.Sequences.from_frame(
            table,
            by=self.by,
            time=self.time or None,
            features=list(self.features),
            label=self.label if with_label else None,
            entities=list(self.entities),
        )

    def store(self, model: Any) -> None:
        """Write the layout into the model, whose file then carries it."""
        model.user_metadata_ = {**model.user_metadata_, _KEY: asdict(self)}

    @classmethod
    def of(cls, model: Any, path: object) -> EventLayout:
        """The layout that `store` wrote."""
        stored = getattr(model, "user_metadata_", {}).get(_KEY)
        if not isinstance(stored, dict):
            raise ValueError(
                f"{path}: this model does not say how its events are laid out; models of "
                "'ecseq fit' do"
            )
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(stored) - known)
        if unknown or not {"by", "features"} <= set(stored):
            raise ValueError(f"{path}: its layout of events is of another version of ecseq")
        values = dict(stored)
        for name in ("features", "entities"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)
