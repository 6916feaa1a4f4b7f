"""What this machine has, and whether each study's records and stores agree. Changes nothing."""

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nnsearch import __version__
from nnsearch.commands.agreement import (
    Check,
    left_overs,
    mlflow_problems,
    optuna_problems,
    read_records,
    record_problems,
    torn,
)
from nnsearch.commands.listing import is_driven
from nnsearch.commands.looks import broken_off, look_problems
from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.study.folder import Home, StudyFolder
from nnsearch.tracking.store import destination, import_mlflow, shown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from optuna.trial import FrozenTrial

PACKAGES = ("nnsearch", "torch", "optuna", "mlflow", "numpy", "pandas", "scikit-learn")
EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
LEAST_FREE_BYTES = 1_000_000_000
_NUM_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Facts by name, and everything that was checked."""

    facts: dict[str, str]
    checks: tuple[Check, ...]

    @property
    def num_problems(self) -> int:
        """How many checks found something."""
        return sum(not each.is_ok for each in self.checks)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the two stores are: `storage` is Optuna's URL, empty for the journal file."""

    home: Path
    storage: str
    mlflow_uri: str

    def trials(self, study: str) -> "list[FrozenTrial]":
        """The study's trials in Optuna's store. Raises LookupError where it has no such study."""
        from optuna.storages import BaseStorage, JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend

        journal = Home(self.home).optuna_journal
        if not self.storage and not journal.exists():
            raise LookupError(f"there is no {journal}")
        storage: BaseStorage
        if self.storage:
            storage = RDBStorage(self.storage, skip_table_creation=True)
        else:
            storage = JournalStorage(JournalFileBackend(str(journal)))
        try:
            number = storage.get_study_id_from_name(study)
            return storage.get_all_trials(number, deepcopy=False)
        except KeyError:
            raise LookupError("it is not there; was it run with --storage?") from None
        finally:
            storage.remove_session()
            if isinstance(storage, RDBStorage):
                storage.engine.dispose()

    def experiment(self, study: str) -> "tuple[MlflowClient, str]":
        """MLflow's store and the study's experiment. Raises LookupError where there is none."""
        import_mlflow()
        from mlflow import MlflowClient

        path = Path(self.mlflow_uri.removeprefix("sqlite:///"))
        if self.mlflow_uri.startswith("sqlite:") and not path.exists():
            raise LookupError(f"there is no {path}")  # MLflow would make one
        client = MlflowClient(tracking_uri=self.mlflow_uri)
        found = client.get_experiment_by_name(study)
        if found is None:
            raise LookupError("it has no experiment there")
        return client, str(found.experiment_id)


