"""A search as it is usually written: Optuna, MLflow and a training loop, without protection.

Run as `python naive.py HOME`. The tests of faults run it beside nnsearch: a fault that does it no
harm proves nothing. It is honest work otherwise: it goes on with a study that is there, it trains
what is missing of the budget, and it ends each run with what became of it.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import optuna
from sklearn.datasets import load_iris

from nnsearch.crashes import crash_point

TRIALS, EPOCHS = 5, 3
HOME = Path(sys.argv[1])
FAULTS = os.environ.get("NAIVE_FAULT", "").split()


def train(trial: optuna.Trial, lr: float) -> float:
    """Softmax regression on iris by gradient steps; the loss after the last epoch."""
    features, labels = load_iris(return_X_y=True)
    targets, weights = np.eye(3)[labels], np.zeros((4, 3))
    checkpoint = HOME / f"checkpoint-{trial.number}.npy"
    if "resume" in FAULTS and checkpoint.exists():
        weights = np.load(checkpoint)
    if "memory" in FAULTS and trial.number == 1:
        np.ones(1 << 42)
    loss = math.inf
    for epoch in range(1, EPOCHS + 1):
        for _ in range(10):
            scores = np.exp(features @ weights)
            shares = scores / scores.sum(1, keepdims=True)
            weights -= lr * features.T @ (shares - targets) / len(targets)
        loss = float(-np.log(shares[targets == 1]).mean())
        mlflow.log_metric("valid/loss", loss, step=epoch)
        with checkpoint.open("wb") as file:
            np.save(file, weights)
            crash_point("T1")
            file.flush()
            os.fsync(file.fileno())
        crash_point("T2")
        crash_point("T3")
        crash_point("T4")
        if "slow" in FAULTS:
            time.sleep(1)
        elif "hang" in FAULTS:
            time.sleep(10_000)
    return math.inf if "inf" in FAULTS and trial.number == 1 else loss


def objective(trial: optuna.Trial) -> float:
    """One trial, tracked as a run below the study's."""
    crash_point("A2")
    lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    tags = {"nnsearch.trial": str(trial.number)}
    with mlflow.start_run(nested=True, run_name=f"trial-{trial.number}", tags=tags):
        crash_point("A3")
        mlflow.log_params(trial.params)
        crash_point("A4")
        if "error" in FAULTS:
            raise ValueError("the same")
        value = train(trial, lr)
        crash_point("C1")
        mlflow.log_text(json.dumps({"value": value}), "result.json")
        crash_point("C2")
        mlflow.log_metric("objective", value)
        crash_point("C3")
    crash_point("C4")
    return value


def main() -> None:
    """Train what is missing of the budget."""
    store = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{HOME / 'mlflow.db'}")
    mlflow.set_tracking_uri(store)
    if mlflow.get_experiment_by_name("small") is None:
        mlflow.create_experiment("small", (HOME / "artifacts").as_uri())
    mlflow.set_experiment("small")
    url = os.environ.get("NAIVE_STORAGE", f"sqlite:///{HOME / 'optuna.db'}")
    study = optuna.create_study(
        study_name="small",
        storage=optuna.storages.RDBStorage(
            url, heartbeat_interval=60 if "heartbeat" in FAULTS else None
        ),
        sampler=optuna.samplers.RandomSampler(seed=0 if "resume" in FAULTS else None),
        load_if_exists=True,
    )
    over = [each for each in study.trials if each.state.is_finished()]
    with mlflow.start_run(run_name="small"):
        crash_point("A1")
        study.optimize(
            objective,
            n_trials=TRIALS - len(over),
            catch=(ValueError,),
            callbacks=[lambda *_: crash_point("C5")],
        )
    crash_point("C6")


if __name__ == "__main__":
    main()
