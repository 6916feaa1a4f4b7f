"""What a trial trains on: transformed, encoded, resident on the device. Sees no test row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch import components
from nnsearch.data.examples import Examples
from nnsearch.data.prepare import open_part
from nnsearch.data.transforms import default_transform
from nnsearch.models.embedding import Features
from nnsearch.models.factorization import Pairs
from nnsearch.models.sequence import Tokens
from nnsearch.study.spec import Component, TrialSpec
from nnsearch.tasks.task import Task

ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Material:
    """The two splits that a trial may see, ready for the model, and the task that judges it.

    `train` and `valid` are float32 [N, *inputs], or int32 [N, T] where they are tokens of texts;
    `train_targets` and `valid_targets` are encoded for the loss; `valid_raw` are the targets [N] as
    the task's metrics want them.
    """

    task: Task
    transforms: nn.Sequential
    train: Tensor
    train_targets: Tensor
    valid: Tensor
    valid_targets: Tensor
    valid_raw: np.ndarray[Any, Any]

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape behind the transforms; of a text `Tokens`, of a user and an item `Pairs`.

        That of a table with categories is `Features`.
        """
        last: nn.Module | None = self.transforms[-1] if len(self.transforms) else None
        vocabulary = getattr(last, "vocabulary", 0)
        if sizes := getattr(last, "sizes", ()):
            return Pairs(*sizes)
        shape = tuple(self.train.shape[1:])
        if places := getattr(last, "places", ()):
            return Features(shape[0], places)
        return Tokens(shape[0], vocabulary) if vocabulary else shape


MaterialOf = Callable[[TrialSpec], Material]


def gather(trial: TrialSpec, data: Path, code: Path, device: torch.device) -> Material:
    """Read the train and valid splits of `data`, fit the transforms on train, apply them to both.

    `code` is the study's folder, where components of the user's own lie.
    """
    train, valid = open_part(data, "train"), open_part(data, "valid")
    transforms = fit_transforms(trial.transforms, train, code)
    task = _make_task(trial, train, code)
    raw = np.asarray(valid.targets)
    inputs, targets = _resident(transforms, train.inputs, device), np.asarray(train.targets)
    return Material(
        task=task,
        transforms=transforms,
        train=inputs if task.rows is None else inputs[torch.from_numpy(task.rows).to(device)],
        train_targets=task.encode(targets if task.rows is None else targets[task.rows]).to(device),
        valid=_resident(transforms, valid.inputs, device),
        valid_targets=task.encode(raw).to(device),
        valid_raw=raw,
    )


def with_task(material: Material, trial: TrialSpec, data: Path, code: Path) -> Material:
    """The same inputs for a trial of another task, or of other options of the task."""
    train, valid = open_part(data, "train"), open_part(data, "valid")
    task = _make_task(trial, train, code)
    device = material.train.device
    if task.rows is not None or material.task.rows is not None:
        return gather(trial, data, code, device)  # its rows are others
    return replace(
        material,
        task=task,
        train_targets=task.encode(np.asarray(train.targets)).to(device),
        valid_targets=task.encode(np.asarray(valid.targets)).to(device),
    )


def _make_task(trial: TrialSpec, train: Examples, code: Path) -> Task:
    make = components.load("tasks", trial.task.name, root=code, allow_code=True)
    task: Task = make(np.asarray(train.targets), **trial.task.options)
    return task


def fit_transforms(chosen: Sequence[Component], train: Examples, code: Path) -> nn.Sequential:
    """The transforms in order, each fitted on the training split as the ones before leave it."""
    named = list(chosen) or [Component(default_transform(train.signature))]
    fitted: list[nn.Module] = []
    for each in named:
        transform = components.load("transforms", each.name, root=code, allow_code=True)
        seen = train if not fitted else _seen_through(nn.Sequential(*fitted), train)
        fitted.append(transform(seen, **each.options))
    return nn.Sequential(*fitted).eval()


def _seen_through(transforms: nn.Sequential, train: Examples) -> Examples:
    inputs = _resident(transforms, train.inputs, torch.device("cpu")).numpy()
    return Examples(inputs, train.targets, train.signature)


def _resident(
    transforms: nn.Sequential, inputs: np.ndarray[Any, Any], device: torch.device
) -> Tensor:
    with torch.no_grad():
        chunks = [
            transforms(torch.from_numpy(np.array(inputs[start : start + ROWS_AT_ONCE])))
            for start in range(0, len(inputs), ROWS_AT_ONCE)
        ]
    whole = torch.cat(chunks).to(device)
    is_image = whole.dim() == 4  # noqa: PLR2004 - [N, C, H, W]
    return whole.contiguous(memory_format=torch.channels_last) if is_image else whole
