"""Train one trial, epoch by epoch. Knows no files, no pruner and no other trial."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch import components
from nnsearch.data.batches import order
from nnsearch.events import Epoch
from nnsearch.study.spec import Objective, TrialSpec
from nnsearch.training.augment import Draws, augmented, draws, mixed, refuse_misfits
from nnsearch.training.averages import (
    add_to_mean,
    begin_mean,
    is_averaged,
    measured,
    share_of_epoch,
    share_of_step,
    with_mean,
)
from nnsearch.training.evaluate import predict
from nnsearch.training.material import Material
from nnsearch.training.patience import Peak, is_over, weigh, with_peak
from nnsearch.training.recipe import Recipe, recipe
from nnsearch.training.seeding import seed_epoch, seed_weights
from nnsearch.training.start import begin, parameters, set_learning, slow_down
from nnsearch.training.steps import size, steps

Factor = Callable[[int, Sequence[float]], float]


class NonFiniteLossError(Exception):
    """The loss became NaN or infinite; the message names the step, counted from 1."""


class Kept(NamedTuple):
    """The best epoch so far, or the last one where the best is not wanted."""

    epoch: int
    metrics: dict[str, float]
    predictions: np.ndarray[Any, Any]
    weights: dict[str, Tensor]
    peak: Peak


class Step(NamedTuple):
    """What `fit` yields after each epoch: the event, and how to take a checkpoint of now."""

    event: Epoch
    snapshot: Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Pupil:
    """One network in training, with all that its training needs."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    factor: Factor
    base_rates: tuple[float, ...]
    recipe: Recipe
    material: Material
    seed: int


Run = Generator[Step, bool, Kept | None]


def build_model(trial: TrialSpec, material: Material, code: Path) -> nn.Module:
    """The trial's untrained model, on the device and in the memory layout of its data."""
    seed_weights(trial.seed)
    make = components.load("models", trial.model.name, root=code, allow_code=True)
    outputs = material.task.outputs or prod(material.inputs)
    model: nn.Module = make(material.inputs, outputs, **trial.model.options)
    model = model if material.task.around is None else material.task.around(model)
    model.to(material.train.device)
    is_image = material.train.dim() == 4  # noqa: PLR2004 - [N, C, H, W]
    return model.to(memory_format=torch.channels_last) if is_image else model  # type: ignore[call-overload]


def prepare(trial: TrialSpec, material: Material, code: Path) -> Pupil:
    """The model, its optimizer and its schedule, before the first step."""
    chosen = recipe(**trial.training.options)
    refuse_misfits(chosen.augment, material.train, material.train_targets)
    model = build_model(trial, material, code)
    begin(model, chosen.start, code)
    make = components.load("optimizers", trial.optimizer.name, root=code, allow_code=True)
    given = parameters(model, chosen.start)
    optimizer: torch.optim.Optimizer = make(given, **trial.optimizer.options)
    slow_down(optimizer, chosen.start)
    rates = tuple(float(group["lr"]) for group in optimizer.param_groups)
    factor = make_factor(trial, chosen, material, code)
    return Pupil(model, optimizer, factor, rates, chosen, material, trial.seed)


def make_factor(trial: TrialSpec, chosen: Recipe, material: Material, code: Path) -> Factor:
    """The schedule as a function of the step, from 0, and of the validation losses so far."""
    schedule = components.load("schedules", trial.schedule.name, root=code, allow_code=True)
    total = len(steps(len(material.train), chosen)) * chosen.epochs

    def factor(step: int, losses: Sequence[float]) -> float:
        return float(schedule(step, total, losses, **trial.schedule.options))

    return factor


def fit(
    pupil: Pupil,
    objective: Objective,
    number: int,
    past: dict[str, Any] | None = None,
    *,
    enough: float | None = None,
) -> Run:
    """Train, yielding a `Step` after each epoch; send False to stop there.

    Returns the epoch that is kept, or None where it was told to stop. `past` is a snapshot to go
    on from. Training ends where the objective reaches `enough`. Raises NonFiniteLossError where the
    loss is no number, for it would never be again.
    """
    losses: list[float] = []
    kept: Kept | None = None
    mean = begin_mean(pupil.model, pupil.recipe)
    if past is not None:
        losses, kept = restore(pupil, mean, past, objective)
    # Asked before an epoch, so that one that was killed after its last checkpoint ends alike.
    while kept is None or not is_over(
        pupil.recipe,
        len(losses),
        best_epoch=kept.peak[0],
        is_enough=objective.reaches(kept.metrics[objective.key], enough),
    ):
        epoch = len(losses) + 1
        start = time.perf_counter()
        train_loss = _train_epoch(pupil, mean, epoch, losses)
        with _judged(pupil, mean, epoch):
            metrics, predictions = _judge(pupil, train_loss)
            losses.append(metrics["valid/loss"])
            reached = epoch, metrics[objective.key]
            before = None if kept is None else (kept.metrics[objective.key], kept.peak)
            is_kept, peak = weigh(pupil.recipe, objective, reached, before)
            if kept is None or is_kept:
                kept = Kept(epoch, metrics, predictions, _weights(pupil.model), peak)
        event = Epoch(number, epoch, time.time(), time.perf_counter() - start, metrics)
        best = kept
        if not (yield Step(event, lambda: snapshot(pupil, mean, losses, best))):  # noqa: B023
            return None
    pupil.model.load_state_dict(kept.weights)
    return kept


