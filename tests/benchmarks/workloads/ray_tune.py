"""Ray Tune with Optuna's TPE, two trials at a time, one CPU each, an accuracy reported an epoch.

With the option `reuse` its actors are kept from one trial to the next, which Ray leaves off.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import ray  # type: ignore[import-not-found]
import torch
from ray import tune
from ray.tune.search.optuna import OptunaSearch  # type: ignore[import-not-found]
from work import (
    DEPTHS,
    MOST_DROPOUT,
    OPTIMIZERS,
    RATES,
    Data,
    Task,
    task_from,
    tell,
    tensors,
    train,
)

NUM_WORKERS = 2


def main() -> None:
    """Search, and find the configurations in the results."""
    task = task_from(sys.argv[1:])
    began = time.perf_counter()
    here = str(Path(__file__).resolve().parent)
    ray.init(
        num_cpus=NUM_WORKERS,
        include_dashboard=False,
        logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": here}},
    )
    trainable = tune.with_parameters(_trial, task=task, data=tensors(task))
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=_space(task),
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            search_alg=OptunaSearch(seed=task.seed, points_to_evaluate=list(task.given)),
            num_samples=task.trials,
            max_concurrent_trials=NUM_WORKERS,
            reuse_actors="reuse" in task.options,
        ),
        run_config=tune.RunConfig(storage_path=str(Path("ray").resolve()), verbose=0),
    )
    results = tuner.fit()
    best = max(float(each.metrics_dataframe["accuracy"].max()) for each in results)
    tell(task, [each.config for each in results], best, began)


def _trial(configuration: dict[str, Any], task: Task, data: Data) -> None:
    torch.set_num_threads(1)
    train(
        task,
        configuration,
        data,
        seed=task.seed,
        report=lambda _, value: tune.report({"accuracy": value}),
    )


def _space(task: Task) -> dict[str, Any]:
    name, choices = task.size
    low, high = DEPTHS[task.workload]
    return {
        name: tune.choice(list(choices)),
        "depth": tune.randint(low, high + 1),
        "dropout": tune.uniform(0.0, MOST_DROPOUT),
        "lr": tune.loguniform(*RATES),
        "optimizer": tune.choice(list(OPTIMIZERS)),
    }


if __name__ == "__main__":
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    main()
