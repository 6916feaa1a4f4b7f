"""A study and a trial as frozen values. Knows neither TOML nor any component."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from nnsearch.errors import UsageError

Literals = bool | int | float | str | tuple[int | float | str, ...]
Direction = Literal["maximize", "minimize"]

# Before the names of what a trial costs, as `valid/` stands before the metrics of a task.
COST = "cost/"
# Before the numbers of the divisions of the rows, where a trial is trained on several.
FOLDS = "folds/"


@dataclass(frozen=True, slots=True)
class FloatRange:
    """A real number from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclass(frozen=True, slots=True)
class IntRange:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several literals."""

    choices: tuple[bool | int | float | str, ...]


Range = FloatRange | IntRange | Choice


@dataclass(frozen=True, slots=True)
class Component:
    """A component by name, with literal options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "Component":
        """The component of a JSON object; arrays become tuples, as options are."""
        options = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in fields["options"].items()
        }
        return Component(fields["name"], options)


@dataclass(frozen=True, slots=True)
class Space:
    """Where one component is searched: each alternative's name with its options or ranges.

    `path` is the dotted path of its table, such as `model`; where there is one alternative only,
    nothing is searched but its ranges. `shared` are the options that the alternatives have in
    common and that are drawn once, under `path.option` rather than `path.alternative.option`.
    """

    path: str
    alternatives: dict[str, dict[str, Any]]
    shared: frozenset[str] = frozenset()

    def option_path(self, name: str, option: str) -> str:
        """The dotted name of an option: Optuna's parameter name and MLflow's."""
        alone = len(self.alternatives) == 1 or option in self.shared
        return f"{self.path}.{option}" if alone else f"{self.path}.{name}.{option}"

    def ranges(self) -> Iterator[tuple[str, Range]]:
        """Every searched parameter of this component, the branch itself first."""
        seen: set[str] = set()
        if len(self.alternatives) > 1:
            yield f"{self.path}.name", Choice(tuple(self.alternatives))
        for name, options in self.alternatives.items():
            for option, value in options.items():
                path = self.option_path(name, option)
                if isinstance(value, Range) and path not in seen:
                    seen.add(path)
                    yield path, value


@dataclass(frozen=True, slots=True)
class Split:
    """How rows are divided: shares of the whole, and by what.

    `by` is "class" (stratified where the target is a class), "random", "group" (rows that share a
    value of `column` stay together) or "time" (ordered by `column`: train first, test last).
    """

    train: float = 0.64
    valid: float = 0.16
    test: float = 0.2
    by: Literal["class", "random", "group", "time"] = "class"
    column: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """How a study searches, and when it stops. `trials` is the study's total.

    With `folds` a trial's value is the mean over as many divisions of the rows.
    """

    sampler: Component
    pruner: Component
    trials: int | None
    timeout: float | None = None
    target: float | None = None
    patience: int | None = None
    stall_timeout: float = 1800.0
    batch: int = 8
    alike: int = 4
    objective: str = ""
    direction: Direction | None = None
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    folds: int = 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the winner is chosen: the best `trials` are trained anew on `seeds` fresh seeds each.

    With `resample` each seed has a division of train and valid of its own. Of no trial or no seed
    there is no confirmation, and the best trial of the search is the winner.
    """

    trials: int = 5
    seeds: int = 5
    resample: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether there is one."""
        return bool(self.trials and self.seeds)


@dataclass(frozen=True, slots=True)
class Study:
    """A study file, checked. `root` is its folder, to which paths in it are relative."""

    name: str
    seed: int
    root: Path
    source: Component
    split: Split
    task: Space
    model: Space
    optimizer: Space
    schedule: Space
    training: Space
    transforms: tuple[Space, ...]
    search: Search
    confirmation: Confirmation = Confirmation()
    allow_code: bool = False
    allow_leaky: bool = False
    description: str = ""

    def spaces(self) -> tuple[Space, ...]:
        """Every component that is searched, in the order in which its options are drawn."""
        searched = (self.task, self.model, self.optimizer, self.schedule, self.training)
        return (*self.transforms, *searched)

    def ranges(self) -> dict[str, Range]:
        """Every searched parameter under its dotted name."""
        return dict(pair for space in self.spaces() for pair in space.ranges())


@dataclass(frozen=True, slots=True)
class Objective:
    """What the search improves: a metric of the validation split, such as `accuracy`.

    Or, beside such a one, a cost, such as `cost/latency`.
    """

    metric: str
    direction: Direction

    @property
    def key(self) -> str:
        """The metric's name in events and in MLflow."""
        return self.metric if self.metric.startswith(COST) else f"valid/{self.metric}"

    @property
    def label(self) -> str:
        """Its name for a person."""
        return self.metric.removeprefix(COST)

    def better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`; anything beats None."""
        if than is None:
            return True
        return value > than if self.direction == "maximize" else value < than

    def reaches(self, value: float | None, target: float | None) -> bool:
        """Whether `value` is `target` or better; not where either is none."""
        return value is not None and target is not None and not self.better(target, value)


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One trial, resolved: everything a worker needs to train it, literals only.

    `params` are the searched values under their dotted names; `fingerprint` is equal for two
    trials that would train the same thing, whatever their number and seed.
    """

    number: int
    seed: int
    params: dict[str, Any]
    task: Component
    model: Component
    optimizer: Component
    schedule: Component
    training: Component
    transforms: tuple[Component, ...]
    uid: str = ""
    replicate_of: int | None = None

    @property
    def fingerprint(self) -> str:
        """The hash of what is trained, without number, seed and uid."""
        # As asdict would have it, which copies every option and takes most of reading a ledger.
        return digest({**self._parts(), "transforms": self.transforms})

    def _parts(self) -> dict[str, Component]:
        names = ("task", "model", "optimizer", "schedule", "training")
        return {name: getattr(self, name) for name in names}

    def config(self) -> dict[str, bool | int | float | str]:
        """Every option under its dotted name, searched or not, tuples as text."""
        parts = self._parts() | {f"data.{each.name}": each for each in self.transforms}
        flat: dict[str, bool | int | float | str] = {}
        for path, part in parts.items():
            if path in {"task", "model", "optimizer", "schedule"}:
                flat[f"{path}.name"] = part.name
            for key, value in part.options.items():
                is_plain = isinstance(value, bool | int | float | str)
                flat[f"{path}.{key}"] = value if is_plain else json.dumps(value)
        return flat

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "TrialSpec":
        """The trial that `dataclasses.asdict` and JSON wrote."""
        parts = {
            key: Component.from_json(fields[key])
            for key in ("task", "model", "optimizer", "schedule", "training")
        }
        return TrialSpec(
            number=fields["number"],
            seed=fields["seed"],
            params=dict(fields["params"]),
            transforms=tuple(Component.from_json(each) for each in fields["transforms"]),
            uid=fields["uid"],
            replicate_of=fields["replicate_of"],
            **parts,
        )


def digest(value: object) -> str:
    """The sha256 of a value's canonical JSON, 32 hexadecimal digits of it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def derived_seed(*parts: object) -> int:
    """A seed of 63 bits that depends on each part and on nothing else, on every platform."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _plain(value: object) -> object:
    if isinstance(value, Component):
        return {"name": value.name, "options": value.options}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Range):
        return {type(value).__name__: asdict(value)}
    raise UsageError(f"cannot write {value!r} as JSON.")
