"""Which epoch of a trial is its best, and how long it is worth going on. Knows no network."""

import math
from typing import Any

from nnsearch.study.spec import Objective
from nnsearch.training.recipe import Recipe

# An epoch and its value of the objective.
Peak = tuple[int, float]


def weigh(
    chosen: Recipe, objective: Objective, reached: Peak, before: tuple[float, Peak] | None
) -> tuple[bool, Peak]:
    """Whether the epoch that was just reached is kept, and what patience counts from now.

    `before` is the value of the epoch that was kept, and what patience counted from. The best
    epoch is kept however small its lead; patience wants one of more than `min_delta`.
    """
    if before is None:
        return True, reached
    kept, peak = before
    margin = chosen.min_delta if objective.direction == "maximize" else -chosen.min_delta
    is_better = math.isnan(kept) or objective.better(reached[1], kept)
    is_peak = math.isnan(peak[1]) or objective.better(reached[1], peak[1] + margin)
    return is_better or not chosen.restore_best, reached if is_peak else peak


def is_over(chosen: Recipe, epoch: int, *, best_epoch: int, is_enough: bool) -> bool:
    """Whether a trial is not trained beyond this epoch, given the best one so far."""
    is_late = chosen.patience > 0 and epoch - best_epoch >= chosen.patience
    return epoch >= chosen.epochs or is_late or is_enough


def with_peak(kept: dict[str, Any], objective: Objective) -> dict[str, Any]:
    """What was kept, with the peak that checkpoints of earlier versions do not name."""
    return {"peak": (kept["epoch"], kept["metrics"][objective.key])} | kept
