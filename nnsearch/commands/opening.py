"""Open a study's records: made on the first run, checked on every later one."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch import components
from nnsearch.data.prepare import Prepared, open_part, prepare
from nnsearch.errors import Problem, StudyError
from nnsearch.events import cut_torn_line
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.fingerprint import difference, fingerprint, to_json
from nnsearch.study.folder import StudyFolder, read_json, write_json
from nnsearch.study.objective import objective as choose_objective
from nnsearch.study.spec import Component, Direction, Objective, Space, Study
from nnsearch.tasks.task import Task, target_kind

PACKAGES = ("nnsearch", "torch", "optuna", "mlflow", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Opened:
    """A study with its data, its objective and what is recorded of it so far."""

    study: Study
    folder: StudyFolder
    prepared: Prepared
    objective: Objective
    ledger: Ledger


def open_study(study: Study, folder: StudyFolder) -> Opened:
    """Prepare the data, check it and the study against what was recorded, and read the records.

    Raises DataError for data that cannot be used, and StudyError where trials are recorded that a
    changed space, data or objective has made incomparable.
    """
    remove_drafts(folder)
    prepared = prepare_data(study, folder)
    objective = choose_objective(study, task_directions(study, prepared))
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


def prepare_data(study: Study, folder: StudyFolder) -> Prepared:
    """The study's data, split and on the disk; read from there where it was prepared before."""
    source = components.load(
        "sources", study.source.name, root=study.root, allow_code=study.allow_code
    )
    return prepare(
        source,
        _target(study),
        study.split,
        study.seed,
        root=study.root,
        options=study.source.options,
        folder=folder.data,
        allow_leaky=study.allow_leaky,
    )


def task_directions(study: Study, prepared: Prepared) -> dict[str, Direction]:
    """The metrics of the study's task and which way each improves."""
    name = next(iter(study.task.alternatives))
    make = components.load("tasks", name, root=study.root, allow_code=study.allow_code)
    targets = np.asarray(open_part(prepared.folder, "train").targets)
    options = first_literals(study.task).options
    task: Task = make(targets, **options)
    return task.directions


def first_literals(space: Space) -> Component:
    """The first alternative with its literal options only: ranges are left to the defaults."""
    name, options = next(iter(space.alternatives.items()))
    searched = {path.rpartition(".")[2] for path, _ in space.ranges()}
    return Component(name, {key: each for key, each in options.items() if key not in searched})


def facts() -> dict[str, str]:
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
    name = next(iter(study.task.alternatives))
    return target_kind(components.load("tasks", name, root=study.root, allow_code=study.allow_code))


def _refuse_changes(
    study: Study, prepared: Prepared, objective: Objective, folder: StudyFolder
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


def _record(study: Study, prepared: Prepared, objective: Objective) -> dict[str, Any]:
    return {
        "study": to_json(study),
        "fingerprint": fingerprint(study),
        "data": prepared.fingerprint,
        "data_folder": str(prepared.folder),
        "num_rows": prepared.num_rows,
        "signature": prepared.signature.to_json(),
        "objective": asdict(objective),
        "facts": facts(),
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
