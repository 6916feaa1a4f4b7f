"""Components with one fault each: every part of every contract is seen to be broken."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from subjects import table_examples, targets_of
from torch import Tensor, nn

from nnsearch.data.examples import Examples
from nnsearch.optim.optimizers import adam
from nnsearch.tasks.classification import classification
from nnsearch.tasks.regression import regression
from nnsearch.tasks.task import Task
from nnsearch.testing import (
    ConformanceError,
    check_model,
    check_optimizer,
    check_schedule,
    check_source,
    check_task,
    check_transform,
)
from nnsearch.testing.faults import failing, sleeping


class Wrapped(nn.Module):
    """A linear layer, of whose inputs or outputs something is made."""

    def __init__(self, change: Callable[[Tensor, nn.Linear], Tensor], **also: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.change = change
        for name, value in also.items():
            setattr(self, name, nn.Parameter(value))

    def forward(self, inputs: Tensor) -> Tensor:
        """What the change makes of both."""
        return self.change(inputs, self.layer)


class Forgetful(nn.Module):
    """Counts what it has seen in a plain attribute, which no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.num_seen = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Larger from call to call."""
        self.num_seen += len(inputs) if self.training else 0
        scaled: Tensor = self.layer(inputs) * (1 + self.num_seen)
        return scaled


def wrapped(change: Callable[[Tensor, nn.Linear], Tensor], **also: Tensor) -> Any:
    return lambda *_: Wrapped(change, **also)


def unseeded(inputs: object, outputs: int) -> nn.Module:
    made = nn.Linear(4, 3)
    with torch.no_grad():
        made.weight.fill_(random.random())
    return made


def always_same(inputs: object, outputs: int) -> nn.Module:
    made = nn.Linear(4, 3)
    with torch.no_grad():
        for each in made.parameters():
            each.fill_(0.5)
    return made


def branching(inputs: Tensor, layer: nn.Linear) -> Tensor:
    """What no tracer can write down: the outputs are put together number by number in Python."""
    outputs: Tensor = layer(inputs)
    return torch.tensor(outputs.tolist()) if not outputs.requires_grad else outputs


MODELS = {
    "one seed gives different weights": unseeded,
    "every seed gives the same weights": always_same,
    "it gives the shape": lambda *_: nn.Linear(4, 2),
    "not finite": wrapped(lambda rows, layer: layer(rows) / 0),
    "it gives torch.int64": wrapped(lambda rows, layer: layer(rows).long()),
    "in evaluation, two calls differ": wrapped(
        lambda rows, layer: layer(rows) + torch.rand(len(rows), 1)
    ),
    "one seed gives different outputs in training": wrapped(
        lambda rows, layer: layer(rows) + random.random() * layer.training
    ),
    "depends on the other rows": wrapped(lambda rows, layer: layer(rows - rows.mean(0))),
    "no gradient reaches 'spare'": wrapped(lambda rows, layer: layer(rows), spare=torch.ones(2)),
    "the gradient of 'layer.weight' is all 0": wrapped(lambda rows, layer: layer(rows * 0)),
    "a checkpoint does not hold all of it": lambda *_: Forgetful(),
    "has no parameter": lambda *_: nn.Sequential(nn.Flatten(), nn.Softmax(1)),
    "ONNX": wrapped(branching),
    "asks for no gradient": lambda *_: nn.Sequential(
        nn.Linear(4, 3).requires_grad_(requires_grad=False), nn.Linear(3, 3)
    ),
}


@pytest.mark.parametrize("said", MODELS)
def test_a_broken_model_is_caught(said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        check_model(MODELS[said], (4,), 4 if said == "has no parameter" else 3)


def test_our_own_faults_are_models_until_they_come() -> None:
    check_model(failing, (4,), 3, options={"epoch": 9})
    with pytest.raises(ValueError, match="as it was told to"):
        check_model(failing, (4,), 3)
    with pytest.raises(ConformanceError, match="not finite"):
        check_model(failing, (4,), 3, options={"how": "nan"})


def changed(**fields: Any) -> Callable[..., Examples]:
    return lambda *_: replace(table_examples(), **fields)


def writing(root: Path) -> Examples:
    (root / "cache").write_text("")
    return table_examples()


def drawing(root: Path) -> Examples:
    return table_examples(seed=int(np.random.randint(9)))  # noqa: NPY002 - the fault itself


def counting() -> Callable[..., Examples]:
    seeds = iter(range(9))
    return lambda *_: table_examples(seed=next(seeds))


GOOD = table_examples()
CODE = GOOD.inputs.copy()
CODE[3, 2] = 7
SOURCES: dict[str, Callable[..., Examples]] = {
    "writes into the study's folder": writing,
    "NumPy's global generator": drawing,
    "a second reading": counting(),
    "39 inputs, but 40 targets": changed(inputs=GOOD.inputs[1:]),
    "39 groups, but 40 targets": changed(groups=np.arange(39)),
    "inputs of float32": changed(inputs=GOOD.inputs.astype(np.float32)),
    "its signature says": changed(inputs=GOOD.inputs[:, :2]),
    "not finite": changed(inputs=np.where(CODE == 7, np.inf, CODE)),
    "a cell of no category": changed(inputs=CODE),
    "a target is of no class": changed(targets=np.full(40, 2)),
    "every row is held out": changed(held_out=np.ones(40, bool)),
    "it has no row": lambda *_: GOOD.take(np.arange(0)),
    "it returns list": lambda *_: [],  # type: ignore[dict-item]
}


@pytest.mark.parametrize("said", SOURCES)
def test_a_broken_source_is_caught(said: str, own_folder: Path) -> None:
    with pytest.raises((ConformanceError, AttributeError), match=said):
        check_source(SOURCES[said], own_folder)


def test_our_slow_source_is_a_source(own_folder: Path) -> None:
    check_source(sleeping, own_folder, options={"seconds": 0})


class Scale(nn.Module):
    """Divides by the deviation of what it was fitted on, or of what it sees."""

    deviation: Tensor

    def __init__(self, train: Examples, fault: str) -> None:
        super().__init__()
        self.fault = fault
        column = torch.from_numpy(train.inputs[:, :1].astype(np.float64))
        self.register_buffer("deviation", column.std(), persistent=fault != "unsaved")
        if fault == "trained":
            self.weight = nn.Parameter(torch.ones(1))

    def forward(self, rows: Tensor) -> Tensor:
        """The first column, scaled, but for the fault."""
        column = rows[:, :1]
        match self.fault:
            case "refits":
                self.deviation.copy_(column.std())
            case "of the batch":
                return (column / column.std()).float()
            case "double":
                return column / self.deviation
            case "drops":
                return column[1:].float()
            case "missing":
                return rows[:, 1:2].float()
        return (column / self.deviation).float()


def leaky() -> Callable[..., nn.Module]:
    """Remembers, across fits, every row that it has seen."""
    seen: list[Examples] = []

    def make(train: Examples) -> nn.Module:
        seen.append(train)
        grown = np.concatenate([each.inputs[: 5 * len(seen)] for each in seen])
        return Scale(replace(train, inputs=grown, targets=np.zeros(len(grown))), "")

    return make


def mangling(train: Examples) -> nn.Module:
    train.inputs[0, 0] = 3.0
    return Scale(train, "")


TRANSFORMS: dict[str, Callable[..., nn.Module]] = {
    "fitted twice, it differs": leaky(),
    "rows of another split change it": lambda train: Scale(train, "refits"),
    "depends on the rows beside it": lambda train: Scale(train, "of the batch"),
    "not float32": lambda train: Scale(train, "double"),
    "rows of 40": lambda train: Scale(train, "drops"),
    "not finite": lambda train: Scale(train, "missing"),
    "has parameters": lambda train: Scale(train, "trained"),
    "a checkpoint does not hold all of it": lambda train: Scale(train, "unsaved"),
    "changes the examples": mangling,
}


@pytest.mark.parametrize("said", TRANSFORMS)
def test_a_broken_transform_is_caught(said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        check_transform(TRANSFORMS[said], table_examples(), table_examples(30, seed=1))


CLASSES, NUMBERS = targets_of("classification"), targets_of("regression")


def task_with(make: Callable[..., Task], **fields: Any) -> Callable[..., Task]:
    return lambda targets: make(targets)._replace(**fields)


PLAIN = classification(CLASSES)
FLIPPED = {**PLAIN.directions, "accuracy": "minimize"}
TASKS: dict[str, tuple[Callable[..., Task], Any]] = {
    "losses of shape": (
        task_with(classification, losses=lambda made, wanted: PLAIN.losses(made, wanted).mean()),
        CLASSES,
    ),
    "losses are not finite": (
        task_with(classification, losses=lambda made, wanted: PLAIN.losses(made, wanted) / 0),
        CLASSES,
    ),
    "the loss cannot be lowered|gets worse": (
        task_with(
            classification, slopes=None, losses=lambda made, wanted: -PLAIN.losses(made, wanted)
        ),
        CLASSES,
    ),
    "its slopes are not": (
        task_with(
            classification,
            slopes=lambda made, wanted: (PLAIN.losses(made, wanted), torch.zeros_like(made)),
        ),
        CLASSES,
    ),
    "but directions of": (task_with(classification, directions={"accuracy": "maximize"}), CLASSES),
    "'accuracy' is to minimize": (task_with(classification, directions=FLIPPED), CLASSES),
    "predictions are not finite": (
        task_with(classification, decode=nn.Threshold(9, -np.inf)),
        CLASSES,
    ),
    "are no finite numbers": (
        task_with(
            classification,
            metrics_many=None,
            metrics=lambda made, raw: {**PLAIN.metrics(made, raw), "mcc": float("nan")},
        ),
        CLASSES,
    ),
    "of many trials at once": (
        task_with(
            classification,
            metrics_many=lambda made, raw: [
                {**PLAIN.metrics(each, raw), "mcc": -1.0} for each in made
            ],
        ),
        CLASSES,
    ),
    "encoded of 40": (task_with(regression, encode=lambda *_: torch.zeros(3)), NUMBERS),
    "is no direction": (task_with(regression, directions={"rmse": "down"}), NUMBERS),
    "its decoding has parameters": (task_with(regression, decode=nn.Linear(1, 1)), NUMBERS),
    "it has no metric": (task_with(regression, directions={}), NUMBERS),
}


@pytest.mark.parametrize("said", TASKS)
def test_a_broken_task_is_caught(said: str) -> None:
    make, targets = TASKS[said]
    with pytest.raises(ConformanceError, match=said):
        check_task(make, targets)


class Odd(torch.optim.Optimizer):
    """Gradient descent with a fault."""

    def __init__(self, params: Any, fault: str) -> None:
        super().__init__(params, {"lr": 0.05, "fault": fault})
        self.fault = fault
        self.num_steps = 0

    def step(self, *_: Any) -> None:  # type: ignore[override]
        """Against the gradient, but for the fault."""
        self.num_steps += 1
        for group in self.param_groups:
            rate = 0.05 if self.fault == "baked" else group["lr"]
            rate = -rate if self.fault == "climbs" else rate
            rate = rate * 1e9 * self.num_steps**9 if self.fault == "explodes" else rate
            rate = rate / self.num_steps if self.fault == "forgets" else rate
            chosen = group["params"][:1] if self.fault == "lazy" else group["params"]
            for parameter in chosen:
                with torch.no_grad():
                    noise = torch.randn(()) if self.fault == "draws" else torch.ones(())
                    parameter.sub_(parameter.grad * rate * noise)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "does not move": lambda params: Odd(params, "lazy"),
    "the loss does not fall": lambda params: Odd(params, "climbs"),
    "is not finite": lambda params: Odd(params, "explodes"),
    "it goes on differently": lambda params: Odd(params, "forgets"),
    "at the rate 0": lambda params: Odd(params, "baked"),
    "torch's global generator": lambda params: Odd(params, "draws"),
}


@pytest.mark.parametrize("said", OPTIMIZERS)
def test_a_broken_optimizer_is_caught(said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        check_optimizer(OPTIMIZERS[said])


def test_a_sound_optimizer_with_options_is_not() -> None:
    check_optimizer(adam, options={"lr": 0.02, "amsgrad": True})


def remembering() -> Callable[..., float]:
    calls = iter(range(10**6))
    return lambda *_: 1 / (1 + next(calls))


def emptying(step: int, total: int, losses: Any) -> float:
    if losses:
        losses.clear()
    return 1.0


SCHEDULES: dict[str, Callable[..., float]] = {
    "it is not pure": remembering(),
    "it ends at": lambda step, *_: 0.999**step,
    "gives nan": lambda *_: float("nan"),
    "gives -1": lambda *_: -1.0,
    "at step 0 of 1 it gives inf": lambda *_: float("inf"),
    "changes the list of losses": emptying,
    "global generator": lambda *_: float(torch.rand(())),
}


@pytest.mark.parametrize("said", SCHEDULES)
def test_a_broken_schedule_is_caught(said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        check_schedule(SCHEDULES[said])
