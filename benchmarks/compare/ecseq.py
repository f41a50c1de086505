"""What ECSeq is worth, task by task: the one command behind docs/relations.md.

    python benchmarks/compare/ecseq.py --data $ECSEQ_DATA --seeds 5 [--only few_labels ...]
    python benchmarks/compare/ecseq.py --data $ECSEQ_DATA --seeds 5 --resume --out docs

few_labels  an encoder trained without labels, 2 % of the labels known
freshness   states of entities that are refreshed never, monthly, weekly, daily, live
nulls       data on which nothing is to be gained: does the gate keep the base?
paper       preset="paper" beside an implementation of the same description in PyTorch
speed       training time after the encoder beside PyTorch, PyTorch Geometric and FAISS
entity      entity.py: shared terminals, products and films
series      series.py: parallel series

Writes relations.md, relations/*.svg and relations/figures.jsonl, the raw figures of every task and
seed, to --out; with --resume what stands there is not run again. A few minutes per task and seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file has the library's name, and a script's folder comes first where Python looks: the folder
# goes to the end of the path, and a neighbour that says `import ecseq` gets the library all the
# same.
_HERE = str(Path(__file__).resolve().parent)
sys.path = [folder for folder in sys.path if str(Path(folder).resolve()) != _HERE]
if __name__ != "__main__":
    import importlib

    del sys.modules[__name__]
    try:
        importlib.import_module("ecseq")
    finally:
        sys.path.append(_HERE)
else:
    sys.path.append(_HERE)
    from ecseq_command import main

    main()
