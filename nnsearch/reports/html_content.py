"""What a report shows, as values. Knows neither where they come from nor how they look."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from nnsearch.data.findings import Finding
from nnsearch.events import Confirmed, Epoch, Finished, Scalar, Tested
from nnsearch.reports.importance import Importance
from nnsearch.reports.statistics import Difference
from nnsearch.study.spec import Objective, Range

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: `state` is complete, infeasible, pruned, failed or open.

    `values` is the objective by epoch, `measured` what other objectives and constraints are about.
    """

    number: int
    state: str
    value: float | None
    epochs: int
    seconds: float | None
    params: dict[str, Scalar]
    values: dict[int, float] = field(default_factory=dict)
    error: str = ""
    measured: dict[str, float] = field(default_factory=dict)
    breaks: str = ""


@dataclass(frozen=True, slots=True)
class Rival:
    """What the best trial is held against on the same validation rows.

    `difference` is the best trial's value minus the rival's; None where it cannot be had.
    """

    name: str
    value: float
    difference: Difference | None
    num_rows: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """The best trial's predictions [N, P] and the targets [N] of one split."""

    part: str
    predictions: Array
    targets: Array


@dataclass(frozen=True, slots=True)
class Examples:
    """What the best trial answers to validation rows, to look at.

    `shown` are images as the task shows them, by the name of their line. `forecasts` are there
    where it forecasts: predictions [N, H] and targets [N, 3, H].
    """

    shown: dict[str, Array] = field(default_factory=dict)
    forecasts: Scored | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a row; `distance` is how many deviations it lies from train's middle."""

    name: str
    text: str
    distance: float = 0.0


@dataclass(frozen=True, slots=True)
class Mistake:
    """A row that the best trial gets wrong; `row` is its place in the source, counted from 0.

    For classes `surety` is the probability of the wrong answer and `chance` that of the truth; for
    numbers `surety` is predicted minus true. `png` is the picture of an image.
    """

    row: int
    truth: str
    answer: str
    surety: float
    chance: float | None = None
    png: bytes = b""
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistakes:
    """The worst mistakes on one split, the worst first, out of `num_wrong` of `num_rows`."""

    part: str
    worst: tuple[Mistake, ...] = ()
    num_wrong: int = 0
    num_rows: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Feature:
    """A column, and how much the objective suffers on validation rows when it is shuffled."""

    name: str
    drop: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trace:
    """A channel of a series: its values by step, and what each added to the answer."""

    name: str
    values: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """An example, and what its parts added to the answer and took from it.

    Of an image `png`, and `heat` of the same; of a series the `traces` of all channels; of a text
    its `tokens`, each with what it added.
    """

    row: int
    truth: str
    answer: str
    is_right: bool
    png: bytes = b""
    heat: bytes = b""
    traces: tuple[Trace, ...] = ()
    tokens: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What the winner looks at: `features` of a table, the heaviest first, or `sights` of others.

    `kind` is permutation or gradients. `gap` is how far the attributions' sums are from what they
    explain, as a share of it. `problem` says why there is nothing.
    """

    kind: str
    metric: str = ""
    features: tuple[Feature, ...] = ()
    num_rows: int = 0
    num_repeats: int = 0
    sights: tuple[Sight, ...] = ()
    gap: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A split: its rows, and how many of each class; for numbers their quartiles with the ends."""

    name: str
    num_rows: int
    counts: tuple[int, ...] = ()
    spread: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """Where the examples came from, how they were divided, and what the audit said of them."""

    source: str
    kind: str
    shape: tuple[int, ...]
    target: str
    divided: str
    fingerprint: str
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What the study took, and what its model takes. None: not known."""

    training_seconds: float
    wall_seconds: float | None
    num_epochs: int
    num_parameters: int | None
    export_bytes: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page. `best` and what belongs to it are None where nothing completed.

    `objectives` are all of them, and `front` are the numbers of the trials that no other beats in
    all; both are empty where there is one only. `where` is what commands need beside the study's
    name, such as ` --mlruns other`.
    """

    study: str
    description: str
    state: str
    created: str
    printed: str
    reason: str
    objective: Objective
    ranges: dict[str, Range]
    trials: tuple[Trial, ...]
    labels: tuple[str, ...]
    cost: Cost
    data: Data
    settings: dict[str, Any]
    facts: dict[str, str]
    best: Finished | None = None
    epochs: tuple[Epoch, ...] = ()
    tested: Tested | None = None
    num_looks: int = 0
    baseline: float | None = None
    rivals: tuple[Rival, ...] = ()
    importance: Importance = field(default_factory=Importance)
    scored: Scored | None = None
    examples: Examples | None = None
    mistakes: Mistakes | None = None
    interpretation: Interpretation | None = None
    export: str = ""
    export_problem: str = ""
    where: str = ""
    objectives: tuple[Objective, ...] = ()
    front: tuple[int, ...] = ()
    confirmed: Confirmed | None = None

    @property
    def best_trial(self) -> Trial | None:
        """The best trial, as the others are shown."""
        number = None if self.best is None else self.best.trial
        return next((each for each in self.trials if each.number == number), None)

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The complete trials with a value, the best first."""
        sign = -1 if self.objective.direction == "maximize" else 1
        found = [
            each for each in self.trials if each.state == "complete" and each.value is not None
        ]
        return tuple(sorted(found, key=lambda each: (sign * (each.value or 0.0), each.number)))
