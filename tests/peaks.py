"""Prints, as JSON, what groups of some sizes were foretold to take and what they took.

To be run in a process of its own: what counts is the most memory that the process had at a time.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from nnsearch.study.spec import Component, Objective, TrialSpec
from nnsearch.tasks.classification import classification
from nnsearch.training import memory
from nnsearch.training.fit_many import fit_many
from nnsearch.training.group import make_group
from nnsearch.training.material import Material

SIZES = (1, 4, 16)
WIDE = Component("mlp", {"width": 1024, "depth": 2, "dropout": 0.3})
IMAGES = Component("cnn", {"channels": 16, "depth": 2, "norm": "batch", "dropout": 0.3})
CASES = [
    (WIDE, Component("adam")),
    (WIDE, Component("sgd", {"momentum": 0.9})),
    (WIDE, Component("nadam")),
    (IMAGES, Component("rmsprop")),
]
ROWS = {"mlp": (256, 64), "cnn": (128, 1, 28, 28)}
RESET = "5"  # written to clear_refs it sets the most memory back to the present


def main() -> None:
    """Train each case in groups of each size."""
    torch.set_num_threads(1)
    told = []
    for model, optimizer in CASES:
        material = material_of(ROWS[model.name])
        peak([trial(0, model, optimizer)], material)  # what the libraries keep once they are used

        def same(_: TrialSpec, of: Material = material) -> Material:
            return of

        for size in SIZES:
            trials = [trial(number, model, optimizer) for number in range(size)]
            told.append(
                {
                    "model": model.name,
                    "optimizer": optimizer.name,
                    "trials": size,
                    "most": memory.most(trials, material, Path()),
                    "needed": memory.needed(trials, same, Path()),
                    "taken": peak(trials, material),
                }
            )
    sys.stdout.write(json.dumps(told))


def material_of(shape: tuple[int, ...]) -> Material:
    """Noise of ten classes."""
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(shape[0]) % 10
    valid, valid_targets = inputs[:128].clone(), targets[:128].clone()
    task, raw = classification(targets.numpy()), valid_targets.numpy()
    return Material(task, nn.Sequential(), inputs, targets, valid, valid_targets, raw)


def trial(number: int, model: Component, optimizer: Component) -> TrialSpec:
    """A trial of one epoch of large batches."""
    return TrialSpec(
        number=number,
        seed=number,
        params={},
        task=Component("classification"),
        model=model,
        optimizer=optimizer,
        schedule=Component("constant"),
        training=Component("recipe", {"epochs": 1, "batch_size": 128}),
        transforms=(),
    )


def peak(trials: list[TrialSpec], material: Material) -> int:
    """Bytes more than before, at the most, while the trials train."""
    Path("/proc/self/clear_refs").write_text(RESET)
    before = status("VmRSS")
    run = fit_many(make_group(trials, lambda _: material, Path()), Objective("loss", "minimize"))
    with suppress(StopIteration):
        next(run)
        while True:
            run.send(())
    return status("VmHWM") - before


def status(key: str) -> int:
    """A size in bytes that the kernel tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main()
