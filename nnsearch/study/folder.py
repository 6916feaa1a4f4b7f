"""Every file name below mlruns/, and the two ways to write one whole. Reads no content."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnsearch.crashes import crash_point

# What a study may be called: its folder is.
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")

# Files of these kinds are written whole and never changed: whoever copies a study may link them.
NEVER_CHANGED = (".pt", ".npz")

# The state dict in an export's folder, from which trials of another study may begin.
EXPORTED_WEIGHTS = "weights.pt"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that everything a run leaves behind lies in; `mlruns` by default."""

    root: Path

    @property
    def mlflow_uri(self) -> str:
        return f"sqlite:///{self.mlflow_database}"

    @property
    def artifacts(self) -> Path:
        return self.root.resolve() / "artifacts"

    @property
    def mlflow_database(self) -> Path:
        return self.root.resolve() / "mlflow.db"

    @property
    def optuna_journal(self) -> Path:
        return self.root.resolve() / "optuna.journal"

    @property
    def studies(self) -> Path:
        return self.root / "studies"

    def study(self, name: str) -> "StudyFolder":
        return StudyFolder(self.root.resolve() / "studies" / name)


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """What one study left behind."""

    root: Path

    @property
    def spec(self) -> Path:
        """The resolved study, its fingerprint, versions and data hash."""
        return self.root / "study.json"

    @property
    def trials(self) -> Path:
        """The trials asked for, a batch a line: what the study may train."""
        return self.root / "trials.jsonl"

    @property
    def result(self) -> Path:
        """The chosen trial, its look at the test split, and where it was exported."""
        return self.root / "result.json"

    @property
    def confirmed(self) -> Path:
        """How the winner was chosen among the best trials."""
        return self.root / "confirmation.json"

    @property
    def confirmation(self) -> "StudyFolder":
        """The trainings of the best trials on fresh seeds, kept like trials of a study."""
        return StudyFolder(self.root / "confirmation")

    @property
    def looks(self) -> Path:
        """Every look at the test split, the first first."""
        return self.root / "test.json"

    @property
    def test_reads(self) -> Path:
        """Every time that the test split was opened, a line each, written before it is read."""
        return self.root / "test_reads.jsonl"

    def test_predictions(self, number: int) -> Path:
        """`predictions` [N, P], `targets` and any `groups` [N] of test by trial `number`, npz."""
        return self.root / f"test-{number:05d}.npz"

    def all_test_predictions(self) -> list[Path]:
        """Those of every trial that the test split was opened for."""
        return sorted(self.root.glob("test-*.npz"))

    @property
    def workers_log(self) -> Path:
        """What the workers wrote on standard output and standard error."""
        return self.root / "workers.log"

    @property
    def collected(self) -> Path:
        """The files that `gc` deleted, by the trial they belonged to."""
        return self.root / "collected.json"

    @property
    def parent_record(self) -> Path:
        """Of a study that extends another: which one, and what was changed."""
        return self.root / "parent.json"

    @property
    def report(self) -> Path:
        """The study as a page to read, made anew by each `nnsearch report`."""
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        return self.root / "driver.lock"

    @property
    def data(self) -> Path:
        """The prepared arrays, one folder a fingerprint."""
        return self.root / "data"

    def prepared(self, fingerprint: str) -> "PreparedFolder":
        return PreparedFolder(self.data / fingerprint)

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    def export(self, number: int) -> Path:
        """The folder of the export of trial `number`."""
        return self.exports / f"trial-{number:05d}"

    def job(self, name: str) -> "JobFolder":
        return JobFolder(self.jobs / name)

    @property
    def baseline(self) -> "JobFolder":
        """The job of the linear model that the search is compared with: one trial, number 0."""
        return self.job("baseline")


@dataclass(frozen=True, slots=True)
class PreparedFolder:
    """The arrays of the three splits and what they are."""

    root: Path

    @property
    def record(self) -> Path:
        """Signature, notes and findings, and the hash of each array under `name_of` it."""
        return self.root / "prepared.json"

    @staticmethod
    def name_of(part: str, array: str) -> str:
        """The name of an array within the folder, such as `test/inputs.npy`."""
        return f"{part}/{array}.npy"

    def array(self, part: str, name: str) -> Path:
        """`inputs` [N, *shape], `targets`, `groups` or `rows` [N], the places in the source."""
        return self.root / self.name_of(part, name)


@dataclass(frozen=True, slots=True)
class JobFolder:
    """What one job, of one or several trials, left behind."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "job.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def lock(self) -> Path:
        return self.root / "job.lock"

    @property
    def held(self) -> Path:
        """What is finished on the first division of the rows, while others are trained on."""
        return self.root / "held.jsonl"

    def fold(self, number: int) -> "JobFolder":
        """The same trials on another division of the rows; the first division is this job's own."""
        return JobFolder(self.root / f"fold-{number}")

    def folds(self) -> Iterator["JobFolder"]:
        """Those that were begun."""
        return map(JobFolder, self.root.glob("fold-*"))

    @property
    def verdicts(self) -> Path:
        """The pruner's answers to this job's rungs, appended by the driver."""
        return self.root / "verdicts.jsonl"

    @property
    def cost(self) -> Path:
        """What the job took of its worker, a line each time that it came to its end."""
        return self.root / "cost.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Where the trials that train together stood."""
        return self.root / "checkpoint.pt"

    @property
    def groups(self) -> Path:
        """Which trials train together, by numbers, where it is not all of them."""
        return self.root / "groups.json"

    def trial(self, number: int) -> "TrialFolder":
        return TrialFolder(self.root / f"trial-{number:05d}")


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """The files of one trial."""

    root: Path

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        """The state dict of transforms and model at the kept epoch."""
        return self.root / "weights.pt"

    @property
    def predictions(self) -> Path:
        """`predictions` [N, P] and `targets` [N] of the validation split, npz."""
        return self.root / "predictions.npz"


def write_whole(path: Path, write: Callable[[Path], object]) -> str:
    """Let `write` fill a temporary file, put it in the place of `path` and return its sha256.

    A reader sees the old file or the new one, never a part; once this returns the new one stays
    even if the power fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        crash_point(f"{path.name} written")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        crash_point(f"{path.name} fsynced")
        temporary.replace(path)
        crash_point(f"{path.name} renamed")
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return sha256


def write_json(path: Path, value: object) -> str:
    """`write_whole` of a value as indented JSON."""
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    return write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
