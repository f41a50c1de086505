"""The command line from end to end, on a small table of simulated payments."""

import builtins
import csv
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ecseq
import ecseq.cli
from ecseq.cli.event_files import read_table, table_writer
from ecseq.cli.layout import EventLayout
from ecseq.cli.scoring import score_file
from ecseq.demo.simulator import simulate

COLUMNS = ["card", "terminal", "ts", "amount", "gap_hours", "hour", "fraud"]
FIT = ["--by", "card", "--time", "ts", "--label", "fraud"]
FIT += ["--features", "amount,gap_hours,hour", "--max-epochs", "2", "--window", "6", "--quiet"]


@pytest.fixture
def run(capsys):
    """Run the command; returns (exit code, stdout, stderr)."""

    def command(*arguments):
        with pytest.raises(SystemExit) as left:
            ecseq.cli.main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        code = left.value.code
        return 0 if code is None else code, shown.out, shown.err

    return command


@pytest.fixture(scope="module")
def payments():
    return simulate(seed=2, n_cards=70, n_terminals=40, days=80)[COLUMNS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, payments):
    path = tmp_path_factory.mktemp("cli")
    payments.to_csv(path / "events.csv", index=False)
    payments.to_parquet(path / "events.parquet", index=False)
    with pytest.raises(SystemExit) as left:
        ecseq.cli.main(
            [
                *("fit", str(path / "events.csv"), *FIT, "--entities", "terminal"),
                *("--label-delay", "7d", "--out", str(path / "model.ecseq")),
            ]
        )
    assert left.value.code in (0, None)
    return path


