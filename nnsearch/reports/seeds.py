"""Whether one study is better than another over several seeds, each with its own division. Pure.

The divisions of one data set share most of their rows, so their results are not independent, and a
plain t-test raises an alarm far too often. The corrected resampled t-test takes the share of the
test rows for the correlation (Nadeau and Bengio, Inference for the generalization error, 2003).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from nnsearch.reports.pairs import ALPHA, POWER


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """Second minus first over `num_seeds` seeds, with its 95 % interval and two-sided p-value.

    `deviation` is that of one seed's difference, `needed` how many seeds in all would settle a
    difference of this size; None where no number would, for the rows are too few.
    """

    value: float
    low: float
    high: float
    p_value: float
    deviation: float
    num_seeds: int
    needed: int | None


def over_seeds(differences: Sequence[float], test_share: float) -> OverSeeds:
    """The test of differences on two seeds or more.

    `test_share` is how many test rows there are to one training row. Raises ValueError for fewer.
    """
    found = np.asarray(differences, np.float64)
    count = len(found)
    if count < 2:  # noqa: PLR2004 - of one there is no deviation
        raise ValueError("one seed says nothing of the others")
    value, deviation = float(found.mean()), float(found.std(ddof=1))
    scale = deviation * float(np.sqrt(1 / count + test_share))
    reach = float(special.stdtrit(count - 1, 1 - ALPHA / 2)) * scale
    if scale:
        p_value = 2 * float(special.stdtr(count - 1, -abs(value) / scale))
    else:
        p_value = float(value == 0)
    return OverSeeds(
        value,
        value - reach,
        value + reach,
        p_value,
        deviation,
        count,
        _needed(value, deviation, test_share),
    )


def _needed(value: float, deviation: float, test_share: float) -> int | None:
    """By the normal approximation; more seeds take the divisions' noise away, not the rows'."""
    if not value:
        return None
    wanted = float(special.ndtri(1 - ALPHA / 2) + special.ndtri(POWER))
    room = (value / (wanted * deviation)) ** 2 - test_share if deviation else np.inf
    return max(2, int(np.ceil(1 / room))) if room > 0 else None
