"""Trials together against trials alone: trials per CPU second, in one process and thread.

    python tests/benchmarks/fused.py --model mlp
    python tests/benchmarks/fused.py --model cnn --sizes 1,2,4,8

Prints how many times as many trials a CPU second trains in a program of K as through torch's own
modules, one after another: ratios of medians over rounds in alternation.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from nnsearch.commands.opening import prepare_data
from nnsearch.study.folder import StudyFolder
from nnsearch.study.load import load_study
from nnsearch.study.space import sample
from nnsearch.study.spec import Component, Objective, TrialSpec
from nnsearch.training.fit import fit, prepare
from nnsearch.training.fit_many import fit_many
from nnsearch.training.group import make_group
from nnsearch.training.material import Material, gather

OBJECTIVE = Objective("accuracy", "maximize")
GO_ON = True
SHAPES = {
    "mlp": [{"depth": 1, "width": 32}, {"depth": 2, "width": 64}, {"depth": 3, "width": 128}],
    "cnn": [{"depth": 2, "channels": 4}, {"depth": 2, "channels": 16}, {"depth": 3, "channels": 8}],
}
STUDY = """
data.source = "digits"
task.name = "classification"
model.name = "linear"
search.trials = 1
"""
PIXELS = 28  # a side of the CNN's images, which are noise: only their size costs time
NUM_IMAGES = 1500


def main() -> None:
    """Measure every shape with every optimizer and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=list(SHAPES), default="mlp")
    parser.add_argument("--sizes", default="1,2,4,8,16")
    parser.add_argument("--optimizers", default="adam,sgd,rmsprop")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [int(each) for each in given.sizes.split(",")]
    tell("| shape | optimizer | alone, CPU s | " + " | ".join(f"K = {k}" for k in sizes) + " |")
    tell("|---" * (len(sizes) + 3) + "|")
    with TemporaryDirectory() as folder:
        trial, material = prepared(Path(folder), given.epochs, is_image=given.model == "cnn")
        for options in SHAPES[given.model]:
            for name in given.optimizers.split(","):
                model = Component(given.model, {"dropout": 0.2, **options})
                drawn = replace(trial, model=model, optimizer=Component(name, {"lr": 0.003}))
                row = ratios(drawn, material, sizes, given.rounds)
                shape = " x ".join(map(str, options.values()))
                tell(f"| {shape} | {name} | " + " | ".join(f"{each:.2f}" for each in row) + " |")


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def prepared(folder: Path, epochs: int, *, is_image: bool) -> tuple[TrialSpec, Material]:
    """A trial of the digits and its material, with images as large as those of W2 for a CNN."""
    path = folder / "study.toml"
    path.write_text(STUDY)
    study = load_study(path, overrides=[f"training.epochs={epochs}"])
    data = prepare_data(study, StudyFolder(folder)).folder
    trial = sample(study, lambda *_: "", number=0, seed=0)
    material = gather(trial, data, folder, torch.device("cpu"))
    if not is_image:
        return trial, material
    generator = torch.Generator().manual_seed(0)
    shape = (NUM_IMAGES, 1, PIXELS, PIXELS)
    images = torch.randn(shape, generator=generator).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (NUM_IMAGES,), generator=generator)
    num_valid = len(material.valid_raw)
    valid = images[:num_valid]
    return trial, replace(material, train=images, train_targets=labels, valid=valid)


def ratios(trial: TrialSpec, material: Material, sizes: Sequence[int], rounds: int) -> list[float]:
    """CPU seconds of a trial alone, then for each K how many times as fast it is in company."""
    alone: list[float] = []
    fused: dict[int, list[float]] = {size: [] for size in sizes}
    for index in range(rounds + 1):
        seconds = train_alone(trial, material)
        together = {size: train_together(trial, material, size) / size for size in sizes}
        if index:  # the first round warms up
            alone.append(seconds)
            for size in sizes:
                fused[size].append(together[size])
    return [median(alone), *(median(alone) / median(fused[size]) for size in sizes)]


def train_alone(trial: TrialSpec, material: Material) -> float:
    """CPU seconds of one trial through torch's own modules."""
    start = time.process_time()
    run = fit(prepare(trial, material, Path()), OBJECTIVE, trial.number)
    try:
        next(run)
        while True:
            run.send(GO_ON)
    except StopIteration:
        return time.process_time() - start


def train_together(trial: TrialSpec, material: Material, size: int) -> float:
    """CPU seconds of `size` trials in one program, each with a rate and a seed of its own."""
    trials = [
        replace(trial, number=n, seed=n, optimizer=_slower(trial.optimizer, n)) for n in range(size)
    ]
    start = time.process_time()
    run = fit_many(make_group(trials, lambda _: material, Path()), OBJECTIVE)
    try:
        next(run)
        while True:
            run.send(())
    except StopIteration:
        return time.process_time() - start


def _slower(optimizer: Component, number: int) -> Component:
    return Component(optimizer.name, {**optimizer.options, "lr": 0.003 / (1 + number)})


if __name__ == "__main__":
    main()
