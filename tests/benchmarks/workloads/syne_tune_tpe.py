"""Syne Tune's TPE on its local backend, two workers: each trial is a process of its own."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from syne_tune import StoppingCriterion, Tuner  # type: ignore[import-not-found]
from syne_tune.backend import LocalBackend  # type: ignore[import-not-found]
from syne_tune.config_space import (  # type: ignore[import-not-found]
    choice,
    loguniform,
    randint,
    uniform,
)
from syne_tune.experiments import load_experiment  # type: ignore[import-not-found]
from syne_tune.optimizer.baselines import TPE  # type: ignore[import-not-found]
from work import DEPTHS, MOST_DROPOUT, OPTIMIZERS, RATES, Task, task_from, tell

NUM_WORKERS = 2
PREFIX = "config_"


def main() -> None:
    """Search, and find the configurations in the table of results."""
    task = task_from(sys.argv[1:])
    began = time.perf_counter()
    np.random.seed(task.seed)  # noqa: NPY002 (its random draws heed nothing else)
    fixed = {
        "workload": task.workload,
        "data": str(task.data),
        "epochs": task.epochs,
        "seed": task.seed,
    }
    searched = _space(task)
    script = Path(__file__).resolve().with_name("syne_tune_trial.py")
    scheduler = TPE(
        fixed | searched,
        metric="accuracy",
        do_minimize=False,
        random_seed=task.seed,
        points_to_evaluate=[fixed | each for each in task.given],
    )
    # Its own limits on the number of trials let one or two more begin.
    ask, left = scheduler.suggest, iter(range(task.trials))
    scheduler.suggest = lambda: next((ask() for _ in left), None)
    tuner = Tuner(
        trial_backend=LocalBackend(str(script)),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(),
        n_workers=NUM_WORKERS,
        sleep_time=0.1,
        print_update_interval=1e9,
        tuner_name=task.workload,
        save_tuner=False,
    )
    tuner.run()
    results = load_experiment(tuner.name).results
    last = results.groupby("trial_id").last().to_dict("records")
    configurations = [{name: each[PREFIX + name] for name in searched} for each in last]
    tell(task, configurations, float(results["accuracy"].max()), began)


def _space(task: Task) -> dict[str, Any]:
    name, choices = task.size
    return {
        name: choice(list(choices)),
        "depth": randint(*DEPTHS[task.workload]),
        "dropout": uniform(0.0, MOST_DROPOUT),
        "lr": loguniform(*RATES),
        "optimizer": choice(list(OPTIMIZERS)),
    }


if __name__ == "__main__":
    main()
