"""The file of weights that trials begin with: where it may lie, and its hash in the study.

With its hash the option says which weights are meant, so that a study whose file has changed is
another study. Loads no weights.
"""

import re
import stat
from dataclasses import replace
from pathlib import Path

from nnsearch.errors import UsageError
from nnsearch.study.complaints import Complaints
from nnsearch.study.folder import EXPORTED_WEIGHTS, Home, StudyFolder, sha256_of
from nnsearch.study.spec import Choice, Space, Study

AT = ("training", "start")

_LENGTH = 16  # of 64 digits: whoever reads a study reads them too
_PINNED = re.compile(r"(?P<path>.+) sha256:(?P<sha256>[0-9a-f]{16})")


def pin(study: Study, complaints: Complaints) -> Study:
    """The study with the hash of each file that its trials begin with in `training.start`.

    Raises StudyError for one that is missing, that lies elsewhere than it may, and for one with
    another hash than the study gives.
    """
    ((name, options),) = study.training.alternatives.items()
    given = options.get("start", "")
    values = given.choices if isinstance(given, Choice) else (given,)
    pinned = []
    for each in map(str, values):
        try:
            pinned.append(_pinned(study.root, each) if each else each)
        except UsageError as error:
            complaints.add("E501", AT, error.message, error.hint)
    complaints.raise_any()
    new = Choice(tuple(pinned)) if isinstance(given, Choice) else pinned[0]
    if new == given:
        return study
    space = Space(study.training.path, {name: options | {"start": new}}, study.training.shared)
    return replace(study, training=space)


def start_file(root: Path, value: str) -> tuple[Path, str]:
    """The file that `training.start` means in a study of the folder `root`, and its hash, if told.

    The hash is how the sha256 begins. The file is below `root`, or in the export of a study.
    Raises UsageError where it is neither, or where there is none.
    """
    found = _PINNED.fullmatch(value)
    path, sha256 = (found["path"], found["sha256"]) if found else (value, "")
    if "\0" in path:
        raise UsageError("start has a NUL character in its path.", "Check it.")
    target = (root / path).resolve()
    file = target / EXPORTED_WEIGHTS if target.is_dir() else target
    if not target.is_relative_to(root.resolve()) and not _is_export(file.parent):
        message = f"start = '{path}' is neither in the study's folder nor the export of a study."
        raise UsageError(message, "Copy the file there.")
    try:
        mode = file.stat().st_mode
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"start = '{path}': {file.name} cannot be read: {reason}."
        raise UsageError(message, "Name an export's folder or a file of weights.") from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"start = '{path}' is no plain file.", "Name a file of weights.")
    return file, sha256


def _pinned(root: Path, value: str) -> str:
    file, wanted = start_file(root, value)
    found = sha256_of(file)[:_LENGTH]
    if not wanted:
        return f"{value} sha256:{found}"
    if wanted != found:
        message = f"the file of start = '{value}' has changed: its sha256 is {found} now."
        raise UsageError(message, "Give the file that it was, or leave the sha256 out.")
    return value


def _is_export(folder: Path) -> bool:
    """Whether a folder lies where a study keeps its exports."""
    parents = folder.parents
    if len(parents) <= 3:  # noqa: PLR2004 - exports, study, studies, home
        return False
    exports, studies = StudyFolder(parents[1]).exports, Home(parents[3]).studies
    return parents[0] == exports and parents[2] == studies
