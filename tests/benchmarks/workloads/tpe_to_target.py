"""Optuna's TPE in memory over the tight loop, until a validation accuracy is reached.

Its option is the accuracy.
"""

import sys
import time

import optuna
import torch
from work import Configuration, suggest, task_from, tell, tensors, train


def main() -> None:
    """Search trial by trial; stop at the first that gets there."""
    task = task_from(sys.argv[1:])
    target = float(task.options[0])
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.perf_counter()
    data = tensors(task)
    configurations: list[Configuration] = []

    def objective(trial: optuna.Trial) -> float:
        configurations.append(suggest(task, trial))
        seed = task.seed + trial.number
        return train(task, configurations[-1], data, seed=seed, report=lambda *_: None)

    def stop(study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
        if study.best_value >= target:
            study.stop()

    sampler = optuna.samplers.TPESampler(seed=task.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=task.trials, callbacks=[stop])
    tell(task, configurations, study.best_value, began)


if __name__ == "__main__":
    main()
