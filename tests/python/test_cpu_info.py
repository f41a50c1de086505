"""The choice among the builds of the extension module."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import ecseq
from ecseq import _cpu, _dispatch

LEVELS = ["v1", "v2", "v3", "v4"]

# What the x86-64 psABI asks of each level, by the names of /proc/cpuinfo.
FLAGS = {
    "v2": "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    "v3": "avx avx2 bmi1 bmi2 f16c fma abm movbe",
    "v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
}


def import_with(isa: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import ecseq; print(ecseq.cpu_info()['level'])"],
        env={**os.environ, "ECSEQ_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(), reason="x86-64 Linux"
)
def test_probe_agrees_with_the_kernel() -> None:
    flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split())
    expected = "v1"
    for level, needed in FLAGS.items():
        if not set(needed.split()) <= flags:
            break
        expected = level
    assert _cpu.level() == expected


def test_best_available_level_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECSEQ_ISA", raising=False)
    info = ecseq.cpu_info()
    assert set(info["available"]) <= set(info["compiled"])
    assert _dispatch.choose_level() == info["available"][-1]


def test_every_available_level_can_be_asked_for() -> None:
    for level in ecseq.cpu_info()["available"]:
        result = import_with(level)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip() == level


def test_unknown_level_is_refused_and_the_compiled_ones_are_named() -> None:
    result = import_with("v9")
    assert result.returncode != 0
    assert "ImportError: ECSEQ_ISA=v9" in result.stderr
    for level in ecseq.cpu_info()["compiled"]:
        assert level in result.stderr


def test_level_the_machine_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cpu, "level", lambda: "v2")
    monkeypatch.setattr(_dispatch, "compiled_levels", lambda: ["v2", "v4"])
    monkeypatch.setenv("ECSEQ_ISA", "v4")
    with pytest.raises(ImportError, match="cannot run that level; it runs v1, v2"):
        _dispatch.choose_level()
    monkeypatch.delenv("ECSEQ_ISA")
    assert _dispatch.choose_level() == "v2"
    monkeypatch.setattr(_cpu, "level", lambda: "v1")
    with pytest.raises(ImportError, match="compiled v2, v4, the machine runs v1"):
        _dispatch.choose_level()


def test_classes_and_functions_keep_one_module_name() -> None:
    from ecseq import _core

    assert _core.__name__ == "ecseq._core"
    assert _core.level in LEVELS or _core.level == "base"
    assert sys.modules["ecseq._core"] is _core
