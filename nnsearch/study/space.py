"""Resolve one trial of a study. Pure: whoever draws the values is an argument."""

from collections.abc import Callable
from typing import Any

from nnsearch.study.spec import Choice, Component, Range, Space, Study, TrialSpec

Drawn = bool | int | float | str
Draw = Callable[[str, Range], Drawn]


def sample(study: Study, draw: Draw, *, number: int, seed: int) -> TrialSpec:
    """The trial that `draw(path, range)` decides: literals only.

    The branch of a component is drawn first, then the options of that branch only, in the order
    of `study.spaces()`. `params` of the trial holds what was drawn, under its dotted name.
    """
    params: dict[str, Drawn] = {}

    def drawn(path: str, each: Range) -> Drawn:
        params[path] = draw(path, each)
        return params[path]

    transforms = tuple(_resolve(space, drawn) for space in study.transforms)
    return TrialSpec(
        number=number,
        seed=seed,
        task=_resolve(study.task, drawn),
        model=_resolve(study.model, drawn),
        optimizer=_resolve(study.optimizer, drawn),
        schedule=_resolve(study.schedule, drawn),
        training=_resolve(study.training, drawn),
        transforms=transforms,
        params=params,
    )


def _resolve(space: Space, draw: Draw) -> Component:
    names = tuple(space.alternatives)
    name = names[0] if len(names) == 1 else str(draw(f"{space.path}.name", Choice(names)))
    options: dict[str, Any] = {
        option: draw(space.option_path(name, option), value) if isinstance(value, Range) else value
        for option, value in space.alternatives[name].items()
    }
    return Component(name, options)
