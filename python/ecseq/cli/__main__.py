"""``python -m ecseq.cli`` is the ``ecseq`` command."""

from __future__ import annotations

from ecseq.cli import main

main()
