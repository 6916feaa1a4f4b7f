"""Trials together against trials alone: trials a second, in one process, on a CPU core or a GPU.

    python tests/benchmarks/fused.py --model mlp
    python tests/benchmarks/fused.py --model cnn --sizes 1,2,4,8
    python tests/benchmarks/fused.py --device cuda         # both models, K = 1, 8, 64, 256

Prints how many times as many trials a second trains in a program of K as through torch's own
modules, one after another: ratios of medians over rounds in alternation. Behind each ratio stands
the share that useful arithmetic has of the rate of the fastest float32 matrix product measured on
the same device. Seconds are of CPU time on a CPU, by the clock on a GPU, once it has done its work.
Inputs are noise as large as the digits (MLP) and as Fashion-MNIST (CNN): only the size costs time.

Needs torch, numpy and annotated-types, the nnsearch of this checkout on the path (PYTHONPATH=.),
and neither Optuna nor MLflow.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnsearch.study.spec import Component, Objective, TrialSpec
from nnsearch.tasks.classification import classification
from nnsearch.training.devices import device_of, free
from nnsearch.training.evaluate import forward
from nnsearch.training.fit import build_model, fit, prepare
from nnsearch.training.fit_many import fit_many
from nnsearch.training.group import make_group
from nnsearch.training.material import Material
from nnsearch.training.memory import needed

OBJECTIVE = Objective("accuracy", "maximize")
GO_ON = True
SHAPES = {
    "mlp": [{"depth": 1, "width": 32}, {"depth": 2, "width": 64}, {"depth": 3, "width": 128}],
    "cnn": [{"depth": 2, "channels": 4}, {"depth": 2, "channels": 16}, {"depth": 3, "channels": 8}],
}
ROWS = {"mlp": (1150, 1, 8, 8), "cnn": (1500, 1, 28, 28)}
NUM_VALID = 288
NUM_CLASSES = 10
SIZES = {"cpu": "1,2,4,8,16", "cuda": "1,8,64,256"}
SIDES = {"cpu": (256, 512, 1024), "cuda": (2048, 4096, 8192)}
PRODUCTS = 20  # of each side


class Ground(NamedTuple):
    """A trial with its data, its useful floating-point operations, and the device's best rate."""

    trial: TrialSpec
    material: Material
    num_operations: float
    rate: float


def main() -> None:
    """Measure every shape with every optimizer and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--device", choices=list(SIZES), default="cpu")
    parser.add_argument("--sizes", default="", help="such as 1,8,64")
    parser.add_argument("--optimizers", default="adam,sgd,rmsprop")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", type=int, default=3, help="the first so many of each model")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(device_of(given.device))
    sizes = [int(each) for each in (given.sizes or SIZES[given.device]).split(",")]
    rate = fastest_product(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "one CPU core"
    tell(f"{name}, torch {torch.__version__}: {rate / 1e9:.0f} GFLOP/s in matrix products\n")
    tell("| model | shape | optimizer | alone, s | " + " | ".join(f"K = {k}" for k in sizes) + " |")
    tell("|---" * (len(sizes) + 4) + "|")
    for model in SHAPES if given.model == "both" else [given.model]:
        material = noise(ROWS[model], device)
        for options in SHAPES[model][: given.shapes]:
            for optimizer in given.optimizers.split(","):
                trial = trial_of(Component(model, {"dropout": 0.2, **options}), optimizer, given)
                ground = Ground(trial, material, operations(trial, material), rate)
                cells = row(ground, sizes, given.rounds)
                shape = " x ".join(map(str, options.values()))
                tell(f"| {model} | {shape} | {optimizer} | " + " | ".join(cells) + " |")


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def trial_of(model: Component, optimizer: str, given: argparse.Namespace) -> TrialSpec:
    """A trial of so many epochs on the device that is asked for."""
    return TrialSpec(
        number=0,
        seed=0,
        params={},
        task=Component("classification"),
        model=model,
        optimizer=Component(optimizer, {"lr": 0.003}),
        schedule=Component("constant"),
        training=Component("recipe", {"epochs": given.epochs, "device": given.device}),
        transforms=(),
    )


def noise(shape: tuple[int, ...], device: torch.device) -> Material:
    """Images of ten classes, alike in nothing; resident on the device."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    inputs = drawn.to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(shape[0]) % NUM_CLASSES
    raw, targets = labels[:NUM_VALID].numpy(), labels.to(device)
    valid = inputs[:NUM_VALID].clone()
    task = classification(labels.numpy())
    return Material(task, nn.Sequential(), inputs, targets, valid, targets[:NUM_VALID], raw)


