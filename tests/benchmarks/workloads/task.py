"""What a peer is asked and what it answers: loads nothing that whoever is measured does not load.

Peers run this in environments of their own, so it needs nothing of nnsearch.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

Configuration = dict[str, Any]

WIDTHS = (32, 64, 128)
CHANNELS = (4, 8, 16)
DEPTHS = {"w1": (1, 3), "w2": (2, 3)}
MOST_DROPOUT = 0.5
RATES = (1e-4, 1e-1)
OPTIMIZERS = ("adam", "sgd", "rmsprop")
BATCH_SIZE = 64
NUM_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a peer: the workload's name, its data, how many trials of how many epochs.

    What a peer draws follows from `seed`, unless it is `given` the configurations to train.
    """

    workload: str
    data: Path
    trials: int
    epochs: int
    options: tuple[str, ...]
    seed: int = 0
    given: tuple[Configuration, ...] = ()

    @property
    def size(self) -> tuple[str, Sequence[int]]:
        """The name of the size that is searched, and its choices."""
        return ("width", WIDTHS) if self.workload == "w1" else ("channels", CHANNELS)


def task_from(arguments: Sequence[str]) -> Task:
    """The task that the command line of a peer's script describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=sorted(DEPTHS))
    parser.add_argument("data", type=Path, help="the NPZ archive that data.py wrote")
    parser.add_argument("trials", type=int)
    parser.add_argument("epochs", type=int)
    parser.add_argument("options", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--given", type=Path, help="configurations, a list in JSON")
    read = parser.parse_args(arguments)
    given = tuple(json.loads(read.given.read_text())) if read.given else ()
    trials = len(given) or read.trials
    options = tuple(read.options)
    return Task(read.workload, read.data.resolve(), trials, read.epochs, options, read.seed, given)


def gflop(task: Task, configuration: Configuration, num_train: int, num_valid: int) -> float:
    """The arithmetic that one trial cannot do without, in 1e9 operations.

    A product and its sum are two; going back costs twice the forward pass, but for the first
    layer, whose inputs need no gradient.
    """
    depth = configuration["depth"]
    if task.workload == "w1":
        sizes = [64, *[configuration["width"]] * depth, NUM_CLASSES]
        layers = [2 * before * after for before, after in pairwise(sizes)]
    else:
        channels = [1, *(configuration["channels"] * 2**level for level in range(depth))]
        sides = [28 >> level for level in range(depth + 1)]
        layers = [
            2 * 9 * before * after * side**2
            for (before, after), side in zip(pairwise(channels), sides, strict=False)
        ]
        layers.append(2 * channels[-1] * sides[-1] ** 2 * NUM_CLASSES)
    forward = sum(layers)
    operations = num_train * (3 * forward - layers[0]) + num_valid * forward
    return float(task.epochs * operations / 1e9)


def tell(task: Task, configurations: Sequence[Configuration], best: float, began: float) -> None:
    """Print the peer's one line: what it trained, how well, and the seconds since `began`."""
    rows = json.loads(task.data.with_suffix(".json").read_text())
    told = {
        "trials": len(configurations),
        "best_valid_accuracy": round(best, 4),
        "search_s": round(time.perf_counter() - began, 3),
        "gflop": sum(gflop(task, each, rows["train"], rows["valid"]) for each in configurations),
        "configurations": list(configurations),
    }
    sys.stdout.write(json.dumps(told) + "\n")
