"""Draw new trials from a sampler. Knows no executor and no store.

The Optuna study asked here lives in memory and is told of a batch's results only when the batch is
over, so that what is drawn depends on the seed and on a stated set of finished trials: not on how
many workers there are, nor on which was faster.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from nnsearch.events import Ending, Failed, Finished, Pruned
from nnsearch.search.ledger import Ledger, values_of
from nnsearch.search.window import Window, worth_seeing
from nnsearch.study.limits import limits_of
from nnsearch.study.space import sample
from nnsearch.study.spec import (
    Choice,
    FloatRange,
    IntRange,
    Objective,
    Range,
    Study,
    TrialSpec,
    derived_seed,
    digest,
)
from nnsearch.training.fuse import shape_params

REDRAWS = 20

# Samplers that learn from results, and take the longer the more of them they see.
BOUNDED = frozenset({"tpe", "gp"})

# Samplers whose next point belongs to the points before it: nothing in it may be settled for them.
WHOLE = frozenset({"grid", "qmc"})

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, slots=True)
class Asker:
    """A study in memory, and which of the numbers of our trials it knows under which of its own.

    `objectives` begin with the main one.
    """

    study: Study
    objectives: tuple[Objective, ...]
    memory: optuna.Study
    storage: Window
    make_sampler: Callable[[int, int], BaseSampler]
    numbers: dict[int, int] = field(default_factory=dict)
    told: list[list[int]] = field(default_factory=list)

    def tell(self, ledger: Ledger, batch: list[int]) -> None:
        """Tell the results of a batch that has ended; each batch once, in their order."""
        self.told.append(batch)
        for number in batch:
            ending, known_as = ledger.endings[number], self.numbers[number]
            trial = Trial(self.memory, self.storage.identity(self.memory, known_as))
            for name, value in constraints(self.study, ending).items():
                trial.set_constraint(name, value)
            if isinstance(ending, Finished):
                self.memory.tell(known_as, values_of(ending, self.objectives))
                continue
            if isinstance(ending, Pruned):
                reports = ledger.reports(number, self.objectives[0].key)
                for epoch, value in sorted(reports.items()):
                    trial.report(value, epoch)
            self.memory.tell(known_as, state=state_of(ending))

    def adopt(self, spec: TrialSpec) -> None:
        """Take in a trial that was asked for in an earlier session, as running.

        All of them are taken in before the first is asked for here.
        """
        frozen = create_trial(
            state=TrialState.RUNNING,
            params=spec.params,
            distributions=distributions(self.study, spec.params),
        )
        self.memory.add_trial(frozen)
        self.numbers[spec.number] = len(self.numbers)

    def ask(self, ledger: Ledger, count: int) -> list[TrialSpec]:
        """Up to `count` new trials; fewer where a grid has no further point.

        Of each `alike` trials in a row the first settles the shape, for trials of one shape train
        together; what else they have is drawn for each.
        A configuration that was tried before is drawn again; if the sampler insists on it, it
        becomes a replicate: the same configuration on a seed of its own, marked as such.
        """
        first = len(ledger.specs)
        self.memory.sampler = self.make_sampler(self.study.seed, first)
        if self.study.search.sampler.name in BOUNDED:
            trials = self.storage.every_trial(self.memory)
            self.storage.shown = worth_seeing(trials, *(each.direction for each in self.objectives))
            self.storage.since = len(trials)
        known = dict(ledger.fingerprints)
        drawn: list[TrialSpec] = []
        is_grid = self.study.search.sampler.name == "grid"
        alike = 1 if self.study.search.sampler.name in WHOLE else self.study.search.alike
        # A resumed low-discrepancy sequence begins at its first point, to get past those known.
        is_sequence = self.study.search.sampler.name == "qmc"
        tries = 1 if is_grid else REDRAWS + is_sequence * len(known)
        while len(drawn) < count:
            shape = shape_params(drawn[-1]) if len(drawn) % alike else {}
            spec, trial = self._draw(first + len(drawn), known, shape, tries=tries)
            if is_grid and spec.replicate_of is not None:
                self.memory.tell(trial, state=TrialState.FAIL)
                break
            self.numbers[spec.number] = trial.number
            known.setdefault(spec.fingerprint, spec.number)
            drawn.append(spec)
        return drawn

    def _draw(
        self, number: int, known: dict[str, int], shape: dict[str, Any], *, tries: int
    ) -> tuple[TrialSpec, Trial]:
        while True:
            if shape:
                self.memory.enqueue_trial(shape)
            trial = self.memory.ask()
            seed = derived_seed(self.study.seed, "trial", number)
            spec = sample(self.study, _drawer(trial), number=number, seed=seed)
            fingerprint = spec.fingerprint
            uid = digest([self.study.name, self.study.seed, number, fingerprint, seed])[:16]
            spec = replace(spec, uid=uid, replicate_of=known.get(fingerprint))
            tries -= 1
            if spec.replicate_of is None or tries <= 0:
                return spec, trial
            self.memory.tell(trial, state=TrialState.FAIL)


def make_asker(
    study: Study,
    objective: Objective,
    make_sampler: Callable[[int, int], BaseSampler],
    *,
    others: Sequence[Objective] = (),
) -> Asker:
    """An asker that knows of no trial yet; `others` are the objectives beside the main one."""
    objectives = (objective, *others)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = Window()
        memory = optuna.create_study(
            directions=[each.direction for each in objectives],
            pruner=optuna.pruners.NopPruner(),
            storage=storage,
        )
    return Asker(study, objectives, memory, storage, make_sampler)


def distributions(study: Study, params: dict[str, object]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each of a trial's parameters."""
    ranges = study.ranges()
    return {name: distribution(ranges[name]) for name in params}


