"""What a group's network is given: rows of the training split by trial, or all the same.

Knows no loss and no weights.

Shape suffixes: K trials, S batches, B examples, F features, C channels, H height, W width, N rows
of the training split.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from torch import Tensor

from nnsearch.models.images import channels_last
from nnsearch.training.group import Group

VALUES_AT_ONCE = 2**18  # inputs of all trials in some batches, to stay in a core's cache


def gathered(
    group: Group, rows_KN: Tensor, slices: Sequence[slice]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Each batch's inputs and rows [K, B]; inputs are gathered for several batches at once."""
    for size, alike in groupby(slices, key=lambda each: each.stop - each.start):
        left = list(alike)
        group.masks.expect(len(left))
        per_step = rows_KN.shape[0] * size * group.material.train[0].numel()
        at_once = max(1, VALUES_AT_ONCE // per_step)
        for start in range(0, len(left), at_once):
            some = left[start : start + at_once]
            chosen_KSB = rows_KN[:, some[0].start : some[-1].stop].unflatten(1, (len(some), size))
            chosen_SKB = chosen_KSB.transpose(0, 1).contiguous()
            yield from zip(gather(group, chosen_SKB), chosen_SKB, strict=True)


def gather(group: Group, chosen_SKB: Tensor) -> Sequence[Tensor]:
    """The inputs of S batches: rows [K, B, F], or images [B, K * C, H, W], channels last.

    Images may be folded: the parts of each trial's batch then lie side by side, and B is smaller.
    """
    num_steps, num_trials, size = chosen_SKB.shape
    train = group.material.train
    if not group.takes_images:
        # Flattened after the choice: images with the channels last would be copied as a whole.
        picked = train.index_select(0, chosen_SKB.flatten())
        return picked.reshape(num_steps, num_trials, size, -1).unbind()
    folds = _fold(group, size)
    parts = chosen_SKB.reshape(num_steps, num_trials * folds, -1).transpose(1, 2)
    # [N, H, W, C] is how images with the channels last lie in memory.
    lying = train.permute(0, 2, 3, 1).index_select(0, parts.flatten())
    by_trial = lying.unflatten(0, parts.shape).permute(0, 1, 3, 4, 2, 5)
    return [channels_last(each.flatten(3).permute(0, 3, 1, 2)) for each in by_trial]


def spread(group: Group, valid: Tensor) -> Tensor:
    """The same rows for every trial."""
    num_trials = len(group.members)
    if not group.takes_images:
        flat = valid.flatten(1)
        return flat.expand(num_trials, *flat.shape)
    folds = _fold(group, len(valid))
    parts = valid.unflatten(0, (folds, -1)).transpose(0, 1).flatten(1, 2)
    return channels_last(parts.repeat(1, num_trials, 1, 1))


def _fold(group: Group, size: int) -> int:
    """Into how many parts images go from here on.

    A lone trial's go into two: on a CPU grouped convolutions of two halves take less time than one
    convolution of few channels, and so does pooling.
    """
    is_alone = len(group.members) == 1 and group.material.train.is_cpu
    group.mode.folds = 2 if is_alone and size % 2 == 0 and not group.has_image_norms else 1
    return group.mode.folds
