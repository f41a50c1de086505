"""What a model file holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ecseq
from ecseq._relations import as_duration
from ecseq.cli.layout import EventLayout


def tensor_sizes(path: Path) -> list[tuple[str, str, int]]:
    """(name, shape, bytes) of each tensor of a safetensors file that `ecseq.load` accepted."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    return [
        (
            name,
            " x ".join(map(str, entry["shape"])) or "scalar",
            int(entry["data_offsets"][1]) - int(entry["data_offsets"][0]),
        )
        for name, entry in header.items()
        if name != "__metadata__"
    ]


def describe_model(model: Any, path: Path) -> list[tuple[str, str]]:
    """Facts about the model, as (name, value)."""
    report: Mapping[str, Any] = model.fit_report_
    facts = [
        ("file", f"{path} ({path.stat().st_size / 1e6:.2f} MB)"),
        ("estimator", type(model).__name__),
        ("task", str(report.get("task", "unknown"))),
    ]
    if hasattr(model, "classes_"):
        facts.append(("classes", ", ".join(map(str, model.classes_))))
    encoder = model.encoder_
    if encoder is None:
        facts.append(("encoder", f"none: embeddings with {model.n_features_in_} columns"))
    else:
        facts.append(
            (
                "encoder",
                f"{encoder.cell}, hidden size {encoder.hidden_size}, "
                f"{encoder.n_features_in_} features per event",
            )
        )
    for relation in model.relations or [ecseq.SimilarityRelation()]:
        if isinstance(relation, ecseq.EntityRelation):
            days = as_duration(relation.label_delay, "label_delay") / 86_400
            facts.append(
                (
                    "relation",
                    f"by entity {relation.by!r}: memory {relation.memory}, label delay "
                    f"{days:g} days",
                )
            )
        else:
            representatives = model.representatives_
            n = 0 if representatives is None else len(representatives.mass)
            facts.append(("relation", f"by similarity: {n} representatives"))
    for name in ("n_training", "n_validation", "isolation_rate"):
        if name in report:
            value = report[name]
            facts.append((name.replace("_", " "), f"{value:g}" if value < 1 else f"{value:,}"))
    if "gate" in report:
        facts.append(("gate", str(report["gate"].get("choice", report["gate"]))))
    stored = getattr(model, "user_metadata_", {})
    if "events" in stored:
        layout = EventLayout.of(model, path)
        facts.append(
            ("events by", layout.by + (f", in time by {layout.time}" if layout.time else ""))
        )
        facts.append(("features", ", ".join(layout.features)))
        facts.append(("a score per", f"{layout.per}, from at most {layout.window} events"))
    return facts
