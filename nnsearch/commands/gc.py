"""Free what nobody needs of a study: the large files of trials that are not among its best.

The records stay, and so does every number: only weights and predictions go, here and in a local
MLflow store. What is deleted is written down first, so that `doctor` misses nothing it should not.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnsearch.commands.chosen import chosen_of
from nnsearch.commands.delivery import study_folders
from nnsearch.commands.places import MLRUNS, find_study_folder, sole_driver
from nnsearch.errors import UsageError
from nnsearch.events import Finished
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.folder import (
    Home,
    JobFolder,
    StudyFolder,
    TrialFolder,
    read_json,
    write_json,
)
from nnsearch.study.recorded import recorded_objective, recorded_objectives, recorded_study
from nnsearch.study.spec import Objective
from nnsearch.tracking.artifacts import local_folder
from nnsearch.tracking.store import destination, open_store, sqlite_path

KEEP = 5


@dataclass(frozen=True, slots=True)
class Garbage:
    """One file or folder that may go. `trial` is -1 where it belongs to none."""

    study: str
    trial: int
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Collection:
    """What may go, or went if `is_done`; `keep` is how many of each study's best stay whole."""

    garbage: tuple[Garbage, ...]
    keep: int
    is_done: bool

    @property
    def size(self) -> int:
        """All of it in bytes."""
        return sum(each.size for each in self.garbage)


def gc(
    name: str | None = None,
    *,
    home: Path = MLRUNS,
    keep: int = KEEP,
    apply: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Collection:
    """Find, and with `apply` delete, what is not needed of every study or of one.

    The `keep` best trials of a study stay whole, its best always does, and so does each trial that
    was exported or looked at on the test split, or that a local MLflow has yet to be told of.
    Raises UsageError for `keep` below 1 and StoreError where a study is being run.
    """
    if keep < 1:
        raise UsageError(f"--keep {keep} would delete the best trial.", "Keep 1 or more.")
    environ = os.environ if environ is None else environ
    found: list[Garbage] = []
    for folder in study_folders(home) if name is None else [find_study_folder(name, home)]:
        with sole_driver(folder):
            garbage = list(_garbage(folder, Home(home), keep, environ))
            if apply:
                _delete(folder, garbage)
            found += garbage
    return Collection(tuple(found), keep, apply)


def _garbage(
    folder: StudyFolder, home: Home, keep: int, environ: Mapping[str, str]
) -> Iterator[Garbage]:
    record, study = read_json(folder.spec), folder.root.name
    ledger = read_ledger(folder)
    spared = _spared(folder, ledger, recorded_objectives(record), keep)
    tracked, untold = _tracked(record, ledger, home, environ)
    spared |= untold
    for number, ending in sorted(ledger.endings.items()):
        if not isinstance(ending, Finished) or number in spared:
            continue
        uid = ledger.specs[number].uid
        for place in (ledger.folder(folder, number).root, *tracked.get(uid, ())):
            for each in map(place.joinpath, ending.files):
                if each.is_file():
                    yield Garbage(study, number, str(each), each.stat().st_size)
    for path in _of_other_trainings(folder):
        yield Garbage(study, -1, str(path), path.stat().st_size)
    for draft in sorted(folder.root.rglob(".*.tmp")):
        yield Garbage(study, -1, str(draft), _size(draft))
    for data in sorted(folder.data.glob("*")):
        if data.is_dir() and data.name != Path(record["data_folder"]).name:
            yield Garbage(study, -1, str(data), _size(data))


def _of_other_trainings(folder: StudyFolder) -> Iterator[Path]:
    """The weights of trainings on fresh seeds and other divisions, of which numbers are wanted."""
    folds = (each.root for job in folder.jobs.glob("*") for each in JobFolder(job).folds())
    for root in (folder.confirmation.jobs, *folds):
        yield from sorted(root.rglob(TrialFolder(root).weights.name))


def _spared(
    folder: StudyFolder, ledger: Ledger, objectives: Sequence[Objective], keep: int
) -> set[int]:
    """The best trials, the chosen one, those that were exported, and those that saw the test split.

    Of several objectives the best are those of the front, all of them, and `keep` by the first.
    """
    best = ledger.ranking(objectives[0])[:keep]
    best += ledger.front(objectives) if len(objectives) > 1 else []
    chosen = chosen_of(folder, ledger, objectives[0])
    best += [chosen] if chosen is not None else []
    looks = [look["trial"] for look in read_json(folder.looks) or []]
    exports = [each.name.rpartition("-")[2] for each in folder.exports.glob("trial-*")]
    exported = [int(each) for each in exports if each.isdigit()]
    return {*(each.trial for each in best), *looks, *exported}


def _tracked(
    record: Mapping[str, Any], ledger: Ledger, home: Home, environ: Mapping[str, str]
) -> tuple[dict[str, list[Path]], set[int]]:
    """The artifacts' folder of each trial's run that is over, and the trials that have none yet.

    Neither where only a server knows.
    """
    uri, artifacts = destination(home, environ)
    path = sqlite_path(uri)
    if path is None or not path.exists():
        return {}, set()
    store = open_store(
        uri,
        artifacts,
        recorded_study(record),
        recorded_objective(record),
        study_uid=record["fingerprint"],
    )
    store.backend.close()
    places = {uid: local_folder(run.artifact_uri) for uid, run in store.runs.items() if run.is_over}
    untold = {number for number, spec in ledger.specs.items() if spec.uid not in places}
    return {uid: [place] for uid, place in places.items() if place is not None}, untold


def _delete(folder: StudyFolder, garbage: list[Garbage]) -> None:
    """Write down what goes, then delete it: a kill in between is made good by the next time."""
    collected = {int(key): names for key, names in (read_json(folder.collected) or {}).items()}
    for each in garbage:
        if each.trial >= 0:
            names = {*collected.get(each.trial, []), Path(each.path).name}
            collected[each.trial] = sorted(names)
    if collected:
        write_json(folder.collected, {str(key): names for key, names in collected.items()})
    for each in garbage:
        path = Path(each.path)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def as_document(collection: Collection) -> dict[str, Any]:
    """The same as JSON values."""
    return asdict(collection) | {"size": collection.size}


def as_text(collection: Collection) -> str:
    """A line a study, the sum, and what to type to go through with it."""
    studies = dict.fromkeys(each.study for each in collection.garbage)
    verb = "deleted" if collection.is_done else "can go"
    lines = []
    for study in studies:
        own = [each for each in collection.garbage if each.study == study]
        trials = len({each.trial for each in own if each.trial >= 0})
        size = sum(each.size for each in own) / 1e6
        lines.append(f"{study}: {len(own)} files of {trials} trials, {size:.1f} MB {verb}")
    lines.append(f"{collection.size / 1e6:.1f} MB {verb}; the best {collection.keep} trials stay.")
    if collection.garbage and not collection.is_done:
        lines.append("Nothing was deleted. To delete it: nnsearch gc --apply")
    return "\n".join(lines)
