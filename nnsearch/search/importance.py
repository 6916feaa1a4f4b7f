"""Which parameters set the best trials apart, and how sure that is. Knows no executor and no store.

PED-ANOVA (Watanabe and others, 2023) compares how each parameter is spread among the best trials
with how it is among all; a parameter of one branch counts where that branch was taken. It takes
milliseconds, so the same is asked of trials drawn again with replacement.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial

from nnsearch.events import Finished
from nnsearch.search.asking import frozen
from nnsearch.search.ledger import Ledger
from nnsearch.study.spec import Objective, Study

# Of fewer complete trials nothing can be said; and so many at least are taken for the best.
FEWEST_TRIALS, FEWEST_BEST, BEST_SHARE = 10, 5, 0.1
# Each draw copies its trials: as many draws as so many trials allow, between these two numbers.
MOST_COPIES, FEWEST_DRAWS, MOST_DRAWS = 6000, 20, 60


@dataclass(frozen=True, slots=True)
class Importances:
    """Each searched parameter's share of all importance, and the ends of its 95 % interval."""

    shares: dict[str, tuple[float, float, float]]
    num_trials: int
    num_best: int


def importances(
    study: Study, objective: Objective, ledger: Ledger, *, seed: int = 0
) -> Importances | None:
    """The shares by name, the largest first; None where too few trials are complete, or alike."""
    trials = [
        frozen(study, ledger, number, objective.key)
        for number, ending in sorted(ledger.endings.items())
        if isinstance(ending, Finished) and math.isfinite(ending.value)
    ]
    names = sorted({name for each in trials for name in each.params})
    if len(trials) < FEWEST_TRIALS or not names or len({each.value for each in trials}) == 1:
        return None
    num_best = max(FEWEST_BEST, math.ceil(BEST_SHARE * len(trials)))
    whole = _shares(trials, objective, names, num_best)
    generator = np.random.default_rng(seed)
    draws: list[Mapping[str, float]] = []
    for _ in range(min(max(MOST_COPIES // len(trials), FEWEST_DRAWS), MOST_DRAWS)):
        rows = generator.integers(0, len(trials), len(trials))
        draws.append(_shares([trials[row] for row in rows], objective, names, num_best))
    found = {}
    for name in sorted(names, key=lambda name: (-whole[name], name)):
        low, high = np.quantile([each[name] for each in draws], [0.025, 0.975])
        found[name] = (whole[name], float(low), float(high))
    return Importances(found, len(trials), num_best)


def _shares(
    trials: Sequence[FrozenTrial], objective: Objective, names: Sequence[str], num_best: int
) -> dict[str, float]:
    """The importances of drawn trials, which add up to 1; all are equal where none matters."""
    memory = optuna.create_study(
        direction=objective.direction, sampler=optuna.samplers.RandomSampler(0)
    )
    memory.add_trials(trials)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=num_best / len(trials))
    known = sorted({name for each in trials for name in each.params})
    shares = get_param_importances(memory, evaluator=evaluator, params=known)
    return {name: shares.get(name, 0.0) for name in names}
