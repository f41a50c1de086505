"""Which build of the extension module runs on this machine.

The package holds one module per x86-64 level, ``_core_v2``, ``_core_v3``, ...; the best that
the processor and the operating system support is loaded. ``ECSEQ_ISA=v2`` asks for another.
"""

from __future__ import annotations

import importlib
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import TypedDict

from ecseq import _cpu

# Lowest first; each runs on the processors of all that follow it.
_X86_LEVELS = ["v1", "v2", "v3", "v4"]


class CpuInfo(TypedDict):
    level: str
    available: list[str]
    compiled: list[str]


def compiled_levels() -> list[str]:
    """The levels this installation holds, lowest first."""
    folders = [Path(folder) for folder in importlib.import_module("ecseq").__path__]
    return [
        level
        for level in [*_X86_LEVELS, "base"]
        if any(
            (folder / f"_core_{level}{suffix}").exists()
            for folder in folders
            for suffix in EXTENSION_SUFFIXES
        )
    ]


def supported_levels() -> list[str]:
    """The levels this machine runs, lowest first."""
    best = _cpu.level()
    if best not in _X86_LEVELS:
        return [best]
    return _X86_LEVELS[: _X86_LEVELS.index(best) + 1]


def choose_level() -> str:
    """The level to load: ``ECSEQ_ISA`` if set, else the best one. ImportError if there is none."""
    compiled = compiled_levels()
    supported = supported_levels()
    requested = os.environ.get("ECSEQ_ISA", "").strip().lower()
    if requested:
        if requested not in compiled:
            raise ImportError(
                f"ECSEQ_ISA={requested}: this installation of ecseq has no such level; "
                f"compiled: {', '.join(compiled) or 'none'}"
            )
        if requested not in supported:
            raise ImportError(
                f"ECSEQ_ISA={requested}: this machine cannot run that level; "
                f"it runs {', '.join(supported)}"
            )
        return requested
    usable = [level for level in compiled if level in supported]
    if not usable:
        raise ImportError(
            f"no build of ecseq runs on this machine: compiled {', '.join(compiled) or 'none'}, "
            f"the machine runs {', '.join(supported)}. Installing from source, "
            "'pip install --no-binary ecseq ecseq', builds for this machine"
        )
    return usable[-1]


def load_core() -> ModuleType:
    return importlib.import_module(f"ecseq._core_{choose_level()}")


def cpu_info() -> CpuInfo:
    """The instruction-set level in use, and the choice there was.

    ``level`` is loaded, ``compiled`` are in this installation, ``available`` are those of them
    that this machine runs. Set the environment variable ``ECSEQ_ISA`` to choose another.
    """
    from ecseq import _core

    compiled = compiled_levels()
    supported = supported_levels()
    return {
        "level": _core.level,
        "available": [level for level in compiled if level in supported],
        "compiled": compiled,
    }
