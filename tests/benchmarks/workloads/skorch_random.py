"""skorch with scikit-learn's RandomizedSearchCV in two processes: no TPE, no tracking."""

import sys
import time
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform, uniform
from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV
from skorch import NeuralNetClassifier  # type: ignore[import-not-found]
from skorch.dataset import Dataset  # type: ignore[import-not-found]
from skorch.helper import predefined_split  # type: ignore[import-not-found]
from torch import Tensor, nn
from work import (
    BATCH_SIZE,
    DEPTHS,
    MOST_DROPOUT,
    RATES,
    SEED,
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

    def __init__(self, workload: str, size: int = 0, depth: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
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
        criterion=nn.CrossEntropyLoss,
        max_epochs=task.epochs,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=predefined_split(Dataset(x_valid, y_valid)),
        verbose=0,
    )
    fold = np.repeat([-1, 0], [len(x_train), len(x_valid)])
    search = RandomizedSearchCV(
        net,
        _space(task),
        n_iter=task.trials,
        cv=PredefinedSplit(fold),
        scoring="accuracy",
        refit=False,
        n_jobs=NUM_WORKERS,
        random_state=SEED,
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
