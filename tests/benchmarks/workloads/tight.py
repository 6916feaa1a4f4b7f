"""The tight PyTorch loop: one process, one thread, nothing tracked, nothing searched.

Trains the configurations that it is given, else random ones. This is what the
training alone costs a person who writes it by hand and keeps the data in memory.
"""

import sys
import time

import torch
from work import draw, task_from, tell, tensors, train


def main() -> None:
    """Train every configuration, one after the other."""
    task = task_from(sys.argv[1:])
    torch.set_num_threads(1)
    began = time.perf_counter()
    data = tensors(task)
    configurations = task.given or draw(task, task.trials)
    best = max(
        train(task, each, data, seed=task.seed + index, report=lambda *_: None)
        for index, each in enumerate(configurations)
    )
    tell(task, configurations, best, began)


if __name__ == "__main__":
    main()