class TestFit:
    def test_prints_base_against_ecseq_and_seconds(self, run, folder, tmp_path):
        out = tmp_path / "m.ecseq"
        code, shown, noted = run("fit", folder / "events.parquet", *FIT, "--out", out)
        assert code == 0
        head = next(line for line in shown.splitlines() if "AUC" in line).split()
        assert head == ["AUC", "AP", "R@P0.9", "log-loss"]
        rows = {line[:20].strip(): line[20:].split() for line in shown.splitlines()}
        for method in ("base encoder", "logistic regression", "small MLP", "ECSeq"):
            assert 0.0 <= float(rows[method][0]) <= 1.0
        assert "seconds" in shown
        assert "encoder" in shown
        assert "split by time" in noted
        assert out.exists()

    def test_model_file_says_how_to_read_events(self, folder):
        model = ecseq.load(folder / "model.ecseq")
        layout = EventLayout.of(model, "model.ecseq")
        assert layout.by == "card"
        assert layout.time == "ts"
        assert layout.features == ("amount", "gap_hours", "hour")
        assert layout.entities == ("terminal",)
        assert (layout.window, layout.per) == (6, "event")
        assert layout.id_types == {"card": "string", "terminal": "string"}

    def test_text_columns_are_categories_for_any_cell(self, run, payments, tmp_path):
        hours = payments["hour"].astype(int) // 6
        table = payments.assign(part=hours.map({0: "night", 1: "morning", 2: "day", 3: "evening"}))
        table.to_csv(tmp_path / "events.csv", index=False)
        out = tmp_path / "m.ecseq"
        arguments = [*FIT, "--features", "amount,part", "--cell", "transformer", "--out", out]
        code, _, noted = run("fit", tmp_path / "events.csv", *arguments)
        assert code == 0, noted
        model = ecseq.load(out)
        assert model.encoder_.cell == "transformer"
        assert set(model.encoder_.categories_) == {"part"}
        # Pieces of a file hold other categories in other orders.
        layout = EventLayout.of(model, "m.ecseq")
        scores = []
        for rows in (7, 10**6):
            scored = tmp_path / f"scores{rows}.parquet"
            score_file(model, layout, tmp_path / "events.csv", scored, piece_rows=rows)
            scores.append(pq.read_table(scored))
        assert scores[0].equals(scores[1])

    def test_same_seed_same_model(self, run, folder, tmp_path):
        arguments = ["fit", folder / "events.csv", *FIT, "--entities", "terminal"]
        arguments += ["--label-delay", "7d", "--threads", "1", "--out", tmp_path / "again.ecseq"]
        assert run(*arguments)[0] == 0
        table = read_table(folder / "events.csv", ["card", "ts", "amount", "gap_hours", "hour"])
        assert table.num_rows > 0
        scores = []
        for path in (folder / "model.ecseq", tmp_path / "again.ecseq"):
            model = ecseq.load(path)
            layout = EventLayout.of(model, path)
            score_file(model, layout, folder / "events.csv", tmp_path / "s.parquet")
            scores.append(pq.read_table(tmp_path / "s.parquet")["score"].to_numpy())
        np.testing.assert_array_equal(scores[0], scores[1])

    def test_user_labels_regression_without_time(self, run, payments, tmp_path):
        level = payments.groupby("card")["amount"].transform("mean").round(4) + 0.123
        payments.assign(level=level).to_csv(tmp_path / "users.csv", index=False)
        code, shown, noted = run(
            *("fit", tmp_path / "users.csv", "--by", "card", "--label", "level"),
            *("--features", "amount,hour", "--out", tmp_path / "m.ecseq"),
            *("--max-epochs", 2, "-q"),
        )
        assert code == 0, noted
        assert "one sequence per user" in noted
        assert "split by random cards" in noted
        assert "RMSE" in shown
        assert "linear regression" in shown
        code, shown, _ = run(
            *("score", tmp_path / "m.ecseq", tmp_path / "users.csv"),
            *("--out", tmp_path / "s.csv", "--rows", 500, "-q"),
        )
        assert code == 0
        scores = pd.read_csv(tmp_path / "s.csv")
        assert len(scores) == payments["card"].nunique()
        assert scores["card"].is_unique
        assert np.isfinite(scores["score"]).all()

    def test_several_text_classes(self, run, payments, tmp_path):
        size = pd.cut(payments["amount"], [0, 15, 40, 1e9], labels=["small", "medium", "large"])
        payments.assign(size=size.astype(str)).to_parquet(tmp_path / "events.parquet")
        code, shown, noted = run(
            *("fit", tmp_path / "events.parquet", "--by", "card", "--time", "ts"),
            *("--label", "size", "--features", "amount,hour", "--max-epochs", 2, "-q"),
            *("--out", tmp_path / "m.ecseq"),
        )
        assert code == 0, noted
        assert "macro F1" in shown
        run("score", tmp_path / "m.ecseq", tmp_path / "events.parquet", "--out", tmp_path / "s.csv")
        with (tmp_path / "s.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {row["prediction"] for row in rows} <= {"small", "medium", "large"}
        total = sum(float(rows[0][f"score_{name}"]) for name in ("small", "medium", "large"))
        assert total == pytest.approx(1.0, abs=1e-5)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--by", "card"], "--label"),
            ([*FIT, "--split", "sideways"], "sideways"),
            ([*FIT, "--label-delay", "a week"], "--label-delay"),
            ([*FIT, "--test-fraction", "1.5"], "--test-fraction"),
            (["--by", "card", "--label", "fraud", "--split", "time"], "--time"),
            ([*FIT, "--entities", "terminal", "--split", "random"], "--split"),
            (["--by", "card", "--label", "hour", "--features", "hour"], "--label"),
            ([*FIT, "--no-such-option"], "--no-such-option"),
        ],
    )
    def test_wrong_usage_exits_2(self, run, folder, arguments, words):
        code, _, noted = run("fit", folder / "events.csv", *arguments)
        assert code == 2
        assert words in noted

    def test_missing_column_lists_the_columns(self, run, folder, tmp_path):
        code, _, noted = run(
            *("fit", folder / "events.csv", "--by", "client", "--label", "fraud"),
            *("--out", tmp_path / "m.ecseq"),
        )
        assert code == 1
        assert "no column 'client'" in noted
        assert all(repr(name) in noted for name in COLUMNS)
        assert not (tmp_path / "m.ecseq").exists()

    def test_bad_value_names_row_and_column(self, run, payments, tmp_path):
        payments.assign(amount=payments["amount"].where(payments.index != 7)).to_csv(
            tmp_path / "events.csv", index=False
        )
        code, _, noted = run("fit", tmp_path / "events.csv", *FIT, "--out", tmp_path / "m.ecseq")
        assert code == 1
        assert "row 7" in noted
        assert "'amount'" in noted
        assert "Traceback" not in noted

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("empty.csv", ""),
            ("broken.parquet", "PAR1"),
            ("head.csv", "card,ts,amount,gap_hours,hour,fraud\n"),
        ],
    )
    def test_no_events_is_said(self, run, tmp_path, name, content):
        (tmp_path / name).write_text(content)
        code, _, noted = run("fit", tmp_path / name, *FIT, "--out", tmp_path / "m.ecseq")
        assert code == 1
        assert name in noted

    def test_one_class_is_said(self, run, payments, tmp_path):
        payments.assign(fraud=0).to_csv(tmp_path / "events.csv", index=False)
        code, _, noted = run("fit", tmp_path / "events.csv", *FIT, "--out", tmp_path / "m.ecseq")
        assert code == 1
        assert "one value only" in noted

    def test_interrupt_exits_130(self, run, folder, monkeypatch):
        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr("ecseq.cli.app.fit_events", interrupted)
        code, _, noted = run("fit", folder / "events.csv", *FIT)
        assert code == 130
        assert "Traceback" not in noted


