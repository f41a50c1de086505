"""A model for the load test: an LSTM and shared terminals, fitted on simulated card payments.

    python examples/serve/load_model.py model.ecseq

With ``--seed`` another model of the same shape, to be put in the place of the first.
"""

from __future__ import annotations

import argparse

import ecseq
from ecseq.demo.simulator import simulate

FEATURES = ["amount", "gap_hours", "hour"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", help="the model file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cards = ecseq.Sequences.from_frame(
        simulate(seed=options.seed),
        by="card",
        time="ts",
        features=FEATURES,
        label="fraud",
        entities=["terminal"],
    )
    model = ecseq.ECSeqClassifier(
        encoder="lstm",
        relations=[
            ecseq.SimilarityRelation(500),
            ecseq.EntityRelation("terminal", label_delay="7d"),
        ],
        random_state=options.seed,
    ).fit(cards.windows(20))
    model.user_metadata_ = {"events": {"features": FEATURES}}
    model.save(options.out)


if __name__ == "__main__":
    main()
