"""Which parameters set the best trials apart, and how sure that is. Pure; knows no search.

Conditional PED-ANOVA: how a parameter is spread among the best trials, against how it is among all
(Watanabe and others, 2023, arXiv 2304.10255; with branches, 2026, arXiv 2601.20800). The numbers
are Optuna's own; but `optuna.importance` imports scikit-learn, which takes longer than all this,
and copies every trial that it is given, so that drawing trials again would be slow.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nnsearch.events import Scalar
from nnsearch.study.spec import Choice, Direction, FloatRange, IntRange, Range

Places = NDArray[np.int64]
Floats = NDArray[np.float64]
# Of fewer trials nothing can be said; and so many at least are taken for the best.
FEWEST_TRIALS, FEWEST_BEST, BEST_SHARE = 10, 5, 0.1
NUM_DRAWS = 100

_MOST_STEPS = 50
_FEWEST_IN_BRANCH = 2
# Scott's rule, and a kernel of which 90 % stay within one step at the least.
_SCOTT, _QUARTILES, _NARROWEST = 1.059, 1.34, 0.5 / 1.64
_NONE = -1


@dataclass(frozen=True, slots=True)
class Weight:
    """How much one parameter matters, as a share of all, with the ends of its 95 % interval."""

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Importance:
    """Each parameter's weight, the heaviest first; or `problem`, why there are none.

    Told is what sets the `num_best` best of `num_trials` complete trials apart from the others.
    """

    weights: tuple[Weight, ...] = ()
    num_trials: int = 0
    num_best: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Grid:
    """A parameter's value of each trial [N] on a grid of `size`; below 0 where it has none."""

    places: Places
    size: int
    is_choice: bool


def importance(
    trials: Sequence[tuple[Mapping[str, Scalar], float]],
    ranges: Mapping[str, Range],
    direction: Direction,
    *,
    seed: int = 0,
) -> Importance:
    """The weight of each parameter in complete trials, given as their parameters and value.

    The intervals are of trials drawn again with replacement; the same seed gives the same.
    """
    trials = [each for each in trials if math.isfinite(each[1])]
    names = sorted({name for params, _ in trials for name in params} & set(ranges))
    values = np.array([value for _, value in trials], np.float64)
    if len(trials) < FEWEST_TRIALS or not names or np.ptp(values) == 0:
        told = f"Importance needs {FEWEST_TRIALS} complete trials that differ in their values."
        return Importance(problem=told)
    losses = -values if direction == "maximize" else values
    num_best = max(FEWEST_BEST, math.ceil(BEST_SHARE * len(trials)))
    grids = [_grid(ranges[name], [params.get(name) for params, _ in trials]) for name in names]
    whole = _shares(grids, losses, np.arange(len(trials)), num_best)
    generator = np.random.default_rng(seed)
    draws = [
        _shares(grids, losses, generator.integers(0, len(trials), len(trials)), num_best)
        for _ in range(NUM_DRAWS)
    ]
    lows, highs = np.quantile(draws, [0.025, 0.975], axis=0)
    # Trials drawn twice make chance look like a reason: of few, all draws may lie above the share.
    lows, highs = np.minimum(lows, whole), np.maximum(highs, whole)
    weights = [
        Weight(name, float(whole[at]), float(lows[at]), float(highs[at]))
        for at, name in enumerate(names)
    ]
    order = sorted(weights, key=lambda each: (-each.share, each.name))
    return Importance(tuple(order), len(trials), num_best)


def chances(
    trials: Sequence[tuple[Mapping[str, Scalar], float]],
    ranges: Mapping[str, Range],
    direction: Direction,
    *,
    seed: int = 0,
    num_draws: int = 2 * NUM_DRAWS,
) -> dict[str, float]:
    """How often chance alone gives a parameter the importance that it has: a p-value for each.

    Chance is the same trials with their values exchanged at random. Nothing where `importance`
    has nothing to say.
    """
    trials = [each for each in trials if math.isfinite(each[1])]
    names = sorted({name for params, _ in trials for name in params} & set(ranges))
    values = np.array([value for _, value in trials], np.float64)
    if len(trials) < FEWEST_TRIALS or not names or np.ptp(values) == 0:
        return {}
    losses = -values if direction == "maximize" else values
    num_best = max(FEWEST_BEST, math.ceil(BEST_SHARE * len(trials)))
    grids = [_grid(ranges[name], [params.get(name) for params, _ in trials]) for name in names]
    seen = _importances(grids, losses, num_best)
    generator = np.random.default_rng(seed)
    as_large = np.ones(len(names))
    for _ in range(num_draws):
        drawn = _importances(grids, generator.permutation(losses), num_best)
        as_large += drawn >= seen * (1 - 1e-9)
    return dict(zip(names, (as_large / (num_draws + 1)).tolist(), strict=True))