def doctor(
    name: str | None = None,
    *,
    home: Path = MLRUNS,
    storage: str = "",
    environ: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Look at the machine and at every study in `home`, or at the one called `name`.

    A study that is being run is left alone: its stores are behind its records, as they should be.
    Raises UsageError where there is no such study.
    """
    environ = os.environ if environ is None else environ
    folders = [Home(home).study(each.name) for each in sorted(Home(home).studies.glob("*"))]
    if name is not None:
        folders = [find_study_folder(name, home)]
    checks = [*_machine(home), *_stores(home)]
    stores = Stores(home, storage, *destination(Home(home), environ)[:1])
    for folder in folders:
        if folder.spec.exists():
            checks += _study(folder, stores)
    return Diagnosis(_facts(home, stores), tuple(checks))


def as_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """The same as JSON values."""
    checks = [asdict(each) | {"is_ok": each.is_ok} for each in diagnosis.checks]
    return {"facts": diagnosis.facts, "checks": checks, "num_problems": diagnosis.num_problems}


def as_text(diagnosis: Diagnosis) -> str:
    """The facts, then a line a check, with what is wrong and what to do below it."""
    lines = [f"{name:<16} {value}" for name, value in diagnosis.facts.items()]
    for check in diagnosis.checks:
        title = f"{check.study}: {check.name}" if check.study else check.name
        lines.append(f"{'ok' if check.is_ok else 'PROBLEM':<8} {title}")
        lines += [f"           {problem}" for problem in check.problems[:_NUM_SHOWN]]
        if len(check.problems) > _NUM_SHOWN:
            lines.append(f"           ... and {len(check.problems) - _NUM_SHOWN} more")
        if check.hint and not check.is_ok:
            lines.append(f"           -> {check.hint}")
    lines.append(_verdict(diagnosis))
    return "\n".join(lines)


def _verdict(diagnosis: Diagnosis) -> str:
    number = diagnosis.num_problems
    if not number:
        return f"All {len(diagnosis.checks)} checks are ok."
    return f"{number} of {len(diagnosis.checks)} checks found a problem."


def _study(folder: StudyFolder, stores: Stores) -> Iterator[Check]:
    """What there is to check of one study; nothing where a driver is at work on it."""
    name = folder.root.name
    if is_driven(folder):
        yield Check("is being run now, so its stores may be behind", (), name)
        return
    try:
        records = read_records(folder)
    except (OSError, ValueError, LookupError, TypeError) as error:
        hint = f"The records are the truth: restore {folder.root} from a copy."
        yield Check("records", (f"cannot be read: {_one_line(error)}",), name, hint)
        return
    again = f"`nnsearch run {name}` writes from the records what is missing."

    def in_mlflow() -> Iterator[str]:
        client, experiment = stores.experiment(name)
        yield from mlflow_problems(records, client, experiment)

    found: dict[str, tuple[Callable[[], Iterable[str]], str]] = {
        "records are whole (N4, N5)": (
            lambda: record_problems(records),
            f"The records are the truth: restore {folder.root} from a copy.",
        ),
        "Optuna's store agrees (N1, N2)": (
            lambda: optuna_problems(records, stores.trials(name)),
            again,
        ),
        "MLflow's store agrees (N1, N2, N5)": (in_mlflow, again),
        "nothing is left over (N6)": (lambda: left_overs(records), f"{again} Or delete it."),
    }
    yield from (_look(title, find, study=name, hint=hint) for title, (find, hint) in found.items())
    yield from _looks(folder)


def _looks(folder: StudyFolder) -> Iterator[Check]:
    """The looks at the test split; one that was killed half-way is told, and is no problem."""
    hint = f"Somebody changed {folder.test_reads} or {folder.looks}: restore it from a copy."
    title, name = "each look at the test split is recorded", folder.root.name
    check = _look(title, lambda: look_problems(folder), study=name, hint=hint)
    yield check
    if check.is_ok:
        yield from (Check(remark, (), name) for remark in broken_off(folder))


def _look(
    title: str, find: Callable[[], Iterable[str]], *, study: str = "", hint: str = ""
) -> Check:
    try:
        problems = tuple(find())
    except Exception as error:  # noqa: BLE001 - whatever a damaged store raises is what we look for
        problems = (f"cannot be read: {_one_line(error)}",)
    return Check(title, problems, study, hint)


def _machine(home: Path) -> Iterator[Check]:
    place = _existing(home)
    missing = tuple(f"{name} is not installed" for name in PACKAGES[1:] if not _version(name))
    yield Check("packages are installed", missing, hint="pip install nnsearch")
    yield _look("torch can be imported", _torch_problems, hint="Install torch again.")
    free = shutil.disk_usage(place).free
    is_full = free < LEAST_FREE_BYTES
    problems = (f"{free / 1e9:.1f} GB are free on the disk of {place}",) if is_full else ()
    yield Check("there is room on the disk", problems, hint="Make room: a study may need 1 GB.")
    refused = () if os.access(place, os.W_OK | os.X_OK) else (f"{place} cannot be written",)
    yield Check("the folder of runs is writable", refused, hint="Name another one with --mlruns.")


def _stores(home: Path) -> Iterator[Check]:
    """N6 of the files that all studies share."""
    database, journal = Home(home).mlflow_database, Home(home).optuna_journal
    if database.exists():
        hint = "`nnsearch doctor --rebuild` keeps it aside and makes it again from the records."
        yield _look("mlflow.db is whole (N6)", lambda: database_problems(database), hint=hint)
    if journal.exists():
        hint = "`nnsearch doctor --rebuild` keeps it aside and makes it again from the records."
        yield _look("optuna.journal is whole (N6)", lambda: _journal_problems(journal), hint=hint)


def database_problems(path: Path) -> Iterator[str]:
    """What SQLite itself finds. Raises sqlite3.DatabaseError where the file is no database."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    yield from (each for each in found if each != "ok")


def _journal_problems(path: Path) -> Iterator[str]:
    from nnsearch.search.journal import problem

    found = problem(path)
    if found:
        yield f"{path}: {found}"
    yield from torn(path)


def _torch_problems() -> Iterator[str]:
    import torch

    if not torch.isfinite(torch.ones(2, 2) @ torch.ones(2, 2)).all():
        yield "torch cannot multiply"


def _facts(home: Path, stores: Stores) -> dict[str, str]:
    facts = {"python": platform.python_version(), "platform": platform.platform()}
    facts |= {name: _version(name) or "not installed" for name in PACKAGES}
    export = [f"{name} {_version(name)}" for name in EXPORT_PACKAGES if _version(name)]
    is_whole = len(export) == len(EXPORT_PACKAGES)
    facts["export"] = ", ".join(export) if is_whole else "pip install 'nnsearch[export]'"
    free = shutil.disk_usage(_existing(home)).free
    return facts | {
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "threads": os.environ.get("OMP_NUM_THREADS", "") or "one a worker",
        "devices": _devices(),
        "runs": str(home.resolve()),
        "disk": f"{free / 1e9:.1f} GB free",
        "MLflow": shown(stores.mlflow_uri),
        "Optuna": shown(stores.storage) or str(Home(home).optuna_journal),
    }


def _devices() -> str:
    try:
        import torch
    except ImportError:
        return "unknown without torch"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ", ".join(["cpu", *(torch.cuda.get_device_name(each) for each in range(count))])


def _version(package: str) -> str:
    if package == "nnsearch":
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    folder = folder.resolve()
    return next(each for each in (folder, *folder.parents) if each.exists())


def _one_line(error: Exception) -> str:
    text = shown(" ".join(str(error).split()))[:300]
    return text if isinstance(error, LookupError) else f"{type(error).__name__}: {text}"
