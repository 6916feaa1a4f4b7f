"""skorch with scikit-learn's RandomizedSearchCV in two processes: no TPE, no tracking.

Where configurations are given, GridSearchCV over a list of grids of one point each.
"""

import sys
import time
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform, uniform
from sklearn.model_selection import GridSearchCV, PredefinedSplit, RandomizedSearchCV
from skorch import NeuralNetClassifier  # type: ignore[import-not-found]
from skorch.dataset import Dataset  # type: ignore[import-not-found]
from skorch.helper import predefined_split  # type: ignore[import-not-found]
from torch import Tensor, nn
from work import (
    BATCH_SIZE,
    DEPTHS,
    MOST_DROPOUT,
    RATES,
    Configuration,
    Task,
    arrays,
    build,
    task_from,
    tell,
)

NUM_WORKERS = 2
CLASSES = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}


class Network(nn.Module):
    """The workload's network with its sizes as arguments, which is what skorch searches over."""

    def __init__(
        self, workload: str, *, seed: int, size: int = 0, depth: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)  # here, for each candidate is fitted in one process of several
        name = "width" if workload == "w1" else "channels"
        chosen = {name: size or 16, "depth": depth, "dropout": dropout}
        self.layers = build(workload, chosen)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits [B, 10]."""
        logits: Tensor = self.layers(x_BCHW)
        return logits


def main() -> None:
    """Search at random, each candidate fitted on train and scored on validation."""
    task = task_from(sys.argv[1:])
    began = time.perf_counter()
    x_train, y_train, x_valid, y_valid = arrays(task)
    net = NeuralNetClassifier(
        Network,
        module__workload=task.workload,
        module__seed=task.seed,
        criterion=nn.CrossEntropyLoss,
        max_epochs=task.epochs,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=predefined_split(Dataset(x_valid, y_valid)),
        verbose=0,
    )
    fold = np.repeat([-1, 0], [len(x_train), len(x_valid)])
    how = {
        "cv": PredefinedSplit(fold),
        "scoring": "accuracy",
        "refit": False,
        "n_jobs": NUM_WORKERS,
    }
    search = (
        GridSearchCV(net, [_point(task, each) for each in task.given], **how)
        if task.given
        else RandomizedSearchCV(
            net, _space(task), n_iter=task.trials, random_state=task.seed, **how
        )
    )
    search.fit(np.concatenate([x_train, x_valid]), np.concatenate([y_train, y_valid]))
    best = float(np.nanmax(search.cv_results_["mean_test_score"]))
    tell(task, [_plain(task, each) for each in search.cv_results_["params"]], best, began)


def _space(task: Task) -> dict[str, Any]:
    _, choices = task.size
    low, high = DEPTHS[task.workload]
    return {
        "module__size": list(choices),
        "module__depth": list(range(low, high + 1)),
        "module__dropout": uniform(0, MOST_DROPOUT),
        "lr": loguniform(*RATES),
        "optimizer": list(CLASSES.values()),
    }


def _point(task: Task, configuration: Configuration) -> dict[str, list[Any]]:
    return {
        "module__size": [configuration[task.size[0]]],
        "module__depth": [configuration["depth"]],
        "module__dropout": [configuration["dropout"]],
        "lr": [configuration["lr"]],
        "optimizer": [CLASSES[configuration["optimizer"]]],
    }


def _plain(task: Task, params: dict[str, Any]) -> Configuration:
    names = {kind: name for name, kind in CLASSES.items()}
    return {
        task.size[0]: params["module__size"],
        "depth": params["module__depth"],
        "dropout": float(params["module__dropout"]),
        "lr": float(params["lr"]),
        "optimizer": names[params["optimizer"]],
    }


if __name__ == "__main__":
    main()
