"""The scripts that compare the compressors run from end to end, on tiny problems."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "compare"

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc"
)


def run(script, *arguments):
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def result_lines(folder):
    return json.loads((folder / "compressors.json").read_text())["rows"]


def test_a_compressor_alone_is_measured(tmp_path):
    run("compressors.py", "--quick", "--threads", 1, "--only", "balanced", "--output", tmp_path)
    (line,) = result_lines(tmp_path)
    assert line["status"] == "done"
    assert line["seconds"][0] > 0
    assert line["peak_mb"] > 20_000 * 32 * 4 / 2**20  # its input at least
    assert "balanced" in (tmp_path / "compressors.md").read_text()


def test_a_job_that_takes_too_long_gets_a_line_of_its_own(tmp_path):
    options = ["--quick", "--threads", 1, "--only", "balanced", "--limit-seconds", 1e-6]
    run("compressors.py", *options, "--scratch", made(tmp_path), "--output", tmp_path)
    (line,) = result_lines(tmp_path)
    assert line["status"] == "not finished"
    assert line["met"] is False


def made(folder):
    """The data of the row, which the time limit would not allow."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    np.save(folder / "x-20000-32.npy", rng.standard_normal((20_000, 32), dtype=np.float32))
    np.save(folder / "y-20000-32.npy", rng.integers(0, 2, 20_000))
    return folder


def test_kmeans_reaches_the_objective_of_faiss(tmp_path):
    pytest.importorskip("faiss", reason="faiss-cpu, the peer, is not installed")
    run("compressors.py", "--quick", "--threads", 1, "--only", "kmeans", "--output", tmp_path)
    for line in result_lines(tmp_path):
        assert line["status"] == "done"
        assert line["met"], line["note"]  # same objective, same iterations
        assert line["ratios"][0] > 0


def test_an_ablation_goes_on_where_it_stopped(tmp_path):
    pytest.importorskip("pandas", reason="the data sets are read by pandas")
    pytest.importorskip("matplotlib", reason="the plot is drawn by matplotlib")
    data, output, page = tmp_path / "data", tmp_path / "out", tmp_path / "page.md"
    write_clients(data / "uci_credit_default" / "UCI_Credit_Card.csv.gz")
    page.write_text("before\n<!-- ablation -->\nold\n<!-- end of ablation -->\nafter\n")
    options = ["--quick", "--threads", 1, "--sets", "uci_credit_default", "--data", data]
    options += ["--output", output, "--page", page]
    first = run("ablation.py", *options, "--only", "kmeans")
    assert "kmeans" in first
    both = run("ablation.py", *options, "--only", "kmeans,random")
    assert "random" in both
    assert "| kmeans" not in both

    with (output / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["compressor"] for row in rows] == ["kmeans", "kmeans", "random", "random"]
    for row in rows:
        assert row["status"] == "done"
        assert float(row["reconstruction"]) > 0
        assert 0.5 <= float(row["purity"]) <= 1
        assert 0 <= float(row["mean"]) <= 1
    few, many = (float(row["reconstruction"]) for row in rows[:2])
    assert many < few < 1
    text = page.read_text()
    assert "old" not in text
    assert "| random |" in text
    assert text.endswith("after\n")
    assert (tmp_path / "figures" / "ablation.svg").stat().st_size > 0


def write_clients(path):
    """500 clients with the columns of the public file, who default when they are late."""
    rng = np.random.default_rng(0)
    late = rng.integers(-1, 4, size=(500, 6))
    columns = {
        "ID": np.arange(500),
        "LIMIT_BAL": rng.integers(1, 50, 500) * 10_000,
        "SEX": rng.integers(1, 3, 500),
        "EDUCATION": rng.integers(1, 5, 500),
        "MARRIAGE": rng.integers(1, 4, 500),
        "AGE": rng.integers(21, 70, 500),
        "default.payment.next.month": (late[:, 0] + rng.normal(size=500) > 2).astype(int),
    }
    for i in range(6):
        columns[f"PAY_{i + 1 if i else 0}"] = late[:, i]
        columns[f"BILL_AMT{i + 1}"] = rng.integers(0, 50_000, 500)
        columns[f"PAY_AMT{i + 1}"] = rng.integers(0, 9_000, 500)
    path.parent.mkdir(parents=True)
    import pandas as pd

    pd.DataFrame(columns).to_csv(path, index=False)
