"""Open a study's records: made on the first run, checked on every later one."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnsearch import components
from nnsearch.commands.reading import reading
from nnsearch.errors import Problem, StudyError
from nnsearch.events import cut_torn_line
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.signature import Signature
from nnsearch.study.fingerprint import difference, fingerprint, to_json
from nnsearch.study.folder import StudyFolder, read_json, write_json
from nnsearch.study.objective import objective as choose_objective
from nnsearch.study.objective import other_objectives
from nnsearch.study.spec import Component, Objective, Space, Study

if TYPE_CHECKING:
    from nnsearch.data.own_transforms import Chosen
    from nnsearch.data.prepare import Prepared
    from nnsearch.tasks.task import Task

# Of [training], what is said of layers that another network has not.
START_OPTIONS = ("start", "new_head", "freeze", "unfreeze_after", "rate_by_depth")
PACKAGES = ("nnsearch", "torch", "optuna", "mlflow", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the driver has to know of a study's data and task, found out by one who loads torch.

    `remarks` are what a person should hear of the data; `baseline` is the model to compare with;
    `others` are the objectives beside the main one, and `folds` the further divisions of the rows
    that trials are trained on.
    """

    folder: Path
    fingerprint: str
    signature: Signature
    num_rows: dict[str, int]
    remarks: tuple[str, ...]
    objective: Objective
    baseline: str
    others: tuple[Objective, ...] = ()
    folds: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A study with its data, its objective and what is recorded of it so far."""

    study: Study
    folder: StudyFolder
    prepared: Inspected
    objective: Objective
    ledger: Ledger


def inspect(study: Study, folder: StudyFolder) -> Inspected:
    """Prepare the data, and ask the task for its metrics.

    Raises DataError for data that cannot be used, and StudyError for models that do not take it
    and for weights to begin with that are none of the study's networks'.
    """
    from nnsearch.commands.misfits import refuse_misfits
    from nnsearch.commands.starting import networks, start_notes

    prepared = prepare_data(study, folder)
    refuse_redivision(study, prepared.signature)
    task = study_task(study, prepared.folder)
    refuse_misfits(study, prepared.signature, task.outputs or prod(prepared.signature.shape))
    findings = (f"{each.message} {each.hint}" for each in prepared.findings)
    starts = start_notes(study, networks(study, prepared.folder))
    return Inspected(
        prepared.folder,
        prepared.fingerprint,
        prepared.signature,
        prepared.num_rows,
        (*prepared.notes, *findings, *starts),
        choose_objective(study, task.directions),
        task.baseline,
        other_objectives(study, task.directions),
        _folds(study, prepared.folder),
    )


def open_study(study: Study, folder: StudyFolder, inspected: Inspected | None = None) -> Opened:
    """Check the study and its data against what was recorded, and read the records.

    What is not `inspected` yet is inspected here. Raises DataError as `inspect`, and StudyError
    where trials are recorded that a changed space, data or objective has made incomparable.
    """
    remove_drafts(folder)
    prepared = inspected or inspect(study, folder)
    objective = prepared.objective
    _refuse_changes(study, prepared, objective, folder)
    if not folder.spec.exists():
        write_json(folder.spec, _record(study, prepared, objective))
    cut_torn_line(folder.trials)
    return Opened(study, folder, prepared, objective, read_ledger(folder))


def remove_drafts(folder: StudyFolder) -> None:
    """Remove what writers that were killed left unfinished; the caller holds the study's lock."""
    for draft in folder.root.rglob(".*.tmp"):
        if draft.is_file():
            draft.unlink(missing_ok=True)


def prepare_data(study: Study, folder: StudyFolder) -> "Prepared":
    """The study's data, split and on the disk; read from there where it was prepared before."""
    from nnsearch.data.prepare import prepare

    source = components.load(
        "sources", study.source.name, root=study.root, allow_code=study.allow_code
    )
    with reading(study.source.name, study.search.stall_timeout):
        return prepare(
            source,
            _target(study),
            study.split,
            study.seed,
            root=study.root,
            options=study.source.options,
            folder=folder.data,
            allow_leaky=study.allow_leaky,
            normal=first_literals(study.task).options.get("normal", ()),
            transforms=chosen_transforms(study),
        )


