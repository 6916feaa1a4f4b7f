"""Optuna, DataLoader and MLflow put together as the official examples of each do it.

The objective is that of optuna-examples' pytorch_simple.py; MLflowCallback opens a run a trial, and
`mlflow.log_metrics` is called in each epoch. Both write to SQLite, MLflow's default.
"""

import logging
import sys
import time
import warnings

import mlflow
import optuna
import torch
import torch.nn.functional as F
from optuna_integration.mlflow import MLflowCallback  # type: ignore[import-untyped]
from torch import Tensor, nn, no_grad
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset
from work import (
    BATCH_SIZE,
    Configuration,
    Task,
    build,
    make_optimizer,
    suggest,
    task_from,
    tell,
    tensors,
)

Batches = DataLoader[tuple[Tensor, ...]]


def main() -> None:
    """Search with TPE, every epoch tracked."""
    task = task_from(sys.argv[1:])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    torch.manual_seed(task.seed)
    x_train, y_train, x_valid, y_valid = tensors(task)
    configurations: list[Configuration] = []
    callback = MLflowCallback(tracking_uri="sqlite:///mlflow.db", metric_name="accuracy")

    @callback.track_in_mlflow()  # type: ignore[untyped-decorator]
    def objective(trial: optuna.Trial) -> float:
        configuration = suggest(task, trial)
        configurations.append(configuration)
        train = DataLoader(TensorDataset(x_train, y_train), batch_size=BATCH_SIZE, shuffle=True)
        valid = DataLoader(TensorDataset(x_valid, y_valid), batch_size=BATCH_SIZE)
        return _train(task, configuration, (train, valid), trial)

    study = optuna.create_study(
        direction="maximize",
        study_name=task.workload,
        sampler=optuna.samplers.TPESampler(seed=task.seed),
        pruner=optuna.pruners.NopPruner(),
    )
    for each in task.given:
        study.enqueue_trial(each)
    study.optimize(objective, n_trials=task.trials, callbacks=[callback])
    tell(task, configurations, study.best_value, began)


def _train(
    task: Task,
    configuration: Configuration,
    loaders: tuple[Batches, Batches],
    trial: optuna.Trial,
) -> float:
    train, valid = loaders
    model = build(task.workload, configuration)
    optimizer = make_optimizer(configuration, model)
    best = 0.0
    for epoch in range(task.epochs):
        loss = _epoch(model, optimizer, train)
        model.eval()
        correct = 0
        with no_grad():
            for x, y in valid:
                correct += (model(x).argmax(1) == y).sum().item()
        accuracy = correct / len(valid.dataset)  # type: ignore[arg-type]
        mlflow.log_metrics({"train_loss": loss, "valid_accuracy": accuracy}, step=epoch)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
        best = max(best, accuracy)
    return best


def _epoch(model: nn.Module, optimizer: Optimizer, loader: Batches) -> float:
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


if __name__ == "__main__":
    main()
