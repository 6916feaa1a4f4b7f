"""What tests of trials that train together share: each of a group, and the same by itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lessons import ACCURACY, Classroom

from nnsearch.events import Epoch
from nnsearch.study.spec import Component, Objective, TrialSpec
from nnsearch.training.fit import Kept, NonFiniteLossError, fit, prepare
from nnsearch.training.fit_many import Round, fit_many
from nnsearch.training.group import make_group
from nnsearch.training.material import Material, gather

DOUBLE = torch.float64
GO_ON = True

MODELS = {
    "linear": Component("linear"),
    "mlp": Component("mlp", {"width": 12, "depth": 2}),
    "mlp-batch": Component("mlp", {"width": 12, "norm": "batch", "activation": "gelu"}),
    "mlp-layer": Component("mlp", {"width": 12, "norm": "layer", "activation": "tanh"}),
    "mlp-group": Component("mlp", {"width": 12, "norm": "group", "activation": "elu"}),
    "cnn": Component("cnn", {"channels": 3, "depth": 2}),
    "cnn-residual": Component("cnn", {"channels": 4, "block": "residual", "norm": "batch"}),
    "cnn-group": Component("cnn", {"channels": 4, "norm": "group", "pool": "stride"}),
}


class Materials:
    """The material of each trial, the same for equal tasks, in the type that is asked for."""

    def __init__(self, room: Classroom, dtype: torch.dtype, rows: int = 200) -> None:
        self.room, self.dtype, self.rows = room, dtype, rows
        self.made: dict[str, Material] = {}

    def __call__(self, trial: TrialSpec) -> Material:
        """The trial's material."""
        key = str(trial.task)
        if key not in self.made:
            whole = gather(trial, self.room.data, self.room.code, torch.device("cpu"))
            changes: dict[str, Any] = {"train": whole.train[: self.rows].to(self.dtype)}
            targets = whole.train_targets[: self.rows]
            is_class = targets.dtype == torch.int64
            changes["train_targets"] = targets if is_class else targets.to(self.dtype)
            changes["valid"] = whole.valid.to(self.dtype)
            valid = whole.valid_targets
            changes["valid_targets"] = valid if is_class else valid.to(self.dtype)
            self.made[key] = replace(whole, **changes)
        return self.made[key]


def trials_of(room: Classroom, changes: list[dict[str, Any]], **common: Any) -> list[TrialSpec]:
    """One trial a change, each with a seed of its own."""
    made = [room.changed(**common).changed(**change).trial for change in changes]
    return [replace(trial, number=n, seed=100 + n) for n, trial in enumerate(made)]


def alone(
    trial: TrialSpec, materials: Materials, objective: Objective
) -> tuple[list[Epoch], Kept | str]:
    pupil = prepare(trial, materials(trial), materials.room.code)
    pupil.model.to(materials.dtype)
    run = fit(pupil, objective, trial.number)
    events = []
    try:
        step = next(run)
        while True:
            events.append(step.event)
            step = run.send(GO_ON)
    except StopIteration as stop:
        kept: Kept = stop.value
        return events, kept
    except NonFiniteLossError as error:
        return events, str(error)


def rounds(
    trials: list[TrialSpec], materials: Materials, objective: Objective, past: Any = None
) -> Iterator[Round]:
    run = fit_many(make_group(trials, materials, materials.room.code), objective, past)
    try:
        each = next(run)
        while True:
            yield each
            each = run.send(())
    except StopIteration:
        return


def together(
    trials: list[TrialSpec], materials: Materials, objective: Objective
) -> dict[int, tuple[list[Epoch], Kept | str]]:
    events: dict[int, list[Epoch]] = {trial.number: [] for trial in trials}
    ends: dict[int, Kept | str] = {}
    for each in rounds(trials, materials, objective):
        for event in each.events:
            events[event.trial].append(event)
        ends.update(each.failed)
        ends.update(each.finished)
    return {number: (events[number], ends[number]) for number in events}


def assert_equal(
    trials: list[TrialSpec], materials: Materials, objective: Objective = ACCURACY
) -> None:
    found = together(trials, materials, objective)
    for trial in trials:
        events, kept = alone(trial, materials, objective)
        fused_events, fused = found[trial.number]
        assert [each.epoch for each in fused_events] == [each.epoch for each in events]
        for one, other in zip(fused_events, events, strict=True):
            assert one.metrics == pytest.approx(other.metrics, rel=1e-7, abs=1e-9)
        if isinstance(kept, str):
            assert fused == kept
            continue
        assert isinstance(fused, Kept)
        assert fused.epoch == kept.epoch
        np.testing.assert_allclose(fused.predictions, kept.predictions, rtol=1e-6, atol=1e-7)
        assert list(fused.weights) == list(kept.weights)
        for name, value in kept.weights.items():
            torch.testing.assert_close(fused.weights[name], value, rtol=1e-7, atol=1e-8)
