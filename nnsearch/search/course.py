"""One session of a study under way: what the loop is given, and what it keeps. Decides nothing."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from nnsearch.events import Event
from nnsearch.search.asking import Asker
from nnsearch.search.ledger import Ledger
from nnsearch.search.pruning import Judge
from nnsearch.study.folder import StudyFolder
from nnsearch.study.spec import Objective, Study, TrialSpec

Plan = Callable[[Sequence[TrialSpec]], list[list[TrialSpec]]]
Submit = Callable[[str], "Future[None]"]


@dataclass(frozen=True, slots=True)
class Means:
    """What the loop is given to work with.

    `plan` divides a batch into jobs, `write` puts a job into its folder, `submit` runs the job of a
    folder, at most `slots` at once, and `kill` ends one that shows no sign of life for
    `stall_seconds`; `listen` is told every event, `project` brings the store up to date.
    `wind_down` is called when the first slot has nothing left to do.
    """

    plan: Plan
    write: Callable[[str, Sequence[TrialSpec]], None]
    submit: Submit
    slots: int
    listen: Callable[[Event], None]
    project: Callable[[Ledger], None]
    kill: Callable[["Future[None]"], object] = Future.cancel
    wind_down: Callable[[], object] = lambda: None
    stall_seconds: float = math.inf
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Job:
    """A job under way: its future, how far its events were read, how often it was begun again.

    `alive_at` is its last sign of life on the means' clock: its beginning, or an event. `num_bytes`
    is how much had been written of its other divisions when that was last looked at.
    """

    name: str
    trials: list[int]
    future: "Future[None] | None" = None
    offset: int = 0
    retries: int = 0
    stalls: int = 0
    alive_at: float = 0.0
    is_killed: bool = False
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """The jobs of a ledger that are not over, where their records lie, and who judges their trials.

    Without a `judge` every trial is trained to its end.
    """

    folder: StudyFolder
    ledger: Ledger
    means: Means
    judge: Judge | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    verdicts: dict[tuple[int, int], bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Course:
    """One session of a study: what it is after, who draws its trials, and their jobs."""

    study: Study
    objective: Objective
    asker: Asker
    work: Work
