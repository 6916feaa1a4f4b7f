"""What several trainings of each candidate say of it: how good it is, and which is the best. Pure.

The best of many trials is the best partly by luck. Trained anew on other seeds, a candidate's
values are free of the luck that it was picked by; picking the best of those means is lucky again,
though less. So each mean is drawn towards that of all candidates by as much as the seeds' noise
calls for: a normal model in which how far the candidates truly lie apart is unknown and averaged
over (Gelman et al., Bayesian Data Analysis, 3rd edition, section 5.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUM_DRAWS = 4000
NUM_SPREADS = 64
LEVEL = 0.95
# With fewer trainings of a candidate nothing is known of how its seeds differ.
FEWEST = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate's expected value: of a training on any seed, judged on any rows of their kind.

    `mean` is that of its trainings, `estimate` what is left of it once luck is taken out, `low` and
    `high` the ends of the 95 % interval, and `chance` the probability that it is the best.
    """

    mean: float
    estimate: float
    low: float
    high: float
    chance: float


def confirm(
    values: Mapping[int, Sequence[float]],
    *,
    is_more_better: bool,
    seed: int,
    row_deviation: float = 0.0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> dict[int, Candidate]:
    """Weigh candidates, each with the values of its trainings on several seeds.

    `row_deviation` is the standard deviation that the choice of the validation rows alone gives
    such a value; it is common to all candidates, so it widens intervals and leaves the chances.
    No interval goes beyond `bounds`.
    Candidates of fewer than two values are left out. Equal seeds give equal answers.
    """
    known = {key: np.asarray(each, np.float64) for key, each in values.items()}
    known = {key: each for key, each in known.items() if len(each) >= FEWEST}
    if not known:
        return {}
    means = np.array([each.mean() for each in known.values()])
    freedom = sum(len(each) - 1 for each in known.values())
    noise = sum(float(((each - each.mean()) ** 2).sum()) for each in known.values()) / freedom
    variances = np.array([noise / len(each) for each in known.values()])
    generator = np.random.default_rng(seed)
    # The seeds' noise is an estimate itself, and the less so the more trainings there are.
    doubt = np.sqrt(freedom / generator.chisquare(freedom, (NUM_DRAWS, 1)))
    draws = _draws(means, variances, doubt, generator)
    chances = _chances(draws if is_more_better else -draws)
    estimates = draws.mean(axis=0) if len(means) > 1 else means
    rows = row_deviation * generator.standard_normal((NUM_DRAWS, 1))
    ends = np.quantile(draws + rows, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).clip(*bounds)
    return {
        key: Candidate(
            float(means[place]),
            float(estimates[place]),
            float(ends[0, place]),
            float(ends[1, place]),
            float(chances[place]),
        )
        for place, key in enumerate(known)
    }


def agreed(
    courses: Sequence[Mapping[int, float]], *, is_more_better: bool, keeps_best: bool
) -> list[float]:
    """What each training of a candidate is worth, of its values by epoch.

    A training that keeps its best epoch has picked it by the very rows that judge it, and its value
    there flatters it. So each is judged at the epoch that is the best for the others, or its last
    one if it stopped before; a training that has stopped counts for the others as it was then.
    Without `keeps_best` it is judged after its last epoch.
    """
    last = [max(each) for each in courses]
    if not keeps_best or len(courses) < FEWEST:
        return [each[end] for each, end in zip(courses, last, strict=True)]
    every = range(1, max(last) + 1)
    table = np.array(
        [
            [each[min(epoch, end)] for epoch in every]
            for each, end in zip(courses, last, strict=True)
        ]
    )
    table = table if is_more_better else -table
    table = np.where(np.isfinite(table), table, -np.inf)
    best = [np.delete(table, row, axis=0).mean(axis=0).argmax() for row in range(len(table))]
    return [courses[row][min(every[place], last[row])] for row, place in enumerate(best)]


def _draws(means: Array, variances: Array, doubt: Array, generator: np.random.Generator) -> Array:
    """What the candidates may truly be worth [D, K]: draws from the posterior."""
    noise = generator.standard_normal((NUM_DRAWS, len(means)))
    if len(means) == 1 or not variances.any():
        return means + doubt * noise * np.sqrt(variances)
    spreads = _spreads(means, variances)[:, None]
    totals = spreads**2 + variances
    kept, weights = spreads**2 / totals, 1 / totals
    precision = weights.sum(axis=1, keepdims=True)
    middles = (weights * means).sum(axis=1, keepdims=True) / precision
    middles += doubt * generator.standard_normal(doubt.shape) / np.sqrt(precision)
    drawn: Array = middles + kept * (means - middles) + doubt * noise * np.sqrt(kept * variances)
    return drawn


def _spreads(means: Array, variances: Array) -> Array:
    """How far the candidates may truly lie apart [D], each spread as often as it is likely."""
    scale = float(np.sqrt(variances.mean()))
    widest = 5 * max(scale, float(means.std(ddof=1)))
    spreads = np.linspace(0.0, 1.0, NUM_SPREADS) ** 2 * widest
    weights = 1 / (spreads[:, None] ** 2 + variances)
    precision = weights.sum(axis=1)
    middles = (weights * means).sum(axis=1) / precision
    logs = 0.5 * (np.log(weights).sum(axis=1) - np.log(precision))
    logs -= 0.5 * (weights * (means - middles[:, None]) ** 2).sum(axis=1)
    logs -= np.log1p((spreads / scale) ** 2)  # a half-Cauchy prior, as wide as the seeds' noise
    logs += np.log(np.gradient(spreads))
    likely = np.exp(logs - logs.max())
    return spreads[_in_proportion(likely / likely.sum(), NUM_DRAWS)]


def _in_proportion(shares: Array, count: int) -> NDArray[np.int64]:
    """`count` places in proportion to their shares, without chance."""
    points = (np.arange(count) + 0.5) / count
    return np.searchsorted(np.cumsum(shares), points).clip(max=len(shares) - 1)


def _chances(draws: Array) -> Array:
    """How often each column is the largest of its row; equals share."""
    is_largest = draws == draws.max(axis=1, keepdims=True)
    shares: Array = (is_largest / is_largest.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares
