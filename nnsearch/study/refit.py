"""A trial of one study as a trial of another whose space holds it. Pure; draws nothing."""

from dataclasses import replace

from nnsearch.study.space import Drawn, sample
from nnsearch.study.spec import Choice, Component, FloatRange, IntRange, Range, Study, TrialSpec

_ROUNDING = 1e-9


class OutsideError(ValueError):
    """A trial is not in a space; the text says where it is not."""


def refit(trial: TrialSpec, study: Study) -> TrialSpec:
    """The same trial, with the parameters that `study` searches.

    What it trains stays as it was, to the letter: only which of it counts as drawn, and under which
    name, is the new study's. Raises OutsideError where the study would never draw it.
    """
    parts = _parts(trial)

    def draw(path: str, searched: Range) -> Drawn:
        table, _, option = path.rpartition(".")
        part = parts.get(table) or parts.get(table.partition(".")[0])
        if part is None:
            raise OutsideError(f"{path} is new")
        value: Drawn = part.name if option == "name" else part.options.get(option, "")
        if option != "name" and option not in part.options:
            raise OutsideError(f"{path} is new")
        if not holds(searched, value):
            raise OutsideError(f"{path} = {value} is not in the new range")
        return value

    drawn = sample(study, draw, number=trial.number, seed=trial.seed)
    for path, new in _parts(drawn).items():
        _compare(path, parts.get(path), new)
    for path in parts.keys() - _parts(drawn).keys():
        raise OutsideError(f"{path} is gone")
    return replace(trial, params=drawn.params)


def holds(searched: Range, value: Drawn) -> bool:
    """Whether a range has this value."""
    if isinstance(searched, Choice):
        return any(each == value and type(each) is type(value) for each in searched.choices)
    if isinstance(value, bool | str) or not searched.low <= value <= searched.high:
        return False
    if isinstance(searched, IntRange):
        return (int(value) - searched.low) % searched.step == 0
    return _is_on_step(searched, float(value))


def _is_on_step(searched: FloatRange, value: float) -> bool:
    if searched.step is None:
        return True
    steps = (value - searched.low) / searched.step
    return abs(steps - round(steps)) < _ROUNDING * max(1.0, abs(steps))


def _parts(trial: TrialSpec) -> dict[str, Component]:
    """The trial's components under the paths of their tables."""
    found = {
        "task": trial.task,
        "model": trial.model,
        "optimizer": trial.optimizer,
        "schedule": trial.schedule,
        "training": trial.training,
    }
    return found | {f"data.{each.name}": each for each in trial.transforms}


def _compare(path: str, old: Component | None, new: Component) -> None:
    """Raise OutsideError where a component is another; an option that came later may be new."""
    if old is None:
        raise OutsideError(f"{path} is new")
    if old.name != new.name:
        raise OutsideError(f"{path} = {old.name} is not in the new space")
    for option, value in old.options.items():
        if option not in new.options or new.options[option] != value:
            told = new.options.get(option, "gone")
            raise OutsideError(f"{path}.{option} = {value} is {told} in the new space")