def distribution(searched: Range) -> BaseDistribution:
    """Optuna's form of a range."""
    if isinstance(searched, FloatRange):
        return FloatDistribution(searched.low, searched.high, log=searched.log, step=searched.step)
    if isinstance(searched, IntRange):
        return IntDistribution(searched.low, searched.high, log=searched.log, step=searched.step)
    return CategoricalDistribution(searched.choices)


def constraints(study: Study, ending: Ending) -> dict[str, float]:
    """What an ended trial broke and kept, in Optuna's terms, each as a share of its bound.

    Optuna adds up those that are above 0.
    """
    excess = {} if isinstance(ending, Failed) else ending.excess
    limits = {str(each): each for each in limits_of(study)}
    return {name: limits[name].share(each) for name, each in excess.items()}


def broken_share(study: Study, ending: Ending) -> float:
    """How far a trial is from keeping every constraint, each as a share of its bound."""
    return sum(max(0.0, each) for each in constraints(study, ending).values())


def frozen(
    study: Study, ledger: Ledger, number: int, objectives: Sequence[Objective]
) -> FrozenTrial:
    """An ended trial as Optuna keeps it, with its course where there is one objective only."""
    spec, ending = ledger.specs[number], ledger.endings[number]
    attributes: dict[str, str | int] = {"nnsearch.uid": spec.uid, "nnsearch.seed": spec.seed}
    if spec.replicate_of is not None:
        attributes["nnsearch.replicate_of"] = spec.replicate_of
    if isinstance(ending, Failed):
        attributes["nnsearch.error"] = ending.error
    if isinstance(ending, Finished):
        values: tuple[float | None, ...] = values_of(ending, objectives)
    else:
        values = (ending.value,) if isinstance(ending, Pruned) else ()
    is_single = len(objectives) == 1
    return create_trial(
        state=state_of(ending),
        values=[each for each in values if each is not None] or None,
        params=spec.params,
        distributions=distributions(study, spec.params),
        user_attrs=attributes,
        intermediate_values=ledger.reports(number, objectives[0].key) if is_single else {},
        constraints=constraints(study, ending),
    )


def state_of(ending: Ending) -> TrialState:
    """Optuna's state of an ended trial."""
    if isinstance(ending, Finished):
        return TrialState.COMPLETE
    return TrialState.FAIL if isinstance(ending, Failed) else TrialState.PRUNED


def _drawer(trial: Trial) -> Callable[[str, Range], bool | int | float | str]:
    def draw(path: str, searched: Range) -> bool | int | float | str:
        if isinstance(searched, Choice):
            value = trial.suggest_categorical(path, searched.choices)
            return "" if value is None else value
        low, high = searched.low, searched.high
        if isinstance(searched, IntRange):
            return trial.suggest_int(
                path, int(low), int(high), log=searched.log, step=searched.step
            )
        return trial.suggest_float(path, low, high, log=searched.log, step=searched.step)

    return draw
