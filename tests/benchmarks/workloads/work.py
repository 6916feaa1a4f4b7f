"""What is compared: the two workloads' networks and data, and the tight loop over them.

Peers run this in environments of their own, so it needs numpy and torch and nothing of nnsearch.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from task import (
    BATCH_SIZE,
    DEPTHS,
    MOST_DROPOUT,
    NUM_CLASSES,
    OPTIMIZERS,
    RATES,
    Configuration,
    Task,
    task_from,
    tell,
)
from torch import Tensor, nn

__all__ = [
    "BATCH_SIZE", "DEPTHS", "MOST_DROPOUT", "NUM_CLASSES", "OPTIMIZERS", "RATES",
    "Configuration", "Task", "task_from", "tell",
]  # fmt: skip

Report = Callable[[int, float], None]
Data = tuple[Tensor, Tensor, Tensor, Tensor]


def arrays(task: Task) -> tuple[np.ndarray[Any, Any], ...]:
    """Train inputs float32 [N, C, H, W] and classes int64 [N], then the same of validation."""
    with np.load(task.data) as stored:
        return tuple(stored[name] for name in ("x_train", "y_train", "x_valid", "y_valid"))


def tensors(task: Task) -> Data:
    """`arrays` as tensors."""
    x_train, y_train, x_valid, y_valid = map(torch.from_numpy, arrays(task))
    return x_train, y_train, x_valid, y_valid


def build(workload: str, configuration: Configuration) -> nn.Sequential:
    """An untrained network: an MLP for digits, a small CNN for Fashion-MNIST."""
    if workload == "w1":
        return _mlp(configuration["width"], configuration["depth"], configuration["dropout"])
    return _cnn(configuration["channels"], configuration["depth"], configuration["dropout"])


def make_optimizer(configuration: Configuration, model: nn.Module) -> torch.optim.Optimizer:
    """The configuration's optimizer as torch has it by default."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    return kinds[configuration["optimizer"]](model.parameters(), lr=configuration["lr"])


def draw(task: Task, count: int) -> list[Configuration]:
    """Random configurations, the same for the same seed."""
    generator = np.random.default_rng(task.seed)
    name, choices = task.size
    low, high = DEPTHS[task.workload]
    exponents = np.log10(RATES)
    return [
        {
            name: int(generator.choice(choices)),
            "depth": int(generator.integers(low, high + 1)),
            "dropout": float(generator.uniform(0, MOST_DROPOUT)),
            "lr": float(10 ** generator.uniform(*exponents)),
            "optimizer": str(generator.choice(OPTIMIZERS)),
        }
        for _ in range(count)
    ]


def suggest(task: Task, trial: Any) -> Configuration:
    """What an Optuna trial draws from the workload's space."""
    name, choices = task.size
    return {
        name: trial.suggest_categorical(name, list(choices)),
        "depth": trial.suggest_int("depth", *DEPTHS[task.workload]),
        "dropout": trial.suggest_float("dropout", 0.0, MOST_DROPOUT),
        "lr": trial.suggest_float("lr", *RATES, log=True),
        "optimizer": trial.suggest_categorical("optimizer", list(OPTIMIZERS)),
    }


def train(
    task: Task, configuration: Configuration, data: Data, *, seed: int, report: Report
) -> float:
    """The best validation accuracy of one trial, trained as one writes it by hand.

    The data lies in memory, a batch is an index, validation is one forward pass an epoch; `report`
    is called with each epoch, counted from 1, and its validation accuracy.
    """
    x_train, y_train, x_valid, y_valid = data
    torch.manual_seed(seed)
    model = build(task.workload, configuration)
    optimizer = make_optimizer(configuration, model)
    best = 0.0
    for epoch in range(1, task.epochs + 1):
        model.train()
        for rows in torch.randperm(len(x_train)).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(model(x_train[rows]), y_train[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_valid).argmax(1) == y_valid).float().mean().item()
        report(epoch, accuracy)
        best = max(best, accuracy)
    return best


def _mlp(width: int, depth: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise([64, *[width] * depth]):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, NUM_CLASSES))


def _cnn(channels: int, depth: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = [1, *(channels * 2**level for level in range(depth))]
    for before, after in pairwise(sizes):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    num_pixels = (28 >> depth) ** 2
    head = nn.Linear(sizes[-1] * num_pixels, NUM_CLASSES)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), head)
