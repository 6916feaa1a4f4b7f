"""K trials of one shape as one network: their weights, optimizers and random streams side by side.

Knows no epoch, no metric and no file.

Shape suffixes: K trials, B examples, F features, P numbers of a trial's weights, Q of its buffers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nnsearch import components
from nnsearch.models.dropout import Dropout
from nnsearch.models.stacked import stack
from nnsearch.models.stacked_layer import (
    Layer,
    Means,
    Mode,
    NotStackableError,
    Weights,
    lay_out,
)
from nnsearch.optim import stacked
from nnsearch.study.spec import Component, TrialSpec
from nnsearch.training.fit import Factor, build_model, make_factor
from nnsearch.training.masks import Masks
from nnsearch.training.material import Material
from nnsearch.training.recipe import Recipe, recipe
from nnsearch.training.seeding import dropouts


@dataclass(frozen=True, slots=True)
class Member:
    """One trial of a group, with what only it has."""

    trial: TrialSpec
    recipe: Recipe
    material: Material
    factor: Factor
    options: dict[str, Any]
    dropout: tuple[float, ...]

    @property
    def number(self) -> int:
        """The trial's."""
        return self.trial.number


class _Arrays(NamedTuple):
    """Weights [K, P], buffers [K, Q] and means [K, P], if there are any, a row a trial."""

    values: Tensor
    buffers: Tensor
    means: Tensor | None

    def of(self, rows: list[int]) -> "_Arrays":
        """Some of the rows, copied."""
        means = None if self.means is None else self.means[rows]
        return _Arrays(self.values[rows], self.buffers[rows], means)


class Limits(NamedTuple):
    """What is done to gradients, as columns [K, 1]; None where no member asks for it."""

    l1: Tensor | None
    norm: Tensor | None
    value: Tensor | None


@dataclass(frozen=True, slots=True)
class Part:
    """The rows `start` to `stop`, which one optimizer serves."""

    start: int
    stop: int
    name: str
    rows: stacked.Rows

    def step(self, rates: Sequence[float], count: int) -> None:
        """One step of the optimizer at K rates, of which it takes its own."""
        stacked.RULES[self.name].step(self.rows, rates[self.start : self.stop], count)


@dataclass(frozen=True, slots=True)
class Group:
    """K members in training; `template` is the untrained network of the first.

    The members stand in the order of their optimizers, so that each optimizer has rows in a row.
    `means` [K, P] are the weights' means over training, where a member asks for one.
    """

    members: tuple[Member, ...]
    template: nn.Module
    weights: Weights
    parts: tuple[Part, ...]
    masks: Masks
    mode: Mode
    net: Layer
    limits: "Limits"
    means: Tensor | None

    @property
    def material(self) -> Material:
        """The first member's; all share its arrays, though not its loss."""
        return self.members[0].material

    @property
    def takes_images(self) -> bool:
        """Whether the network wants images rather than rows."""
        return not isinstance(next(iter(self.template.children())), nn.Flatten)

    @property
    def has_image_norms(self) -> bool:
        """Whether some layer needs all images of a trial's batch at once, or their own channels."""
        return any(
            isinstance(each, nn.BatchNorm2d | nn.GroupNorm) for each in self.template.modules()
        )

    def keep(self, indices: Sequence[int]) -> "Group":
        """The group of some of the members only."""
        chosen = list(indices)
        state = [
            {name: each[part_rows] for name, each in part.rows.state.items()}
            for part in self.parts
            if (part_rows := [i - part.start for i in chosen if part.start <= i < part.stop])
        ]
        arrays = _Arrays(self.weights.values, self.weights.buffers, self.means).of(chosen)
        return _assemble([self.members[i] for i in chosen], self.template, arrays, state)

    def state(self) -> dict[str, Any]:
        """Weights, buffers and what the optimizers remember: tensors only."""
        return {
            "numbers": [member.number for member in self.members],
            "weights": self.weights.values,
            "buffers": self.weights.buffers,
            "means": self.means,
            "optimizers": [
                {"rows": part.stop - part.start, "state": part.rows.state} for part in self.parts
            ],
        }

    def state_dict(self, values: Tensor, buffers: Tensor) -> dict[str, Tensor]:
        """A member's weights and buffers, rows [P] and [Q], as its network's own state dict."""
        named = self.weights.layout.unpack(values) | self.weights.buffer_layout.unpack(buffers)
        return {
            # Counts lie among the other buffers as numbers.
            name: named[name] if kind.is_floating_point() else named[name].to(kind.dtype)
            for name, kind in self.template.state_dict().items()
        }


