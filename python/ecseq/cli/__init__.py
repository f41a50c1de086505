"""The ``ecseq`` command line, which needs the extra ``[cli]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

_HOW_TO_INSTALL = (
    "the ecseq command line needs {missing}, which is not installed; run: pip install 'ecseq[cli]'"
)
_NEEDED = frozenset({"typer", "rich", "pyarrow", "pandas", "click", "shellingham"})

FAILURE = 1
INTERRUPTED = 130


def _load_app() -> Any:
    """The Typer application; ImportError with the command that installs what it needs."""
    try:
        from ecseq.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in _NEEDED:
            raise
        raise ImportError(_HOW_TO_INSTALL.format(missing=error.name)) from error
    return app


def __getattr__(name: str) -> Any:
    if name == "app":
        return _load_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave through SystemExit.

    The exit code is 0 when all went well, 1 when the data, a file or the fit failed (the message
    goes to stderr), 2 for wrong usage and 130 for Ctrl-C.
    """
    try:
        _load_app()(args=None if arguments is None else list(arguments), prog_name="ecseq")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (ImportError, ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
        print(f"ecseq: {_describe(error)}", file=sys.stderr)
        sys.exit(FAILURE)


def _describe(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
