"""Whether our TPE, which is shown 500 trials and fitted once a batch, searches as well as Optuna's.

    python tests/benchmarks/history.py --trials 1000 --seeds 10

Optuna's sees every trial, those under way too, and is fitted at each draw. Both draw batches of
eight on functions with a known optimum. Printed are, for each function, the median over the seeds
of how far the best value is from the optimum, how often ours did better, and what an ask takes in
the last tenth.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import optuna

from nnsearch.search.samplers import tpe
from nnsearch.search.window import Window, worth_seeing
from nnsearch.study.spec import derived_seed

BATCH = 8
Function = Callable[[optuna.Trial], float]


def rosenbrock(trial: optuna.Trial) -> float:
    """A curved valley in four dimensions; the optimum is 0."""
    x = np.array([trial.suggest_float(f"x{each}", -2, 2) for each in range(4)])
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(trial: optuna.Trial) -> float:
    """Many hollows in four dimensions; the optimum is 0."""
    x = np.array([trial.suggest_float(f"x{each}", -5.12, 4) for each in range(4)])
    return float((x**2 - 10 * np.cos(2 * np.pi * x) + 10).sum())


def training(trial: optuna.Trial) -> float:
    """Like a network's error: a branch of three, rates on a logarithmic scale, and noise."""
    kind = trial.suggest_categorical("optimizer", ["adam", "sgd", "rmsprop"])
    best = {"adam": -2.5, "sgd": -1.0, "rmsprop": -3.0}[kind]
    rate = np.log10(trial.suggest_float(f"{kind}.lr", 1e-5, 1, log=True))
    width = trial.suggest_int("width", 8, 512, log=True)
    dropout = trial.suggest_float("dropout", 0, 0.5)
    error = 0.05 * (rate - best) ** 2 + 0.02 * (np.log2(width) - 7) ** 2 + (dropout - 0.2) ** 2
    noise = np.random.default_rng(trial.number).normal(0, 0.002)
    return float(error + noise + (0.01 if kind == "sgd" else 0.0))


def search(function: Function, *, seed: int, trials: int, is_ours: bool) -> tuple[float, float]:
    """The best value, and the seconds an ask took in the last tenth."""
    storage = Window()  # which shows everything as long as nothing is chosen
    study = optuna.create_study(storage=storage)
    best, seconds = float("inf"), 0.0
    for first in range(0, trials, BATCH):
        study.sampler = tpe(seed, first) if is_ours else optunas(seed, first)
        if is_ours:
            every = storage.every_trial(study)
            storage.shown, storage.since = worth_seeing(every, "minimize"), len(every)
        drawn, values = [], []
        begun = time.process_time()
        for _ in range(BATCH):
            drawn.append(study.ask())
            values.append(function(drawn[-1]))
        seconds += (time.process_time() - begun) * (first >= 0.9 * trials)
        for trial, value in zip(drawn, values, strict=True):
            study.tell(trial.number, value)
        best = min(best, *values)
    return best, seconds / (0.1 * trials)


def optunas(seed: int, first: int) -> optuna.samplers.TPESampler:
    """Optuna's own, as `tpe` is while a study is short."""
    return optuna.samplers.TPESampler(
        seed=derived_seed(seed, "sampler", first) % 2**32,
        multivariate=True,
        group=True,
        constant_liar=True,
    )


def main(arguments: Sequence[str]) -> None:
    """Run both on every function and seed, in alternation, and print the table."""
    parser = argparse.ArgumentParser(description="Our TPE and Optuna's.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    for function in (rosenbrock, training, rastrigin):
        found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for seed in range(given.seeds):
            for is_ours in (True, False):
                found[is_ours].append(
                    search(function, seed=seed, trials=given.trials, is_ours=is_ours)
                )
        pairs = zip(found[True], found[False], strict=True)
        wins = sum(ours[0] < theirs[0] for ours, theirs in pairs)
        line = [
            f"{function.__name__:11}",
            *(
                f"{name}: best {median(each for each, _ in found[which]):.4g}, "
                f"{1e3 * median(each for _, each in found[which]):.1f} ms an ask"
                for which, name in ((True, "ours"), (False, "Optuna's"))
            ),
            f"ours is better in {wins} of {given.seeds}",
        ]
        sys.stdout.write("; ".join(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
