"""One epoch of a group: its steps and its predictions. Knows no metric and no stopping.

Shape suffixes: K trials, S steps, B examples, O outputs, N rows of the validation split.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnsearch.data.batches import order
from nnsearch.training.group import Group, Member
from nnsearch.training.group_averages import add_epoch_to_means, add_step_to_means
from nnsearch.training.group_inputs import gathered, spread
from nnsearch.training.material import Material
from nnsearch.training.steps import size, steps

EVALUATED_AT_ONCE = 2**22  # values of a layer, of all trials
MORE_ON_A_GPU = 16  # times as many, for each kernel has to be launched
PLANES = 16  # what a convolution may make of each value of an image


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
    plan = steps(len(material.train), members[0].recipe)
    first = (epoch - 1) * len(plan)
    rates = [
        [
            member.options["lr"] * member.factor(first + index, history[member.number])
            for member in members
        ]
        for index in range(len(plan))
    ]
    seeds = [member.trial.seed for member in members]
    rows = torch.from_numpy(
        np.stack([order(len(material.train), seed, epoch) for seed in seeds])
    ).to(material.train.device)
    group.masks.begin(seeds, epoch)
    group.mode.is_training = True
    losses_SK = material.train.new_zeros((len(plan), len(members)))
    batches = gathered(group, rows, [each for some in plan for each in some])
    for index, some in enumerate(plan):
        losses_SK[index] = take_step(group, islice(batches, len(some)), size(some))
        for part in group.parts:
            part.step(rates[index], first + index + 1)
        add_step_to_means(group, first + index + 1)
    add_epoch_to_means(group, epoch)
    sizes = losses_SK.new_tensor([size(each) for each in plan])
    # Along rows: the bits of sums down columns would depend on how many trials there are.
    losses_KS = losses_SK.T.contiguous()
    return Taught(
        _by_number(members, ((losses_KS * sizes).sum(1) / sizes.sum()).tolist()),
        _by_number(members, rates[-1]),
        {number: first + step for number, step in _broken(members, losses_SK).items()},
    )


def predict_all(group: Group) -> Iterator[tuple[np.ndarray[Any, Any], float]]:
    """Each member's predictions [N, P] on the validation split, float32, and its mean loss."""
    group.mode.is_training = False
    chunks = group.material.valid.split(rows_at_once(group, len(group.members)))
    outputs_KNO = torch.cat([group.net.forward(spread(group, each)) for each in chunks], dim=1)
    # Fetched for all members at once: each fetch would wait until a GPU has done its work.
    losses = torch.stack(
        [
            member.material.task.losses(outputs_NO, member.material.valid_targets).mean()
            for member, outputs_NO in zip(group.members, outputs_KNO, strict=True)
        ]
    ).tolist()
    for member, outputs_NO, loss in zip(group.members, outputs_KNO.cpu(), losses, strict=True):
        with torch.no_grad():
            decoded = member.material.task.decode(outputs_NO)
        yield np.ascontiguousarray(decoded.float().numpy()), loss


def rows_at_once(group: Group, num_trials: int) -> int:
    """How many rows of the validation split a network of so many such trials is given at once."""
    judged = judged_at_once(group.material.valid, is_image=group.takes_images)
    return max(1, judged // num_trials)


def judged_at_once(valid: Tensor, *, is_image: bool) -> int:
    """How many such rows all trials together are given at once, if it is no fewer."""
    most = EVALUATED_AT_ONCE if valid.is_cpu else MORE_ON_A_GPU * EVALUATED_AT_ONCE
    return most // max(valid[0].numel() * (PLANES if is_image else 1), 1024)


def take_step(group: Group, batches: Iterable[tuple[Tensor, Tensor]], num_rows: int) -> Tensor:
    """Each trial's mean loss over the batches of a step, and its gradients, ready to be used."""
    losses_K: Tensor | None = None
    total = grads = group.weights.grads
    for inputs, chosen_KB in batches:
        share = chosen_KB.shape[1] / num_rows
        found_K = _pass(group, inputs, chosen_KB)
        if losses_K is None:
            losses_K = found_K if share == 1 else share * found_K
            total = grads if share == 1 else share * grads
        else:
            losses_K = losses_K + share * found_K
            total.add_(grads, alpha=share)
    if total is not grads:
        grads.copy_(total)
    _regularise(group)
    assert losses_K is not None  # noqa: S101 - a step has a batch
    return losses_K


def _pass(group: Group, inputs: Tensor, chosen_KB: Tensor) -> Tensor:
    """Forward and backward; each trial's mean loss [K], and its gradients in their place."""
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
