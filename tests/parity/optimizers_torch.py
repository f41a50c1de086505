"""Writes golden/optimizers.txt: the weights of a logistic regression, epoch by epoch, under torch's
optimisers and schedules.

    python tests/parity/optimizers_torch.py tests/parity/golden

As recurrent_torch.py. Every epoch is one step on all samples. The plateau schedule is told the
validation scores in SCORES; torch's patience is one less than ours, because it counts the epochs
it waits before the one that changes the rate.
"""

import sys
from pathlib import Path

import torch
from recurrent_torch import Rng, write

SAMPLES, FEATURES, EPOCHS = 24, 5, 40
RATE, DECAY, MOMENTUM = 0.05, 0.1, 0.9
# Of epochs 0, 1, ...: better until the 6th, again in the 15th, then never more.
SCORES = [min(epoch, 6) + (epoch >= 15) for epoch in range(EPOCHS)]

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=RATE, weight_decay=DECAY),
    "adamw": lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=DECAY),
    "sgd": lambda p: torch.optim.SGD(p, lr=RATE, weight_decay=DECAY, momentum=MOMENTUM),
    "sgd_plain": lambda p: torch.optim.SGD(p, lr=RATE),
}
SCHEDULES = {
    "constant": lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(
        o, mode="max", factor=0.5, patience=1, threshold=0.0, min_lr=1e-3 * RATE
    ),
}


def case(out, optimizer_name, schedule_name):
    rng = Rng(1)
    x = torch.from_numpy(rng.matrix(SAMPLES, FEATURES, 2.0)).double()
    y = torch.from_numpy(rng.matrix(SAMPLES, 1, 1.0) > 0).double()
    weight = torch.from_numpy(rng.matrix(FEATURES, 1, 1.0)).double().requires_grad_()
    bias = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS[optimizer_name]([weight, bias])
    schedule = SCHEDULES[schedule_name](optimizer)
    weights, rates = [], []
    for epoch in range(EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(x @ weight + bias, y).backward()
        optimizer.step()
        weights += [*weight.detach().ravel().tolist(), bias.item()]
        schedule.step(*([SCORES[epoch]] if schedule_name == "plateau" else []))
    write(out, f"{optimizer_name}.{schedule_name}.weights", weights)
    write(out, f"{optimizer_name}.{schedule_name}.rates", rates)


def main():
    with open(Path(sys.argv[1]) / "optimizers.txt", "w", encoding="ascii") as out:
        for optimizer in OPTIMIZERS:
            for schedule in SCHEDULES:
                case(out, optimizer, schedule)


if __name__ == "__main__":
    main()