class TestScore:
    def scores(self, folder, events, out, rows=10**6):
        model = ecseq.load(folder / "model.ecseq")
        layout = EventLayout.of(model, "model.ecseq")
        score_file(model, layout, events, out, piece_rows=rows)
        return pq.read_table(out)

    @pytest.mark.parametrize("rows", [1, 97, 1000])
    def test_pieces_do_not_change_scores(self, folder, payments, tmp_path, rows):
        events = tmp_path / "some.parquet"
        payments.head(400 if rows == 1 else len(payments)).to_parquet(events)
        whole = self.scores(folder, events, tmp_path / "whole.parquet")
        pieces = self.scores(folder, events, tmp_path / "pieces.parquet", rows)
        assert whole.equals(pieces)

    def test_scores_are_those_of_the_estimator(self, run, folder, payments, tmp_path):
        out = tmp_path / "scores.csv"
        code, shown, _ = run(
            "score", folder / "model.ecseq", folder / "events.csv", "--out", out, "--rows", 300
        )
        assert code == 0
        assert f"{len(payments):,} scores" in shown
        model = ecseq.load(folder / "model.ecseq")
        windows = ecseq.Sequences.from_frame(
            payments,
            by="card",
            time="ts",
            features=["amount", "gap_hours", "hour"],
            entities=["terminal"],
        ).windows(6)
        expected = np.empty(len(payments))
        expected[windows.end_rows] = model.predict_proba(windows)[:, 1]
        written = pd.read_csv(out)
        assert written["card"].tolist() == payments["card"].tolist()
        np.testing.assert_allclose(written["score"], expected, rtol=0, atol=1e-12)

    def test_late_events_are_refused_and_nothing_is_left(self, run, folder, payments, tmp_path):
        payments.iloc[::-1].to_csv(tmp_path / "back.csv", index=False)
        out = tmp_path / "scores.csv"
        code, _, noted = run(
            "score", folder / "model.ecseq", tmp_path / "back.csv", "--out", out, "--rows", 200
        )
        # CSV comes in blocks of 8 MB, so these rows are one group, which is sorted.
        assert code == 0, noted
        payments.iloc[::-1].to_parquet(tmp_path / "back.parquet")
        out.unlink()
        code, _, noted = run(
            "score", folder / "model.ecseq", tmp_path / "back.parquet", "--out", out, "--rows", 200
        )
        assert code == 1
        assert "earlier than one of a previous group" in noted
        assert list(tmp_path.glob("scores*")) == []

    def test_identifiers_keep_their_kind(self, tmp_path):
        (tmp_path / "e.csv").write_text("card,x\n007,1\n8,2\n")
        table = read_table(tmp_path / "e.csv", ["card", "x"], {"card": pa.string()})
        assert table["card"].to_pylist() == ["007", "8"]

    def test_other_file_names_are_refused(self, run, folder, tmp_path):
        code, _, noted = run(
            "score", folder / "model.ecseq", folder / "events.csv", "--out", tmp_path / "s.xlsx"
        )
        assert code == 1
        assert ".csv or .parquet" in noted

    def test_missing_file_and_foreign_model(self, run, folder, tmp_path):
        out = tmp_path / "s.csv"
        code, _, noted = run("score", folder / "model.ecseq", tmp_path / "no.csv", "--out", out)
        assert (code, "no.csv" in noted) == (1, True)
        code, _, noted = run("score", folder / "events.csv", folder / "events.csv", "--out", out)
        assert code == 1
        assert "events.csv" in noted

    def test_a_model_without_layout_is_refused(self, run, folder, tmp_path):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 4)).astype(np.float32)
        model = ecseq.ECSeqClassifier(max_epochs=2).fit(x, (x[:, 0] > 0).astype(int))
        model.save(tmp_path / "plain.ecseq")
        code, _, noted = run(
            *("score", tmp_path / "plain.ecseq", folder / "events.csv"),
            *("--out", tmp_path / "s.csv"),
        )
        assert code == 1
        assert "does not say how its events are laid out" in noted

    def test_writer_leaves_nothing_after_a_failure(self, tmp_path):
        def fail_halfway():
            with table_writer(tmp_path / "t.csv") as append:
                append(pa.table({"a": [1]}))
                raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            fail_halfway()
        assert list(tmp_path.iterdir()) == []


