"""One epoch of a group: its batches, its steps, its predictions. Knows no metric and no stopping.

Shape suffixes: K trials, S steps, B examples, F features, C channels, H height, W width, O outputs,
N rows of the validation split.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnsearch.data.batches import batches, order
from nnsearch.training.group import Group, Member
from nnsearch.training.material import Material

VALUES_AT_ONCE = 2**18  # inputs of all trials in some steps, to stay in a core's cache
EVALUATED_AT_ONCE = 2**22


class Taught(NamedTuple):
    """What an epoch of training gave, by the number of the trial.

    `losses` are the mean training losses, `rates` the learning rates of the last step; `broken`
    has the step, from 1, at which a loss became no number.
    """

    losses: dict[int, float]
    rates: dict[int, float]
    broken: dict[int, int]


def train_epoch(group: Group, epoch: int, history: Mapping[int, Sequence[float]]) -> Taught:
    """Train every member for one epoch; `history` has each one's validation losses so far."""
    members, material = group.members, group.material
    slices = batches(len(material.train), members[0].recipe.batch_size)
    first = (epoch - 1) * len(slices)
    rates = [
        [
            member.options["lr"] * member.factor(first + index, history[member.number])
            for member in members
        ]
        for index in range(len(slices))
    ]
    seeds = [member.trial.seed for member in members]
    rows = torch.from_numpy(
        np.stack([order(len(material.train), seed, epoch) for seed in seeds])
    ).to(material.train.device)
    group.masks.begin(seeds, epoch)
    group.mode.is_training = True
    losses_SK = material.train.new_zeros((len(slices), len(members)))
    for index, inputs, chosen_KB in _steps(group, rows, slices):
        losses_SK[index] = _step(group, inputs, chosen_KB)
        for part in group.parts:
            part.step(rates[index], first + index + 1)
    sizes = losses_SK.new_tensor([each.stop - each.start for each in slices])
    return Taught(
        _by_number(members, ((losses_SK * sizes[:, None]).sum(0) / sizes.sum()).tolist()),
        _by_number(members, rates[-1]),
        {number: first + step for number, step in _broken(members, losses_SK).items()},
    )


def predict_all(group: Group) -> Iterator[tuple[np.ndarray[Any, Any], float]]:
    """Each member's predictions [N, P] on the validation split, float32, and its mean loss."""
    group.mode.is_training = False
    valid = group.material.valid
    per_row = max(valid[0].numel(), 1024) * len(group.members)
    chunks = valid.split(max(1, EVALUATED_AT_ONCE // per_row))
    outputs_KNO = torch.cat([group.net.forward(_spread(group, each)) for each in chunks], dim=1)
    for member, outputs_NO in zip(group.members, outputs_KNO, strict=True):
        task, targets = member.material.task, member.material.valid_targets
        loss = float(task.losses(outputs_NO, targets).mean())
        with torch.no_grad():
            decoded = task.decode(outputs_NO.cpu())
        yield np.ascontiguousarray(decoded.float().numpy()), loss


def _steps(
    group: Group, rows_KN: Tensor, slices: Sequence[slice]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Each step's index, inputs and rows [K, B]; inputs are gathered for several steps at once."""
    index = 0
    for size, alike in groupby(slices, key=lambda each: each.stop - each.start):
        left = list(alike)
        group.masks.expect(len(left))
        per_step = rows_KN.shape[0] * size * group.material.train[0].numel()
        at_once = max(1, VALUES_AT_ONCE // per_step)
        for start in range(0, len(left), at_once):
            some = left[start : start + at_once]
            chosen_KSB = rows_KN[:, some[0].start : some[-1].stop].unflatten(1, (len(some), size))
            chosen_SKB = chosen_KSB.transpose(0, 1).contiguous()
            for inputs, chosen_KB in zip(_gather(group, chosen_SKB), chosen_SKB, strict=True):
                yield index, inputs, chosen_KB
                index += 1


def _gather(group: Group, chosen_SKB: Tensor) -> Tensor:
    """The inputs of S steps: rows [S, K, B, F], or images [S, B, K * C, H, W], channels last."""
    num_steps, num_trials, size = chosen_SKB.shape
    train = group.material.train
    if not group.takes_images:
        # Flattened after the choice: images with the channels last would be copied as a whole.
        picked = train.index_select(0, chosen_SKB.flatten())
        return picked.reshape(num_steps, num_trials, size, -1)
    # [N, H, W, C] is how images with the channels last lie in memory.
    lying = train.permute(0, 2, 3, 1)
    chosen = chosen_SKB.transpose(1, 2).flatten()
    picked = lying.index_select(0, chosen).unflatten(0, (num_steps, size, num_trials))
    together = picked.permute(0, 1, 3, 4, 2, 5).flatten(4)
    images: Tensor = together.permute(0, 1, 4, 2, 3)
    return images


def _spread(group: Group, valid: Tensor) -> Tensor:
    """The same rows for every trial."""
    num_trials = len(group.members)
    if not group.takes_images:
        flat = valid.flatten(1)
        return flat.expand(num_trials, *flat.shape)
    return valid.repeat(1, num_trials, 1, 1).contiguous(memory_format=torch.channels_last)


def _step(group: Group, inputs: Tensor, chosen_KB: Tensor) -> Tensor:
    """Forward and backward; each trial's mean loss, and its gradients regularised and clipped."""
    outputs_KBO = group.net.forward(inputs)
    start, losses, slopes = 0, [], []
    for shared in _by_material(group.members):
        stop = start + len(shared)
        found = _slopes(shared[0].material, outputs_KBO[start:stop], chosen_KB[start:stop])
        losses.append(found[0].mean(1))
        slopes.append(found[1])
        start = stop
    slopes_KBO = slopes[0] if len(slopes) == 1 else torch.cat(slopes)
    group.net.backward(slopes_KBO / chosen_KB.shape[1])
    _regularise(group)
    return losses[0] if len(losses) == 1 else torch.cat(losses)


def _by_material(members: Sequence[Member]) -> Iterator[list[Member]]:
    """Members in a row that share a loss."""
    for _, alike in groupby(members, key=lambda each: id(each.material)):
        yield list(alike)


def _slopes(material: Material, outputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Each example's loss [K, B] and its derivative by the outputs [K, B, O]."""
    targets = material.train_targets[rows]
    if material.task.slopes is not None:
        return material.task.slopes(outputs, targets)
    leaf = outputs.detach().requires_grad_()
    losses = material.task.losses(leaf, targets)
    return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]


def _regularise(group: Group) -> None:
    """L1, then clipping by norm, then by value, as `fit` has it."""
    limits, values, grads = group.limits, group.weights.values, group.weights.grads
    if limits.l1 is not None:
        grads.addcmul_(values.sign(), limits.l1)
    if limits.norm is not None:
        norms = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
        grads.mul_((limits.norm / (norms + 1e-6)).clamp_(max=1))
    if limits.value is not None:
        grads.clamp_(-limits.value, limits.value)


def _by_number(members: Sequence[Member], values: Sequence[float]) -> dict[int, float]:
    return {member.number: value for member, value in zip(members, values, strict=True)}


def _broken(members: Sequence[Member], losses_SK: Tensor) -> dict[int, int]:
    """The step, from 1, of each member's first loss that is no number."""
    is_finite = torch.isfinite(losses_SK)
    steps = (is_finite.int().argmin(0) + 1).tolist()
    found = zip(members, steps, is_finite.all(0).tolist(), strict=True)
    return {member.number: step for member, step, is_whole in found if not is_whole}
