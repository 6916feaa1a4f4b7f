"""Where things lie: the study a person names, the folder of what runs left, and its lock."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path

from nnsearch.errors import DataError, StoreError, StudyError, UsageError
from nnsearch.study.folder import Home, StudyFolder
from nnsearch.study.holders import holders

STUDIES = Path("studies")
MLRUNS = Path("mlruns")


def find_study_file(name: str) -> Path:
    """The study file at a path, or the one of that name in studies/ or else in this folder."""
    for path in (Path(name), STUDIES / f"{name}.toml", STUDIES / name, Path(f"{name}.toml")):
        if path.is_file() or (path.exists() and path.suffix == ".toml"):
            return path
    known = sorted(each.stem for each in STUDIES.glob("*.toml"))
    close = get_close_matches(name, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"There is: {', '.join(known) or 'none'}."
    raise UsageError(f"there is no study file '{name}', nor one of that name in studies/.", hint)


def find_study_folder(name: str, home: Path = MLRUNS) -> StudyFolder:
    """What a study left behind, by its name or by its study file's. Raises UsageError."""
    stem = Path(name).stem if name.endswith(".toml") else name
    folder = Home(home).study(stem)
    if folder.spec.exists():
        return folder
    names = sorted(each.name for each in Home(home).studies.glob("*"))
    known = [each for each in names if Home(home).study(each).spec.exists()]
    close = get_close_matches(stem, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else "`nnsearch list` shows those there are."
    raise UsageError(f"no study '{stem}' has run in {home}.", hint)


@contextmanager
def sole_driver(folder: StudyFolder) -> Iterator[None]:
    """Hold the study's lock: there is one driver at a time, and its death lets go of it.

    Raises StoreError, naming the process that holds it, or where the folder cannot be written.
    """
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        file = folder.lock.open("a+")
    except OSError as error:
        raise StoreError(f"cannot write {folder.root}: {error.strerror}.", "Free it.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            numbers = [*map(str, holders(folder.lock)), file.read().strip()]
            holder = next(filter(None, numbers), "unknown")
            raise StoreError(
                f"study '{folder.root.name}' is being run by process {holder}.",
                "Wait for it, or stop it and type the same command.",
            ) from None
        if not os.fstat(file.fileno()).st_nlink:  # `no_trace` removed it meanwhile
            message = f"study '{folder.root.name}' was refused by another process just now."
            raise StoreError(message, "Type the same command again.")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def no_trace(folder: StudyFolder) -> Iterator[None]:
    """Where an input is refused, remove what was made for it; what is recorded stays.

    The caller holds the study's lock.
    """
    before = set(folder.data.glob("*"))
    try:
        yield
    except (StudyError, DataError, UsageError):
        is_recorded = folder.spec.exists()
        made = set(folder.data.glob("*")) - before if is_recorded else {folder.root}
        for each in made:
            shutil.rmtree(each, ignore_errors=True)
        if not is_recorded:
            for parent in (folder.root.parent, folder.root.parent.parent):
                with suppress(OSError):  # it holds something else
                    parent.rmdir()
        raise
