"""Progress of long work, on a terminal or in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

# (stage, units done, units in all, message)
ProgressCallback = Callable[[str, int, int, str], None]
Verbose = bool | int | ProgressCallback


class _Printer:
    """One line per stage that updates in place on a terminal; one line per epoch elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._stage = ""
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        now = time.monotonic()
        new_stage = stage != self._stage
        interval = 0.1 if self._terminal else 2.0
        if not new_stage and now - self._last < interval:
            return
        line = f"ecseq: {stage} {done}/{total}" + (f"  {message}" if message else "")
        if self._terminal:
            end = "\n" if new_stage and self._stage else ""
            self._stream.write(f"{end}\r\x1b[2K{line}")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
        self._stage, self._last = stage, now

    def close(self) -> None:
        if self._terminal and self._stage:
            self._stream.write("\n")
            self._stream.flush()


def as_progress(verbose: Verbose) -> ProgressCallback | None:
    """The callback that ``verbose`` asks for: none, a printer on stderr, or the caller's own."""
    if callable(verbose):
        return verbose
    return _Printer(sys.stderr) if verbose else None


def close_progress(progress: ProgressCallback | None) -> None:
    if isinstance(progress, _Printer):
        progress.close()