def chosen_transforms(study: Study) -> "list[Chosen]":
    """The study's transforms, with the first value of each range, for the audit to judge."""
    from nnsearch.commands.misfits import ends
    from nnsearch.data.own_transforms import Chosen

    load = partial(components.load, root=study.root, allow_code=study.allow_code)
    firsts = [next(ends(space)) for space in study.transforms]
    return [Chosen(name, load("transforms", name), options) for name, options in firsts]


def refuse_redivision(study: Study, signature: Signature) -> None:
    """Raise DataError where the study's rows cannot be divided anew, and it wants that."""
    from nnsearch.data import redivided

    resamples = study.confirmation.is_wanted and study.confirmation.resample
    for key, is_wanted in (
        ("confirmation.resample", resamples),
        ("search.folds", study.search.folds),
    ):
        if is_wanted:
            redivided.refuse(key, signature, study.split, _target(study))


def _folds(study: Study, prepared: Path) -> tuple[Path, ...]:
    from nnsearch.data.redivided import folds

    count = study.search.folds
    made = folds(prepared, study.split, seed=study.seed, count=count) if count else []
    return tuple(made[1:])


def study_task(study: Study, data: Path, chosen: Component | None = None) -> "Task":
    """The study's task, or a trial's `chosen` one, made of the training split's targets."""
    from nnsearch.data.prepare import open_part

    task = chosen or first_literals(study.task)
    make = components.load("tasks", task.name, root=study.root, allow_code=study.allow_code)
    made: Task = make(np.asarray(open_part(data, "train").targets), **task.options)
    return made


def first_literals(space: Space) -> Component:
    """The first alternative with its literal options only: ranges are left to the defaults."""
    name, options = next(iter(space.alternatives.items()))
    searched = {path.rpartition(".")[2] for path, _ in space.ranges()}
    return Component(name, {key: each for key, each in options.items() if key not in searched})


def plain_training(study: Study) -> Component:
    """How the baseline is trained: as the study's trials, but from weights that it draws."""
    chosen = first_literals(study.training)
    kept = {key: each for key, each in chosen.options.items() if key not in START_OPTIONS}
    return Component(chosen.name, kept)


@cache
def facts() -> Mapping[str, str]:
    """Versions, machine and commit: what a number may depend on."""
    found = {f"version.{name}": version(name) for name in PACKAGES}
    found |= {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": str(os.cpu_count()),
    }
    commit = _commit()
    return found | ({"git.commit": commit} if commit else {})


def _target(study: Study) -> Any:
    from nnsearch.tasks.task import target_kind

    name = next(iter(study.task.alternatives))
    return target_kind(components.load("tasks", name, root=study.root, allow_code=study.allow_code))


def _refuse_changes(
    study: Study, prepared: Inspected, objective: Objective, folder: StudyFolder
) -> None:
    recorded = read_json(folder.spec)
    if recorded is None:
        return
    changes: Sequence[str] = difference(recorded["study"], to_json(study))
    if recorded["data"] != prepared.fingerprint:
        changes = [*changes, "data: the rows or their split are not those that were recorded"]
    if recorded["objective"] != asdict(objective):
        changes = [*changes, f"objective: {recorded['objective']} -> {asdict(objective)}"]
    if not changes:
        return
    hint = f"Take the change back, or give the study another name, or delete {folder.root}."
    raise StudyError(
        [
            Problem(
                "E410",
                f"study '{study.name}' has trials that do not compare: {change}.",
                str(folder.spec),
                hint,
            )
            for change in changes
        ]
    )


def _record(study: Study, prepared: Inspected, objective: Objective) -> dict[str, Any]:
    others = [asdict(each) for each in prepared.others]
    return {
        "study": to_json(study),
        "fingerprint": fingerprint(study),
        "data": prepared.fingerprint,
        "data_folder": str(prepared.folder),
        "num_rows": prepared.num_rows,
        "signature": prepared.signature.to_json(),
        "objective": asdict(objective),
        **({"other_objectives": others} if others else {}),
        "facts": dict(facts()),
        "root": str(study.root.resolve()),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str:
    """The commit of the folder a person works in, or nothing where it is no checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the git of the user's path
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            cwd=Path.cwd(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
