"""Rows of inference: batches, one sequence, Transformer, threads, denormal numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from measure import Comparison, Effort, Times, fraction_of_limit, interleaved, slowdown, speedup
from models import (
    CELLS,
    full_length,
    onnx_calls,
    onnx_session,
    recurrent_encoder,
    recurrent_module,
    require_equal,
    transformer_encoder,
    transformer_module,
)

SIZES = [(50, 32, 32), (50, 64, 64), (100, 64, 128)]  # events, features, hidden size
GATES = {"lstm": 4, "gru": 3}
SGEMM = 1024
SGEMM_FLOPS = 2.0 * SGEMM**3


def sgemm() -> dict[str, Callable[[], object]]:
    """The machine's limit: a large product, by PyTorch's BLAS and by NumPy's."""
    a, b, out = (torch.rand(SGEMM, SGEMM) for _ in range(3))
    x, y, z = (m.numpy().copy() for m in (a, b, out))
    return {
        "sgemm of torch": lambda: torch.mm(a, b, out=out),
        "sgemm of numpy": lambda: np.matmul(x, y, out=z),
    }


def limit_of(times: dict[str, Times]) -> Times:
    return min((times[name] for name in sgemm()), key=lambda t: t.median)


def events(batch: int, length: int, features: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (batch, length, features)).astype(np.float32)


def batches(effort: Effort, threads: int, quick: bool) -> Iterator[Comparison]:
    for cell in CELLS:
        for batch in [64] if quick else [64, 1000]:
            for length, features, hidden in SIZES:
                module = recurrent_module(cell, features, hidden)
                encoder = recurrent_encoder(module).set_params(num_threads=threads)
                x = events(batch, length, features)
                sequences, tensor = full_length(x), torch.from_numpy(x)
                problem = f"{cell} B {batch}, T {length}, D {features}, H {hidden}"
                with torch.inference_mode():
                    last = module(tensor)[0][:, -1].numpy()
                    require_equal(encoder.transform(sequences), last, problem)
                    times = interleaved(
                        {
                            "ours": lambda e=encoder, s=sequences: e.transform(s),
                            "torch": lambda m=module, t=tensor: m(t),
                            **sgemm(),
                        },
                        effort,
                    )
                flops = 2.0 * batch * length * GATES[cell] * hidden * (features + hidden)
                yield speedup("batch", problem, "PyTorch", times["ours"], times["torch"], 4)
                yield fraction_of_limit(
                    "batch", problem, times["ours"], flops, limit_of(times), SGEMM_FLOPS
                )


def one_sequence(
    effort: Effort, threads: int, library: dict[tuple[str, int, int, int, int], Times]
) -> Iterator[Comparison]:
    """library: our kernel's times as the C++ program measured them, in the same run."""
    length = 50
    for cell in CELLS:
        for size in (32, 64):
            module = recurrent_module(cell, size, size)
            encoder = recurrent_encoder(module).set_params(num_threads=threads)
            x = events(1, length, size)
            sequences, tensor = full_length(x), torch.from_numpy(x)
            by_time = np.ascontiguousarray(x.transpose(1, 0, 2))
            session = onnx_session(module, length, threads)
            problem = f"{cell} B 1, T {length}, D {size}, H {size}"
            with torch.inference_mode():
                last = module(tensor)[0][:, -1].numpy()
                require_equal(encoder.transform(sequences), last, problem)
                require_equal(session.run(["h"], {"x": by_time})[0][0], last, problem + ", ONNX")
                times = interleaved(
                    {
                        "ours": lambda e=encoder, s=sequences: e.transform(s),
                        "torch": lambda m=module, t=tensor: m(t),
                        **onnx_calls(session, by_time),
                    },
                    effort,
                )
            onnx_times = min(
                (times["ONNX Runtime run"], times["ONNX Runtime bound"]), key=lambda t: t.median
            )
            ours = times["ours"]
            yield speedup("one", problem, "ONNX Runtime", ours, onnx_times, 2, "from Python")
            yield speedup("one", problem, "PyTorch", ours, times["torch"], 30, "from Python")
            kernel = library.get((cell, 1, length, size, size))
            if kernel is not None:
                # Measured in another process: no rounds to pair, the medians are compared.
                yield Comparison(
                    "one",
                    problem,
                    "PyTorch",
                    kernel,
                    times["torch"],
                    (times["torch"].median / kernel.median,),
                    30,
                    note="our C++ call",
                )


def transformer(effort: Effort, threads: int) -> Iterator[Comparison]:
    batch, length, width, heads, layers = 64, 50, 64, 4, 2
    module = transformer_module(width, heads, layers)
    encoder = transformer_encoder(module).set_params(num_threads=threads)
    x = events(batch, length, width)
    sequences, tensor = full_length(x), torch.from_numpy(x)
    problem = f"Transformer B {batch}, T {length}, D {width}, {heads} heads, {layers} layers"
    with torch.inference_mode():
        require_equal(encoder.transform(sequences), module(tensor)[:, -1].numpy(), problem)
        times = interleaved(
            {"ours": lambda: encoder.transform(sequences), "torch": lambda: module(tensor)}, effort
        )
    yield speedup("transformer", problem, "PyTorch", times["ours"], times["torch"], 2)


def two_threads(effort: Effort, quick: bool) -> Iterator[Comparison]:
    for cell in CELLS:
        for batch in [64] if quick else [64, 1000]:
            length, features, hidden = 50, 64, 64
            module = recurrent_module(cell, features, hidden)
            one, two = (recurrent_encoder(module).set_params(num_threads=n) for n in (1, 2))
            sequences = full_length(events(batch, length, features))
            problem = f"{cell} B {batch}, T {length}, D {features}, H {hidden}"
            if not np.array_equal(one.transform(sequences), two.transform(sequences)):
                raise SystemExit(f"{problem}: two threads give other bits than one")
            times = interleaved(
                {
                    "two": lambda e=two, s=sequences: e.transform(s),
                    "one": lambda e=one, s=sequences: e.transform(s),
                },
                effort,
            )
            yield speedup(
                "threads", problem, "one thread, ours two", times["two"], times["one"], 1.8
            )


def denormals(effort: Effort, threads: int) -> Iterator[Comparison]:
    """States and products below 1e-38 must not take longer than others."""
    batch, length, features, hidden = 64, 50, 64, 64
    for cell in CELLS:
        module = recurrent_module(cell, features, hidden)
        usual = recurrent_encoder(module).set_params(num_threads=threads)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.mul_(0.0 if name.startswith("bias") else 1e-20)
        tiny = recurrent_encoder(module).set_params(num_threads=threads)
        x = events(batch, length, features)
        sequences, tiny_sequences = full_length(x), full_length(x * np.float32(1e-19))
        times = interleaved(
            {
                "tiny": lambda e=tiny, s=tiny_sequences: e.transform(s),
                "usual": lambda e=usual, s=sequences: e.transform(s),
            },
            effort,
        )
        problem = f"{cell} B {batch}, T {length}, D {features}, H {hidden}, states near 1e-40"
        yield slowdown(
            "denormals", problem, "ours on usual numbers", times["tiny"], times["usual"], 1.1
        )
