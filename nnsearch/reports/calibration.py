"""Whether a model is as often right as it says. Pure; knows no study."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.statistics import share_interval

Array = NDArray[Any]
NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like probability: what was said on average, and how often it was so.

    `low` and `high` are the ends of the exact 95 % interval of `share`.
    """

    said: float
    share: float
    low: float
    high: float
    num_rows: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The bins that hold rows, by rising probability, and the mean gap over all rows (ECE).

    `excess` is how much more was said than was so, on average over all rows: positive of a model
    that is too sure. `z` is that in its own deviations if each probability were right, so that it
    is beyond 1.96 on 5 % of such occasions only (Spiegelhalter, 1986, for calibration as a whole).
    """

    bins: tuple[Bin, ...]
    error: float
    excess: float
    z: float


def calibration(chances: Array, came_true: Array, *, num_bins: int = NUM_BINS) -> Calibration:
    """That of probabilities [N] and of whether what they were of came true [N].

    The bins divide 0 to 1 evenly (Guo and others, 2017). Raises ValueError where there are no rows.
    """
    said = np.asarray(chances, np.float64)
    true = np.asarray(came_true, np.bool_)
    if not len(said):
        raise ValueError("there are no rows")
    places = np.clip((said * num_bins).astype(np.int64), 0, num_bins - 1)
    bins = []
    for place in range(num_bins):
        inside = places == place
        count = int(inside.sum())
        if not count:
            continue
        right = int(true[inside].sum())
        low, high = share_interval(right, count)
        bins.append(Bin(float(said[inside].mean()), right / count, low, high, count))
    deviation = float(np.sqrt((said * (1 - said)).sum()))
    surplus = float((said - true).sum())
    z = surplus / deviation if deviation else 0.0 if not surplus else np.copysign(np.inf, surplus)
    return Calibration(tuple(bins), _error(bins), surplus / len(said), float(z))


def _error(bins: Sequence[Bin]) -> float:
    total = sum(each.num_rows for each in bins)
    return sum(abs(each.share - each.said) * each.num_rows for each in bins) / total
