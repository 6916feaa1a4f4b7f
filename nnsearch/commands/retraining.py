"""Have trials trained anew on fresh seeds, in a ledger of their own below the study's folder.

The ledger is kept like the study's: what was trained is not trained again, whatever was killed.
What the trainings are worth is not known here, nor is the test split.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnsearch.commands import errands
from nnsearch.commands.attempts import attempt
from nnsearch.commands.opening import Opened
from nnsearch.events import Confirming, Ending, Event, Finished, cut_torn_line
from nnsearch.executors.processes import Processes
from nnsearch.search.course import Means, Work
from nnsearch.search.jobs import work_off
from nnsearch.search.ledger import Ledger, read_ledger, record_batch
from nnsearch.study.folder import StudyFolder
from nnsearch.study.spec import TrialSpec, derived_seed, digest
from nnsearch.training.fuse import plan, spread
from nnsearch.training.jobfile import Job, write_job


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of a study's `candidates` so far.

    `data` has the prepared data for each seed: the study's own or, where it wants resamples, a
    division of the same rows for each. `listen` is told how far they are.
    """

    opened: Opened
    folder: StudyFolder
    ledger: Ledger
    candidates: tuple[TrialSpec, ...]
    data: tuple[Path, ...]
    executor: Processes
    listen: Callable[[Event], None]

    def of(self, candidate: TrialSpec) -> list[TrialSpec]:
        """Those of a candidate that were asked for, in the order of their seeds."""
        known = {each.uid: each for each in self.ledger.specs.values()}
        uids = [self.uid(candidate, place) for place in range(len(self.data))]
        return [known[uid] for uid in uids if uid in known]

    def finished(self, candidate: TrialSpec) -> list[TrialSpec]:
        """Those that came to their end."""
        endings = self.ledger.endings
        return [
            each for each in self.of(candidate) if isinstance(endings.get(each.number), Finished)
        ]

    def uid(self, candidate: TrialSpec, place: int) -> str:
        """That of a candidate's training on the seed at a place; other data make it another."""
        return digest([candidate.uid, "confirmation", place, self.data[place].name])[:16]


def open_trainings(
    opened: Opened,
    candidates: Sequence[TrialSpec],
    executor: Processes,
    listen: Callable[[Event], None],
) -> Trainings:
    """What is recorded of the candidates' trainings; the rows are divided anew where asked."""
    folder, wanted = opened.folder.confirmation, opened.study.confirmation
    folder.root.mkdir(exist_ok=True)
    cut_torn_line(folder.trials)
    data = [opened.prepared.folder] * wanted.seeds
    if wanted.resample:
        seconds = opened.study.search.stall_timeout
        asked = (opened.study, opened.prepared.folder)
        data = attempt(executor, errands.redivide, *asked, stall_seconds=seconds)
    ledger = read_ledger(folder)
    return Trainings(opened, folder, ledger, tuple(candidates), tuple(data), executor, listen)


def train(trainings: Trainings, candidates: Sequence[TrialSpec], num_seeds: int) -> None:
    """Train each candidate on its first `num_seeds` seeds, but for what was trained before."""
    ledger = trainings.ledger
    wanted = {
        trainings.uid(candidate, place): (candidate, place)
        for place in range(num_seeds)
        for candidate in candidates
    }
    known = {each.uid for each in ledger.specs.values()}
    new = [
        _training(trainings, *wanted[uid], number)
        for number, uid in enumerate((uid for uid in wanted if uid not in known), len(known))
    ]
    if new:
        record_batch(trainings.folder, new)
        ledger.add_batch(new)
    due = [each for each in ledger.specs.values() if each.uid in wanted]
    data = {uid: trainings.data[place] for uid, (_, place) in wanted.items()}
    means = _means(trainings, data)
    left = [each for each in due if each.number not in ledger.endings]
    work_off(Work(trainings.folder, ledger, means), left)


def _training(trainings: Trainings, candidate: TrialSpec, place: int, number: int) -> TrialSpec:
    seed = derived_seed(trainings.opened.study.seed, "confirmation", candidate.number, place)
    uid = trainings.uid(candidate, place)
    return replace(candidate, number=number, seed=seed, uid=uid, replicate_of=candidate.number)


def _means(trainings: Trainings, data: Mapping[str, Path]) -> Means:
    """What the trainings with these uids, each with its data, are run with."""
    opened, executor = trainings.opened, trainings.executor

    def in_groups(trials: Sequence[TrialSpec]) -> list[list[TrialSpec]]:
        by_data: dict[Path, list[TrialSpec]] = {}
        for each in trials:
            by_data.setdefault(data[each.uid], []).append(each)
        groups = [group for each in by_data.values() for group in plan(each)]
        return spread(groups, executor.slots)

    def write(name: str, trials: Sequence[TrialSpec]) -> None:
        folder, code = data[trials[0].uid], opened.study.root.resolve()
        write_job(trainings.folder.job(name), Job(tuple(trials), folder, code, opened.objective))

    def hear(event: Event) -> None:
        if isinstance(event, Ending):
            ledger = trainings.ledger
            trainings.listen(Confirming(len(ledger.endings), len(ledger.specs)))

    return Means(
        plan=in_groups,
        write=write,
        submit=lambda root: executor.submit(errands.train, root),
        slots=executor.slots,
        listen=hear,
        project=lambda _: None,
        kill=executor.kill,
        stall_seconds=opened.study.search.stall_timeout,
    )
