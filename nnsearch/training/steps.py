"""An epoch as steps of the optimizer, each of one batch or more. Knows no data and no model."""

from nnsearch.data.batches import batches
from nnsearch.training.recipe import Recipe


def steps(num_rows: int, chosen: Recipe) -> list[list[slice]]:
    """The slices of an epoch's order, those of one step together.

    Together they are what a batch of `accumulate` times the size would be.
    """
    return [
        [
            slice(whole.start + part.start, whole.start + part.stop)
            for part in batches(whole.stop - whole.start, chosen.batch_size)
        ]
        for whole in batches(num_rows, chosen.batch_size * chosen.accumulate)
    ]


def size(some: list[slice]) -> int:
    """How many rows a step sees."""
    return int(some[-1].stop - some[0].start)