class TestExplainAndInspect:
    def test_explains_a_row_in_words(self, run, folder, payments):
        row = len(payments) - 5
        code, shown, noted = run(
            "explain", folder / "model.ecseq", folder / "events.csv", "--row", row, "--top", 2
        )
        assert code == 0, noted
        assert payments["terminal"].iloc[row] in shown
        assert f"card {payments['card'].iloc[row]}" in shown
        last = shown.rstrip().splitlines()[-1]
        assert str(payments["ts"].iloc[row]) in last

    def test_user_is_explained_by_the_last_event(self, run, folder, payments):
        card = payments["card"].iloc[0]
        row = int(np.flatnonzero(payments["card"] == card)[-1])
        arguments = ("explain", folder / "model.ecseq", folder / "events.parquet")
        assert run(*arguments, "--user", card)[1] == run(*arguments, "--row", row)[1]

    def test_unknown_user_and_row(self, run, folder):
        arguments = ("explain", folder / "model.ecseq", folder / "events.csv")
        assert run(*arguments, "--user", "nobody")[0] == 1
        code, _, noted = run(*arguments, "--row", 10**9)
        assert code == 1
        assert "expected 0 to" in noted
        assert run(*arguments)[0] == 2

    def test_inspect_says_what_is_in_the_file(self, run, folder):
        code, shown, _ = run("inspect", folder / "model.ecseq", "--tensors")
        assert code == 0
        for words in (
            "ECSeqClassifier",
            "binary",
            "lstm, hidden size 32, 3 features",
            "by similarity",
            "entity 'terminal': memory 24, label delay 7 days",
            "amount, gap_hours, hour",
            "on the validation part",
        ):
            assert words in shown

    def test_inspect_of_something_else(self, run, folder):
        code, _, noted = run("inspect", folder / "events.csv")
        assert code == 1
        assert "Traceback" not in noted


class TestProgram:
    @pytest.mark.parametrize("command", ["fit", "score", "explain", "inspect", "demo"])
    def test_help_has_examples(self, run, command):
        code, shown, _ = run(command, "--help")
        assert code == 0
        assert "Examples" in shown
        assert f"ecseq {command} " in shown.split("Examples")[1]

    def test_version(self, run):
        assert run("--version")[:2] == (0, f"ecseq {ecseq.__version__}\n")

    def test_missing_extra_says_how_to_install(self, run, monkeypatch):
        real = builtins.__import__

        def without_typer(name, *rest, **named):
            if name.split(".")[0] == "typer":
                raise ModuleNotFoundError("No module named 'typer'", name="typer")
            return real(name, *rest, **named)

        for name in [n for n in sys.modules if n.split(".")[0] == "typer"] + ["ecseq.cli.app"]:
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(ecseq.cli, "app", raising=False)
        monkeypatch.setattr(builtins, "__import__", without_typer)
        with pytest.raises(ImportError, match=r"pip install 'ecseq\[cli\]'"):
            ecseq.cli.__getattr__("app")
        code, _, noted = run("--version")
        assert code == 1
        assert "pip install 'ecseq[cli]'" in noted

    def test_plain_lines_when_not_on_a_terminal(self, folder, tmp_path):
        arguments = [argument for argument in FIT if argument != "--quiet"]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ecseq.cli", "fit", str(folder / "events.csv")),
                *(*arguments, "--out", str(tmp_path / "m.ecseq")),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "encoder" in done.stderr
        assert "\x1b" not in done.stderr + done.stdout
        assert "\r" not in done.stderr

    def test_bars_on_a_terminal(self, folder, tmp_path):
        pty = pytest.importorskip("pty")
        main_end, terminal = pty.openpty()
        arguments = [argument for argument in FIT if argument != "--quiet"]
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "ecseq.cli", "fit", str(folder / "events.csv")),
                *(*arguments, "--out", str(tmp_path / "m.ecseq")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm-256color"},
        ) as program:
            os.close(terminal)
            drawn = b""
            try:
                while piece := os.read(main_end, 65536):
                    drawn += piece
            except OSError:  # how Linux says that the other end is closed
                pass
            os.close(main_end)
            shown = program.stdout.read()
        assert program.returncode == 0, drawn
        assert b"ECSeq" in shown
        assert b"encoder" in drawn
        assert b"\x1b[" in drawn

    def test_demo_writes_its_report(self, run, tmp_path, monkeypatch):
        small = ecseq.demo.run.DemoOptions(
            out=tmp_path / "demo", n_seeds=1, n_cards=80, n_terminals=40, max_epochs=2
        )
        monkeypatch.setattr(
            ecseq.demo.run.DemoOptions, "quick", classmethod(lambda cls, *rest: small)
        )
        code, shown, noted = run("demo", "--quick")
        assert code == 0, noted
        page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
        assert "This data is simulated" in page
        assert page.count('<article class="case">') == 3
        with (tmp_path / "demo" / "results.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4
        assert "report.html" in shown