def operations(trial: TrialSpec, material: Material) -> float:
    """Floating-point operations of a training: forward, backward, and each epoch's evaluation."""
    model = build_model(trial, material, Path())
    chosen = trial.training.options["epochs"]
    rows = material.train[:64]
    with FlopCounterMode(display=False) as learned:
        material.task.losses(model(rows), material.train_targets[:64]).mean().backward()
    with FlopCounterMode(display=False) as judged:
        forward(model, material.valid)
    whole = len(material.train) / len(rows) * learned.get_total_flops()
    return float(chosen * (whole + judged.get_total_flops()))


def fastest_product(device: torch.device) -> float:
    """Operations a second of the fastest square float32 product."""
    best = 0.0
    for side in SIDES[device.type]:
        left, right = (torch.randn(side, side, device=device) for _ in range(2))
        with timed(device, []):  # warms up
            torch.mm(left, right)
        for _ in range(PRODUCTS):
            seconds: list[float] = []
            with timed(device, seconds):
                torch.mm(left, right)
            best = max(best, 2 * side**3 / seconds[0])
    return best


def row(ground: Ground, sizes: Sequence[int], rounds: int) -> list[str]:
    """Seconds of a trial alone, then for each K how many times as fast it is in company.

    A K whose trials the device has no memory for is left out.
    """
    device = ground.material.train.device
    fitting = [size for size in sizes if needed(*together(ground, size)) < 0.9 * free(device)]
    alone: list[float] = []
    fused: dict[int, list[float]] = {size: [] for size in fitting}
    for index in range(rounds + 1):
        taken = [seconds_of(device, lambda: train_alone(ground))]
        taken += [seconds_of(device, lambda k=k: train_together(ground, k)) / k for k in fitting]  # type: ignore[misc]
        if index:  # the first round warms up
            alone.append(taken[0])
            for size, each in zip(fitting, taken[1:], strict=True):
                fused[size].append(each)
    best = ground.rate / ground.num_operations  # trials a second, were there nothing but products
    told = {
        size: f"{median(alone) / median(each):.2f} ({1 / median(each) / best:.1%})"
        for size, each in fused.items()
    }
    share = 1 / median(alone) / best
    return [f"{median(alone):.3f} ({share:.1%})", *(told.get(size, "too large") for size in sizes)]


def together(ground: Ground, size: int) -> tuple[list[TrialSpec], Any, Path]:
    """`size` trials, each with a rate and a seed of its own, and where they train."""
    trials = [
        replace(ground.trial, number=n, seed=n, optimizer=_slower(ground.trial.optimizer, n))
        for n in range(size)
    ]
    return trials, lambda _: ground.material, Path()


def train_alone(ground: Ground) -> None:
    """One trial through torch's own modules."""
    pupil = prepare(ground.trial, ground.material, Path())
    _to_the_end(fit(pupil, OBJECTIVE, ground.trial.number), GO_ON)


def train_together(ground: Ground, size: int) -> None:
    """`size` trials in one program."""
    _to_the_end(fit_many(make_group(*together(ground, size)), OBJECTIVE), ())


def _to_the_end(run: Any, answer: object) -> None:
    try:
        next(run)
        while True:
            run.send(answer)
    except StopIteration:
        return


def seconds_of(device: torch.device, work: Callable[[], None]) -> float:
    """Of CPU time on a CPU, by the clock on a GPU."""
    seconds: list[float] = []
    with timed(device, seconds):
        work()
    return seconds[0]


@contextmanager
def timed(device: torch.device, found: list[float]) -> Iterator[None]:
    """Append the seconds within it."""
    is_cpu = device.type == "cpu"
    clock = time.process_time if is_cpu else time.perf_counter
    if not is_cpu:
        torch.cuda.synchronize(device)
    start = clock()
    yield
    if not is_cpu:
        torch.cuda.synchronize(device)
    found.append(clock() - start)


def _slower(optimizer: Component, number: int) -> Component:
    return Component(optimizer.name, {**optimizer.options, "lr": 0.003 / (1 + number)})


if __name__ == "__main__":
    main()
