"""The command line of ecseq.py: tasks, seeds, and the page made of their figures."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from ecseq_plots import differences
from ecseq_report import Log, section
from ecseq_siblings import SIBLINGS

import ecseq

# In the order of the page; each is a module ecseq_<task>, imported when it is run, because some
# need peers that others do not.
TASKS = ("few_labels", "freshness", "nulls", "paper", "speed")
HEAD = """# What relations are worth

Each table says what its data is, which rows chose options (never the test rows), and compares with
the trained encoder on the same seeds: mean ± sd over seeds, paired differences with 95 %
intervals. Percent where nothing else is said. Made by

```console
$ python benchmarks/compare/ecseq.py --data $ECSEQ_DATA --seeds {seeds} --out docs
```

on {machine}. What was wanted stands under each table, met or not."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="ecseq.py", description="What ECSeq is worth, task by task, as one Markdown page."
    )
    parser.add_argument("--data", default=os.environ.get("ECSEQ_DATA"), help="default: $ECSEQ_DATA")
    parser.add_argument("--seeds", type=int, default=5)
    names = [*TASKS, *SIBLINGS]
    parser.add_argument("--only", nargs="+", metavar="TASK", choices=names, default=names)
    parser.add_argument("--out", type=Path, default=Path("relations-results"), help="a folder")
    parser.add_argument("--resume", action="store_true", help="keep the figures that are there")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data is: --data or the environment variable ECSEQ_DATA")
    if not Path(arguments.data).is_dir():
        parser.error(f"--data: no folder {arguments.data}")
    ecseq.set_num_threads(arguments.threads)

    folder = arguments.out / "relations"
    folder.mkdir(parents=True, exist_ok=True)
    log = Log(folder / "figures.jsonl")
    if not arguments.resume:
        log.forget(arguments.only)
    tasks = [name for name in arguments.only if name in TASKS]
    for task in tasks:
        _run(task, Path(arguments.data), range(arguments.seeds), log)
    for name in arguments.only:
        if name in SIBLINGS:
            SIBLINGS[name].run(
                Path(arguments.data), arguments.seeds, folder, resume=arguments.resume
            )
    page = _page(log, folder)
    (arguments.out / "relations.md").write_text(page)
    print(page)


def _run(task: str, data: Path, seeds: Iterable[int], log: Log) -> None:
    module = importlib.import_module(f"ecseq_{task}")
    done = {(line["task"], line["part"], line["seed"]) for line in log.lines()}
    for part in module.PARTS:
        for seed in seeds:
            if (task, part, seed) in done:
                continue
            begin = time.perf_counter()
            rows = module.run(data, part, seed)
            seconds = time.perf_counter() - begin
            log.add({"task": task, "part": part, "seed": seed, "seconds": seconds, "rows": rows})
            print(f"{task}, {part}, seed {seed}: {seconds:.0f} s", file=sys.stderr, flush=True)


def _page(log: Log, folder: Path) -> str:
    """Of all that the log holds, whichever tasks this run was for."""
    lines = log.lines()
    seeds = max((line["seed"] + 1 for line in lines), default=0)
    out = [HEAD.format(seeds=seeds, machine=_machine())]
    there = {(line["task"], line["part"]) for line in lines}
    for task in TASKS:
        if not any(found == task for found, _ in there):
            continue
        module = importlib.import_module(f"ecseq_{task}")
        out.append(f"## {module.HEADING}")
        for name, part in module.PARTS.items():
            if (task, name) in there:
                figures = log.figures(task, name, part)
                out.append(section(figures))
                picture = folder / f"{task}-{name}.svg"
                getattr(module, "plot", differences)(figures, picture)
                out.append(f"![{part.title}](relations/{picture.name})")
    out += [text for text in (sibling.section(folder) for sibling in SIBLINGS.values()) if text]
    return "\n\n".join(text.strip() for text in out) + "\n"


def _machine() -> str:
    name = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        models = [x for x in cpus.read_text().splitlines() if x.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    return f"{name}, {os.cpu_count()} cores"
