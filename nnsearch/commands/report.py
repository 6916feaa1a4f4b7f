"""A study as one HTML file to read offline, to print and to send. Trains nothing."""

from pathlib import Path
from shlex import quote
from typing import Any

from nnsearch.commands.compare_records import load
from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.commands.report_interpret import as_document as interpretation_values
from nnsearch.commands.report_interpret import interpretation
from nnsearch.commands.report_records import gather, now
from nnsearch.errors import StoreError
from nnsearch.reports.html import page
from nnsearch.study.folder import write_whole


def report(name: str, home: Path = MLRUNS, *, out: Path | None = None) -> Path:
    """Write the report of the study called `name`, and return where it lies.

    That is in the study's own folder unless `out` says otherwise; an earlier one is replaced. The
    study may still be running: the page shows what it came to so far. Raises UsageError where there
    is no such study, and StoreError where the file cannot be written.
    """
    folder = find_study_folder(name, home)
    text = page(gather(folder, home, at=now()))
    path = folder.report if out is None else out
    try:
        write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))
        path.chmod(0o644)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror}.", "Choose another --out."
        ) from error
    return path


def as_document(path: Path, name: str, home: Path = MLRUNS) -> dict[str, Any]:
    """The same as JSON values, with what the winner looks at."""
    study = load(find_study_folder(name, home))
    return {
        "report": str(path),
        "bytes": path.stat().st_size,
        "interpretation": interpretation_values(interpretation(study)),
    }


def as_text(path: Path) -> str:
    """Where it lies, for a person."""
    return f"report       {path}\nlook at it   xdg-open {quote(str(path))}"
