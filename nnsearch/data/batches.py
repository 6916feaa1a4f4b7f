"""The order of rows and their division into batches. Knows no data."""

import numpy as np
import torch

from nnsearch.study.spec import derived_seed


def order(num_rows: int, seed: int, epoch: int) -> torch.Tensor:
    """A permutation int64 [num_rows] that depends on the arguments and on nothing else.

    A trial that goes on at epoch 7 thus sees what it would have seen without the interruption.
    """
    generator = np.random.default_rng(derived_seed("order", seed, epoch))
    return torch.from_numpy(generator.permutation(num_rows))


def batches(num_rows: int, batch_size: int) -> list[slice]:
    """Slices of an order that cover every row once; the last may be shorter.

    A last batch of one row is joined to the one before, for batch normalisation has no variance
    of a single row.

        batches(9, 4)   # [slice(0, 4), slice(4, 9)]
    """
    starts = list(range(0, num_rows, batch_size))
    if batch_size > 1 and len(starts) > 1 and num_rows % batch_size == 1:
        starts.pop()
    return [slice(*ends) for ends in zip(starts, [*starts[1:], num_rows], strict=True)]
