"""What a job's folder says: its trials, and what became of them. Knows no torch."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from nnsearch import events
from nnsearch.events import Event
from nnsearch.study.folder import JobFolder, read_json, write_json
from nnsearch.study.spec import Objective, TrialSpec


@dataclass(frozen=True, slots=True)
class Job:
    """What a job's file says: 1..K trials on one data set.

    `rungs` are the epochs after which a trial waits for the pruner's verdict; `code` is the folder
    of the study file; `others` are the objectives beside the main one, and `constraints` such as
    `parameters <= 1000`. `folds` are further divisions of the rows of `data` to train on, over all
    of which a trial's value is the mean. A trial whose objective reaches `enough` ends there.
    """

    trials: tuple[TrialSpec, ...]
    data: Path
    code: Path
    objective: Objective
    rungs: tuple[int, ...] = ()
    others: tuple[Objective, ...] = ()
    constraints: tuple[str, ...] = ()
    folds: tuple[Path, ...] = ()
    enough: float | None = None


def write_job(folder: JobFolder, job: Job) -> None:
    """Put a job into its folder, where `run_job` finds it."""
    paths = {"data": str(job.data), "code": str(job.code), "folds": [*map(str, job.folds)]}
    fields = asdict(job) | paths
    write_json(folder.spec, fields)


def read_job(folder: JobFolder) -> Job:
    """The job that `write_job` wrote."""
    fields = read_json(folder.spec)
    return Job(
        trials=tuple(TrialSpec.from_json(each) for each in fields["trials"]),
        data=Path(fields["data"]),
        code=Path(fields["code"]),
        objective=Objective(**fields["objective"]),
        rungs=tuple(fields["rungs"]),
        others=tuple(Objective(**each) for each in fields.get("others", ())),
        constraints=tuple(fields.get("constraints", ())),
        folds=tuple(map(Path, fields.get("folds", ()))),
        enough=fields.get("enough"),
    )


def recorded(folder: JobFolder) -> Iterator[Event]:
    """Every event that the job's file holds."""
    for line, _ in events.whole_lines(folder.events):
        yield events.from_line(line)
