"""``python -m ecseq.demo``: the same as ``ecseq demo``."""

from __future__ import annotations

import sys

from ecseq.cli import main

main(["demo", *sys.argv[1:]])
