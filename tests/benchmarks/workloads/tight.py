"""The tight PyTorch loop: one process, one thread, nothing tracked, nothing searched.

Trains the configurations of a JSON file where one is given, else random ones. This is what the
training alone costs a person who writes it by hand and keeps the data in memory.
"""

import json
import sys
import time
from pathlib import Path

import torch
from work import SEED, draw, task_from, tell, tensors, train


def main() -> None:
    """Train every configuration, one after the other."""
    task = task_from(sys.argv[1:])
    torch.set_num_threads(1)
    began = time.perf_counter()
    data = tensors(task)
    configurations = draw(task, task.trials)
    if task.options:
        configurations = json.loads(Path(task.options[0]).read_text())
    best = max(
        train(task, each, data, seed=SEED + index, report=lambda *_: None)
        for index, each in enumerate(configurations)
    )
    tell(task, configurations, best, began)


if __name__ == "__main__":
    main()
