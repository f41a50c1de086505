"""Latencies of scoring with ecseq, PyTorch and ONNX Runtime, turn by turn on one pinned core.

    python serving.py --users 100000 --rounds 3 --page docs/serving-speed.md

One model is fitted with ecseq; the peers compute the same from the numbers in its file, which is
checked before anything is timed. README.md says how.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime
import page
import serving_model
import serving_report
import torch
from models import require_equal
from numpy.typing import NDArray
from serving_model import COMPARED, LENGTH, MODELS, USERS, histories, path_of
from serving_peers import Peer, peers
from serving_report import OURS
from serving_timing import Latency, Program, pin, rate, single_events, whole_sequences
from serving_torch import Batch, ModelFile

import ecseq

PROGRAM = Path(__file__).parents[2] / "build/release/benchmarks/serving_bench"
BATCH = 20_000  # as serving_bench.cpp has it
AT_ONCE = 1000  # of those, in PyTorch: more or fewer are slower
WHOLE, EVENT = "WholeSequence/{}_{}", "OneEvent/{}"
OTHERS = {
    "GraphSAGE, K 5000": WHOLE.format("sage_mean", 5000),
    "GAT": WHOLE.format("gat", 500),
    "attention": WHOLE.format("attention", 500),
}
OTHER_EVENTS = {
    "GraphSAGE, among a million resident users": "OneEventOfAMillionUsers",
    "GAT": EVENT.format("gat"),
    "attention": EVENT.format("attention"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--users",
        type=int,
        default=USERS,
        help=f"requests per peer and round, each of another user, at most {USERS}; "
        "ours always are that many",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0, help="where single requests are timed")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="serving_bench")
    parser.add_argument(
        "--avx2-program", type=Path, help="serving_bench of a build with ECSEQ_ARCH=x86-64-v3"
    )
    parser.add_argument("--page", type=Path, help="where the tables go, between its comments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all that was measured")
    arguments = parser.parse_args()
    if not 1 <= arguments.users <= USERS:
        parser.error(f"--users: expected 1 to {USERS}, got {arguments.users}")
    return arguments


def require_same_scores(
    programs: list[Program],
    others: list[Peer],
    events: NDArray[np.float32],
    expected: dict[tuple[str, int], NDArray[np.float32]],
) -> None:
    """Whole sequences and events one by one, against the estimator."""
    for program in programs:
        program.write_scores()
        for model in MODELS:
            both = np.fromfile(path_of(program.models, model, "scores.f32"), np.float32)
            for way, scores in zip(("whole", "events"), both.reshape(-1, 2).T, strict=True):
                require_equal(scores, expected[model], f"{program.path}, {model}, {way}")
    for peer in others:
        users = 100
        whole, stepwise = np.empty(users, np.float32), np.empty(users, np.float32)
        for user in range(users):
            rows = serving_model.history(events, user)
            whole[user] = peer.whole(peer.history(rows))
            state = peer.start()
            for t in range(LENGTH):
                stepwise[user], state = peer.step(peer.event(rows[t : t + 1]), state)
        require_equal(whole, expected[COMPARED][:users], f"{peer.name}, whole")
        require_equal(stepwise, expected[COMPARED][:users], f"{peer.name}, events")


def batch_rates(path: Path, events: NDArray[np.float32], threads: int) -> dict[str, float]:
    """Of PyTorch, sequences per second."""
    x = torch.from_numpy(histories(events, BATCH)).split(AT_ONCE)
    eager = Batch(ModelFile(path)).eval()
    with torch.no_grad():
        script = torch.jit.freeze(torch.jit.trace(eager, x[0]))
    torch.set_num_threads(threads)
    with torch.inference_mode():
        rates = {
            name: rate(lambda m=module: [m(part) for part in x], BATCH)
            for name, module in (("eager", eager), ("TorchScript", script))
        }
    torch.set_num_threads(1)
    return {f"PyTorch, {name}": value for name, value in rates.items()}


def machine(program: Program, load: float) -> list[str]:
    model = [
        x.split(":")[1].strip()
        for x in Path("/proc/cpuinfo").read_text().splitlines()
        if x.startswith("model name")
    ]
    built = program.context()
    return [
        f"{model[0] if model else platform.processor()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}, load {load:.2f} before the start",
        f"ecseq {ecseq.__version__}, compiler {built['compiler']}, "
        f"{built['floats per vector']} floats per vector; PyTorch {torch.__version__} "
        f"({torch.backends.cpu.get_cpu_capability()}), ONNX Runtime {onnxruntime.__version__}, "
        f"Python {platform.python_version()}",
        f"{time.strftime('%Y-%m-%d')}: "
        f"`python benchmarks/compare/{' '.join(['serving.py', *sys.argv[1:]])}`",
    ]


def tables(
    about: list[str],
    arguments: argparse.Namespace,
    latencies: dict[str, dict[str, list[Latency]]],
    rates: dict[int, dict[str, list[float]]],
) -> str:
    whole, event = latencies[WHOLE.format(*COMPARED)], latencies[EVENT.format(COMPARED[0])]
    own = [
        {"GraphSAGE": measured[OURS]}
        | {name: latencies[case][OURS] for name, case in cases.items()}
        for measured, cases in ((whole, OTHERS), (event, OTHER_EVENTS))
    ]
    parts = [
        "\n".join(f"- {line}" for line in about)
        + f"\n- {arguments.rounds} rounds of {arguments.users:,} requests per peer, "
        f"{USERS:,} or more of our program: median (smallest..largest) of the rounds; ratios are "
        "taken round by round",
        "A whole sequence of 50 events, read and scored:",
        serving_report.latencies("whole sequence", whole, whole[OURS]),
        "One event more and a new score, the state being kept:",
        serving_report.latencies("one event", event, event[OURS]),
        "Other models of ours, the same way; a whole sequence:",
        serving_report.latencies(OURS, own[0], whole[OURS]),
        "and one event:",
        serving_report.latencies(OURS, own[1], event[OURS]),
    ]
    for threads, measured in sorted(rates.items()):
        parts.append(f"{BATCH:,} sequences at once, {threads} thread{'s' if threads > 1 else ''}:")
        parts.append(serving_report.batches(measured, measured[OURS]))
    return "\n\n".join(parts)


def main() -> None:
    arguments = parse()
    load = os.getloadavg()[0]
    torch.set_num_threads(1)
    all_cores = os.sched_getaffinity(0)
    latencies: dict[str, dict[str, list[Latency]]] = defaultdict(lambda: defaultdict(list))
    rates: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        events, expected = serving_model.write(folder)
        ours = Program(arguments.program, folder)
        programs = {OURS: ours}
        if arguments.avx2_program:
            programs["ecseq, C++, AVX2"] = Program(arguments.avx2_program, folder)
        others = peers(path_of(folder, COMPARED), LENGTH)
        require_same_scores(list(programs.values()), others, events, expected)
        about = machine(ours, load)
        print("\n".join(about), flush=True)
        order = np.random.default_rng(3).permutation(USERS)[: arguments.users].tolist()
        for number in range(arguments.rounds):
            pin([arguments.core])
            for side, program in programs.items():
                for case, latency in program.latencies().items():
                    latencies[case][side].append(latency)
            for peer in others:
                latencies[WHOLE.format(*COMPARED)][peer.name].append(
                    whole_sequences(peer, events, order)
                )
                latencies[EVENT.format(COMPARED[0])][peer.name].append(
                    single_events(peer, events, order)
                )
            pin(all_cores)
            for threads, value in ours.batches().items():
                rates[threads][OURS].append(value)
                for side, other in batch_rates(path_of(folder, COMPARED), events, threads).items():
                    rates[threads][side].append(other)
            print(f"round {number + 1} of {arguments.rounds} done", flush=True)

    text = tables(about, arguments, latencies, rates)
    print(text)
    if arguments.page:
        page.insert(arguments.page, "serving speed", text)
    if arguments.json:
        everything = {"machine": about, "latencies": latencies, "sequences_per_second": rates}
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