def _judge(pupil: Pupil, train_loss: float) -> tuple[dict[str, float], np.ndarray[Any, Any]]:
    """Every metric of the network as it is now, and its predictions of the validation split."""
    material = pupil.material
    predictions, valid_loss = predict(pupil.model, material, pupil.recipe.precision)
    metrics = {
        "train/loss": train_loss,
        "valid/loss": valid_loss,
        "lr": float(pupil.optimizer.param_groups[0]["lr"]),
        **valid_metrics(material.task.metrics(predictions, material.valid_raw)),
    }
    return metrics, predictions


def snapshot(
    pupil: Pupil, mean: Sequence[Tensor], losses: list[float], kept: Kept
) -> dict[str, Any]:
    """All that training needs to go on after this epoch: tensors and plain values only."""
    return {
        "model": pupil.model.state_dict(),
        "mean": list(mean),
        "optimizer": pupil.optimizer.state_dict(),
        "losses": list(losses),
        "kept": {**kept._asdict(), "predictions": torch.from_numpy(kept.predictions)},
    }


def restore(
    pupil: Pupil, mean: Sequence[Tensor], past: dict[str, Any], objective: Objective
) -> tuple[list[float], Kept]:
    """Put the pupil where `snapshot` was taken; its validation losses and kept epoch."""
    pupil.model.load_state_dict(past["model"])
    for each, before in zip(mean, past.get("mean", ()), strict=True):
        each.copy_(before)
    pupil.optimizer.load_state_dict(past["optimizer"])
    kept = with_peak(past["kept"], objective)
    return list(past["losses"]), Kept(**{**kept, "predictions": kept["predictions"].numpy()})


def _judged(
    pupil: Pupil, mean: Sequence[Tensor], epoch: int
) -> contextlib.AbstractContextManager[None]:
    """The pupil as it is judged after this epoch: its weights, or their mean."""
    if not is_averaged(pupil.recipe, epoch):
        return contextlib.nullcontext()
    train = pupil.material.train
    rows = measured(len(train), pupil.seed, epoch)
    return with_mean(pupil.model, mean, lambda: (train[each.to(train.device)] for each in rows))


def _train_epoch(
    pupil: Pupil, mean: Sequence[Tensor], epoch: int, valid_losses: Sequence[float]
) -> float:
    seed_epoch(pupil.model, pupil.seed, epoch)
    pupil.model.train()
    set_learning(pupil.model, pupil.recipe.start, epoch)
    train = pupil.material.train
    rows = order(len(train), pupil.seed, epoch).to(train.device)
    plan = steps(len(rows), pupil.recipe)
    found = []
    first = (epoch - 1) * len(plan)
    random = draws(pupil.seed, epoch)
    for index, some in enumerate(plan):
        factor = pupil.factor(first + index, valid_losses)
        for group, rate in zip(pupil.optimizer.param_groups, pupil.base_rates, strict=True):
            group["lr"] = rate * factor
        found.append(_step(pupil, [rows[each] for each in some], random))
        add_to_mean(mean, pupil.model, share_of_step(pupil.recipe, first + index + 1))
    add_to_mean(mean, pupil.model, share_of_epoch(pupil.recipe, epoch))
    losses = torch.stack(found)
    finite = torch.isfinite(losses)
    if not bool(finite.all()):
        raise NonFiniteLossError(
            f"non-finite loss at step {first + int(finite.int().argmin()) + 1}"
        )
    sizes = torch.tensor([size(each) for each in plan], device=train.device)
    return float((losses * sizes).sum() / sizes.sum())


def _step(pupil: Pupil, batches: Sequence[Tensor], random: Draws) -> Tensor:
    """One step of the optimizer by the rows of these batches; the mean loss of all of them."""
    chosen = pupil.recipe
    pupil.optimizer.zero_grad(set_to_none=True)
    learned = [each for each in pupil.model.parameters() if each.requires_grad]
    num_rows = sum(map(len, batches))
    found = torch.zeros((), device=batches[0].device)
    for rows in batches:
        share = len(rows) / num_rows
        loss = _loss(pupil, rows, random)
        found = found + share * loss.detach()
        penalty = chosen.l1 * sum((each.abs().sum() for each in learned), torch.zeros(()))
        whole = loss + penalty.to(loss.device) if chosen.l1 else loss
        (share * whole if len(batches) > 1 else whole).backward()
    if chosen.clip_norm:
        nn.utils.clip_grad_norm_(learned, chosen.clip_norm)
    if chosen.clip_value:
        nn.utils.clip_grad_value_(learned, chosen.clip_value)
    pupil.optimizer.step()
    return found


def _loss(pupil: Pupil, rows: Tensor, random: Draws) -> Tensor:
    """The mean loss of these rows of the training split, to be differentiated."""
    chosen, material = pupil.recipe, pupil.material
    inputs = augmented(material.train[rows], chosen.augment, random)
    inputs, mix = mixed(inputs, chosen.augment.mixup, random)
    is_mixed = chosen.precision == "bfloat16"
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=is_mixed):
        outputs = pupil.model(inputs)
    outputs = outputs.float() if is_mixed else outputs
    targets = material.train_targets[rows]
    loss: Tensor = material.task.losses(outputs, targets).mean()
    if mix is None:
        return loss
    others: Tensor = material.task.losses(outputs, targets[mix.partners]).mean()
    return mix.share * loss + (1 - mix.share) * others


def valid_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """The task's metrics under their names in events, as plain numbers, which checkpoints hold."""
    return {f"valid/{name}": float(value) for name, value in metrics.items()}


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
