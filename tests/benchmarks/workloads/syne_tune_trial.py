"""One trial of Syne Tune: it starts this script with the configuration as options."""

import argparse
from pathlib import Path

import torch
from syne_tune import Reporter  # type: ignore[import-not-found]
from work import Task, tensors, train


def main() -> None:
    """Train the tight loop and report each epoch."""
    parser = argparse.ArgumentParser()
    for name, kind in {"workload": str, "data": Path, "optimizer": str}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name in ("epochs", "seed", "depth", "width", "channels"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("dropout", "lr"):
        parser.add_argument(f"--{name}", type=float)
    given, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    reporter = Reporter()
    task = Task(given.workload, given.data, 1, given.epochs, ())
    train(
        task,
        vars(given),
        tensors(task),
        seed=given.seed,
        report=lambda epoch, accuracy: reporter(epoch=epoch, accuracy=accuracy),
    )


if __name__ == "__main__":
    main()