def make_group(
    trials: Iterable[TrialSpec], material_of: Callable[[TrialSpec], Material], code: Path
) -> Group:
    """The trials before their first step, each with the weights that it would have alone.

    Raises NotStackableError where they do not fit together or have no stacked form.
    """
    made = [(trial, material_of(trial)) for trial in sorted(trials, key=_order)]
    models = [build_model(trial, material, code) for trial, material in made]
    members = [
        _member(trial, material, code, model)
        for (trial, material), model in zip(made, models, strict=True)
    ]
    shapes = {_shapes(each) for each in models}
    if len(shapes) > 1:
        raise NotStackableError(f"{len(models)} trials have {len(shapes)} shapes.")
    layout = lay_out(models[0].named_parameters())
    buffer_layout = lay_out(models[0].named_buffers())
    like = members[0].material.train
    with torch.no_grad():
        values = layout.pack((dict(each.named_parameters()) for each in models), like)
        buffers = buffer_layout.pack((dict(each.named_buffers()) for each in models), like)
    has_means = any(member.recipe.averaging.kind != "none" for member in members)
    means = values.clone() if has_means else None
    return _assemble(members, models[0], _Arrays(values, buffers, means))


def restore(group: Group, state: dict[str, Any]) -> Group:
    """Those of the members that were there when `state()` was taken, as they were."""
    places = {member.number: index for index, member in enumerate(group.members)}
    is_left = [number in places for number in state["numbers"]]
    rows = [row for row, is_here in enumerate(is_left) if is_here]
    members = [group.members[places[state["numbers"][row]]] for row in rows]
    states, start = [], 0
    for part in state["optimizers"]:
        chosen = [row for row in range(part["rows"]) if is_left[start + row]]
        start += part["rows"]
        if chosen:
            states.append({name: each[chosen] for name, each in part["state"].items()})
    arrays = _Arrays(state["weights"], state["buffers"], state.get("means")).of(rows)
    return _assemble(members, group.template, arrays, states)


def _member(trial: TrialSpec, material: Material, code: Path, model: nn.Module) -> Member:
    chosen = recipe(**trial.training.options)
    factor = make_factor(trial, chosen, material, code)
    rates = tuple(each.rate for each in dropouts(model))
    return Member(trial, chosen, material, factor, resolved(trial.optimizer), rates)


def resolved(optimizer: Component) -> dict[str, Any]:
    """The optimizer's options with the defaults of those that the study leaves out."""
    known = components.options(components.load("optimizers", optimizer.name))
    return {name: each.default for name, each in known.items()} | optimizer.options


def _order(trial: TrialSpec) -> tuple[str, str, str, int]:
    return *_kind(trial.optimizer.name, resolved(trial.optimizer)), str(trial.task), trial.number


def _kind(name: str, options: dict[str, Any]) -> tuple[str, str]:
    return name, str([(key, value) for key, value in options.items() if isinstance(value, bool)])


def _shapes(model: nn.Module) -> tuple[Any, ...]:
    """Equal for networks that differ in nothing but their weights and dropout rates."""
    modules = tuple(
        (name, type(each).__name__, "" if isinstance(each, Dropout) else each.extra_repr())
        for name, each in model.named_modules()
    )
    return modules, tuple((name, tuple(each.shape)) for name, each in model.named_parameters())


def _assemble(
    members: Sequence[Member],
    template: nn.Module,
    arrays: _Arrays,
    states: Sequence[stacked.State] | None = None,
) -> Group:
    values, buffers, means = arrays
    layout, buffer_layout = lay_out(template.named_parameters()), lay_out(template.named_buffers())
    weights = Weights(layout, values, torch.zeros_like(values), buffer_layout, buffers)
    masks = Masks([member.dropout for member in members], values)
    mode = Mode()
    net = stack(template, Means(weights, masks.take, mode, len(members)))
    parts = tuple(_parts(members, weights, states))
    limits = _limits([member.recipe for member in members], values)
    return Group(tuple(members), template, weights, parts, masks, mode, net, limits, means)


def _limits(recipes: Sequence[Recipe], like: Tensor) -> Limits:
    def column(values: list[float], *, off: float) -> Tensor | None:
        # In a recipe 0 turns a thing off; in a row beside others it takes a value without effect.
        given = [value or off for value in values]
        return like.new_tensor(given)[:, None] if any(values) else None

    return Limits(
        column([each.l1 for each in recipes], off=0.0),
        column([each.clip_norm for each in recipes], off=inf),
        column([each.clip_value for each in recipes], off=inf),
    )


def _parts(
    members: Sequence[Member], weights: Weights, states: Sequence[stacked.State] | None
) -> Iterable[Part]:
    start = 0
    kinds = groupby(members, key=lambda each: _kind(each.trial.optimizer.name, each.options))
    for index, ((name, _), some) in enumerate(kinds):
        given = [member.options for member in some]
        stop = start + len(given)
        values, grads = weights.values[start:stop], weights.grads[start:stop]
        options = stacked.collect(given, values)
        rule = stacked.RULES[name]
        state = stacked.fresh_state(rule, values, options) if states is None else states[index]
        yield Part(start, stop, name, stacked.Rows(values, grads, state, options))
        start = stop
