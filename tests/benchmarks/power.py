"""What the tests of `nnsearch compare` find, and how often they raise a false alarm.

    python tests/benchmarks/power.py [--pairs 1000] [--networks 24]

Simulated pairs of models whose true accuracies are known, judged on so many shared test rows, and
real networks that differ in their seed. The numbers stand in tests/benchmarks/README.md and in
nnsearch/reports/pairs.py.
"""

import argparse
import json
import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.measures import Measure, measure
from nnsearch.reports.pairs import ALPHA, exchange
from nnsearch.reports.statistics import mcnemar

Array = NDArray[Any]
ROWS = (200, 360, 500, 1000, 2000)
# Exchanging takes longer than counting: fewer pairs, and as few draws as the level allows.
NUM_DRAWS, SHARE_EXCHANGED = 199, 0.4


@dataclass(frozen=True, slots=True)
class Models:
    """The true accuracies of two models, and the share of rows that both get wrong."""

    first: float
    second: float
    both_wrong: float


CASES = {
    "0.95 and 0.95, 3 % wrong in both": Models(0.95, 0.95, 0.03),
    "0.95 and 0.92, 4 % wrong in both": Models(0.95, 0.92, 0.04),
    "0.95 and 0.92, 2 % wrong in both": Models(0.95, 0.92, 0.02),
    "0.85 and 0.82, 11 % wrong in both": Models(0.85, 0.82, 0.11),
}


def answers(models: Models, num_rows: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Whether each of the two is right [N], drawn with their true rates."""
    only_first_wrong = 1 - models.first - models.both_wrong
    only_second_wrong = 1 - models.second - models.both_wrong
    chances = np.cumsum([models.both_wrong, only_first_wrong, only_second_wrong])
    kind = np.searchsorted(chances, generator.random(num_rows), side="right")
    return (kind != 0) & (kind != 1), (kind != 0) & (kind != 2)


def found(models: Models, num_rows: int, num_pairs: int, *, seed: int = 0) -> float:
    """The share of pairs that McNemar's exact test calls different."""
    generator = np.random.default_rng(seed)
    truth = np.ones(num_rows, np.bool_)
    return float(
        np.mean(
            [
                mcnemar(*answers(models, num_rows, generator), truth).p_value < ALPHA
                for _ in range(num_pairs)
            ]
        )
    )


def errors(
    gap: float, num_rows: int, generator: np.random.Generator, *, per_group: int = 1
) -> tuple[Array, Array, Array]:
    """Predictions [N] of two models of zeros, with errors that rows and groups share.

    The second model's errors are `gap` larger; `per_group` rows share a part of each error.
    """
    num_groups = num_rows // per_group
    groups = np.repeat(np.arange(num_groups), per_group)
    shared = generator.normal(size=num_rows) + generator.normal(size=num_groups)[groups]
    first, second = (
        shared + generator.normal(size=num_rows) + generator.normal(size=num_groups)[groups]
        for _ in range(2)
    )
    return first, second * (1 + gap), groups


def found_by_exchange(
    gap: float, num_pairs: int, *, per_group: int = 1, blind: bool = False
) -> float:
    """The share of pairs that the permutation test on the rmse of 500 rows calls different.

    `blind` lets it take the rows of a group for independent ones.
    """
    generator = np.random.default_rng(1)
    chosen: Measure | None = measure("rmse", 0)
    assert chosen is not None
    truth, num_found = np.zeros(500), 0
    for number in range(num_pairs):
        first, second, groups = errors(gap, 500, generator, per_group=per_group)
        told = None if blind or per_group == 1 else groups
        sides = (chosen.reduce(first, truth), chosen.reduce(second, truth))
        p_value = exchange(
            chosen.score, sides, truth, groups=told, seed=number, num_draws=NUM_DRAWS
        )
        num_found += p_value < ALPHA
    return num_found / num_pairs


def of_other_seeds(num_networks: int) -> dict[str, float]:
    """Networks that differ in their seed only, on the digits: every pair on the same test rows."""
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    inputs, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(targets))
    train, test = order[:900], order[900:]
    warnings.simplefilter("ignore", ConvergenceWarning)  # twelve epochs are few, and meant to be
    is_right = [
        MLPClassifier(64, learning_rate_init=0.01, max_iter=12, random_state=seed, tol=0)
        .fit(inputs[train] / 16, targets[train])
        .predict(inputs[test] / 16)
        == targets[test]
        for seed in range(num_networks)
    ]
    told = {}
    for num_rows in (359, len(test)):
        truth = np.ones(num_rows, np.bool_)
        p_values = [
            mcnemar(first[:num_rows], second[:num_rows], truth).p_value
            for first, second in combinations(is_right, 2)
        ]
        told[f"{num_rows} rows"] = float(np.mean(np.less(p_values, ALPHA)))
    return told


def main() -> None:
    """Print the shares found, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--networks", type=int, default=24)
    chosen = parser.parse_args()
    num_pairs = chosen.pairs
    fewer = round(SHARE_EXCHANGED * num_pairs)
    told: dict[str, Any] = {
        "accuracy": {
            name: {str(rows): found(models, rows, num_pairs) for rows in ROWS}
            for name, models in CASES.items()
        },
        "rmse of 500 rows": {
            "equal": found_by_exchange(0.0, fewer),
            "5 % larger": found_by_exchange(0.05, fewer),
            "10 % larger": found_by_exchange(0.1, fewer),
        },
        "rmse of 500 rows in groups of 10": {
            "equal, groups exchanged": found_by_exchange(0.0, fewer, per_group=10),
            "equal, rows exchanged": found_by_exchange(0.0, fewer, per_group=10, blind=True),
        },
        "networks of other seeds": of_other_seeds(chosen.networks),
    }
    print(json.dumps(told, indent=1))  # noqa: T201 - what a script is for


if __name__ == "__main__":
    main()
