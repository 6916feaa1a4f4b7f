"""The means of a group's weights, judged in their place. What `averages` does, for many at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from nnsearch.training.averages import is_averaged, measured, share_of_epoch, share_of_step
from nnsearch.training.group import Group
from nnsearch.training.group_inputs import gather


def add_step_to_means(group: Group, step: int) -> None:
    """Count the weights after step `step`, from 1, in the mean of each member that does."""
    if group.means is not None:
        _add(group, group.means, [share_of_step(each.recipe, step) for each in group.members])


def add_epoch_to_means(group: Group, epoch: int) -> None:
    """Count the weights after this epoch in the mean of each member that does."""
    if group.means is not None:
        _add(group, group.means, [share_of_epoch(each.recipe, epoch) for each in group.members])


@contextmanager
def with_means(group: Group, epoch: int) -> Iterator[None]:
    """The group as it is judged after this epoch: the means of those that want them by then."""
    rows = [i for i, each in enumerate(group.members) if is_averaged(each.recipe, epoch)]
    if group.means is None or not rows:
        yield
        return
    values, buffers = group.weights.values, group.weights.buffers
    before, kept = values.clone(), buffers.clone()
    values[rows] = group.means[rows]
    if group.weights.buffer_layout.size:
        _measure(group, epoch)
        others = [index for index in range(len(group.members)) if index not in rows]
        buffers[others] = kept[others]
    try:
        yield
    finally:
        values.copy_(before)
        buffers.copy_(kept)


def _measure(group: Group, epoch: int) -> None:
    """Let batch norms take the means over batches of each member's own."""
    train = group.material.train
    seeds = [member.trial.seed for member in group.members]
    drawn = zip(*(measured(len(train), seed, epoch) for seed in seeds), strict=True)
    group.mode.is_training = False
    num_seen = 0
    for rows in drawn:
        chosen = torch.stack(rows)[None].to(train.device)
        num_seen += chosen.shape[2]
        group.mode.measuring = chosen.shape[2] / num_seen
        group.net.forward(gather(group, chosen)[0])
    group.mode.measuring = 0.0


def _add(group: Group, means: Tensor, shares: Sequence[float]) -> None:
    """Move each mean by its share of the way to the weights; 0 leaves it alone."""
    rows = [index for index, share in enumerate(shares) if share]
    if not rows:
        return
    values = group.weights.values
    column = values.new_tensor([shares[index] for index in rows])[:, None]
    if len(rows) == len(shares):
        means.lerp_(values, column)
    else:
        means[rows] = means[rows].lerp_(values[rows], column)
