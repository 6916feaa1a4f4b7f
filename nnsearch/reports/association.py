"""How closely two columns of drawn values moved together. Pure; knows no trial."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnsearch.events import Scalar

Floats = NDArray[np.float64]


def association(
    first: Sequence[Scalar], second: Sequence[Scalar], *, are_numbers: tuple[bool, bool]
) -> float:
    """The association of two columns of values [N], from 0 to 1: the largest canonical correlation.

    Of two numbers this is the size of Spearman's correlation of their ranks. It is corrected for
    what chance gives, as adjusted R2 is: a choice of many values follows anything in few rows.
    """
    bases = [
        _basis(_column(values, is_number=is_number))
        for values, is_number in zip((first, second), are_numbers, strict=True)
    ]
    num_rows, spent = len(first), bases[0].shape[1] + bases[1].shape[1] - 1
    if not all(each.shape[1] for each in bases) or num_rows <= spent + 1:
        return 0.0
    largest = float(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)[0])
    adjusted = 1 - (1 - largest**2) * (num_rows - 1) / (num_rows - spent - 1)
    return math.sqrt(max(0.0, min(1.0, adjusted)))


def _column(values: Sequence[Scalar], *, is_number: bool) -> Floats:
    """Ranks [N, 1] of numbers, or one column a value [N, C], each less its mean."""
    if is_number:
        columns = _ranks(np.array([float(each) for each in values]))[:, None]
    else:
        known = {each: place for place, each in enumerate(dict.fromkeys(map(str, values)))}
        columns = np.eye(len(known))[[known[str(each)] for each in values]]
    centred: Floats = columns - columns.mean(axis=0)
    return centred


def _ranks(numbers: Floats) -> Floats:
    """The rank of each, equal ones at the mean of theirs."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[places]
    return ranks


def _basis(columns: Floats) -> Floats:
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    kept: Floats = left[:, sizes > 1e-9 * max(1.0, float(sizes.max(initial=0.0)))]
    return kept