def _importances(grids: Sequence[_Grid], losses: Floats, num_best: int) -> Floats:
    is_best = losses <= np.partition(losses, num_best - 1)[num_best - 1]
    return np.array([_importance(each, each.places, is_best) for each in grids])


def _grid(searched: Range, values: Sequence[Scalar | None]) -> _Grid:
    if isinstance(searched, Choice):
        known = [str(each) for each in searched.choices]
        found = [_NONE if each is None else known.index(str(each)) for each in values]
        return _Grid(np.array(found, np.int64), len(known), is_choice=True)
    size = _num_steps(searched)
    low, high = float(searched.low), float(searched.high)
    numbers = np.array([np.nan if each is None else float(each) for each in values], np.float64)
    if searched.log:
        low, high, numbers = math.log(low), math.log(high), np.log(numbers)
    is_there = np.isfinite(numbers)
    step = (high - low) / max(size - 1, 1) or 1.0
    found_at = np.ceil((np.where(is_there, numbers, low) - low) / step - 0.5).astype(np.int64)
    places = np.where(is_there, np.clip(found_at, 0, size - 1), _NONE)
    return _Grid(places, size, is_choice=False)


def _num_steps(searched: FloatRange | IntRange) -> int:
    width = searched.high - searched.low
    if width <= 0:
        return 1
    if isinstance(searched, IntRange) and searched.log:
        return min(math.ceil(math.log2(width + 1)) + 1, _MOST_STEPS)
    if searched.step is None or searched.log:
        return _MOST_STEPS
    return min(round(width / searched.step) + 1, _MOST_STEPS)


def _shares(grids: Sequence[_Grid], losses: Floats, rows: Places, num_best: int) -> Floats:
    """The importances of these trials, which add up to 1; all are equal where none matters."""
    drawn = losses[rows]
    is_best = drawn <= np.partition(drawn, num_best - 1)[num_best - 1]
    found = np.array([_importance(each, each.places[rows], is_best) for each in grids])
    total = found.sum()
    return found / total if total > 0 else np.full(len(grids), 1 / len(grids))


def _importance(grid: _Grid, places: Places, is_best: NDArray[np.bool_]) -> float:
    """The divergence of the best from all, within the branch that has the parameter."""
    has_it = places >= 0
    count, best = int(has_it.sum()), int((has_it & is_best).sum())
    if grid.size < 2 or count < _FEWEST_IN_BRANCH or not best:  # noqa: PLR2004 - nothing to choose
        return 0.0
    among_best = best / int(is_best.sum())
    among_all = count / len(places)
    top = _density(grid, places[has_it & is_best])
    every = _density(grid, places[has_it])
    return among_best**2 / among_all * float(every @ (top / every - 1) ** 2)


def _density(grid: _Grid, places: Places) -> Floats:
    """The share [size] of each step, by a kernel at each that was taken, and an even one."""
    counts = np.bincount(places, minlength=grid.size)
    taken = np.flatnonzero(counts)
    weights = np.append(counts[taken], 1.0) / (counts.sum() + 1.0)
    kernels = _choices(taken, grid.size) if grid.is_choice else _bells(taken, counts, grid.size)
    density: Floats = weights @ kernels + 1e-12
    return density


def _choices(taken: Places, size: int) -> Floats:
    num_kernels = len(taken) + 1
    kernels = np.full((num_kernels, size), 1 / num_kernels)
    kernels[np.arange(len(taken)), taken] += 1
    shares: Floats = kernels / kernels.sum(axis=1, keepdims=True)
    return shares


def _bells(taken: Places, counts: Places, size: int) -> Floats:
    """Normal distributions cut off at the ends, each step a share of the area."""
    weights = counts[taken]
    total = int(weights.sum())
    mean = taken @ weights / total
    spread = np.sqrt((taken - mean) ** 2 @ weights / max(1, total - 1))
    ups = np.cumsum(weights)
    first = int(np.searchsorted(ups, total // 4, side="left"))
    third = int(np.searchsorted(ups, total * 3 // 4, side="right"))
    between = taken[min(len(taken) - 1, third)] - taken[first]
    width = max(_SCOTT * min(between / _QUARTILES, spread) * total**-0.2, _NARROWEST)
    middles = np.append(taken, (size - 1) / 2)[:, None]
    widths = np.append(np.full(len(taken), width), size)[:, None]
    areas = special.ndtr((np.arange(size + 1) - 0.5 - middles) / widths)
    kernels: Floats = np.diff(areas, axis=1) / (areas[:, -1:] - areas[:, :1])
    return kernels
