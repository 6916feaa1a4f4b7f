"""A study as one HTML file to read offline, to print and to send. Trains nothing."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.commands.report_records import gather, now
from nnsearch.commands.result import Options
from nnsearch.errors import StoreError
from nnsearch.reports.html import page
from nnsearch.study.folder import Home, read_json, write_whole
from nnsearch.tracking.attach import attach
from nnsearch.tracking.store import destination


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


def add_report(name: str, options: Options, warn: Callable[[str], None]) -> None:
    """Write the report of a study that has just ended, and put it into MLflow's run of the study.

    What goes wrong is said to `warn`: the study counts without a page about it.
    """
    try:
        path = report(name, options.home)
        folder = Home(options.home).study(name)
        uri = destination(Home(options.home), options.environ)[0]
        uid = read_json(folder.spec)["fingerprint"]
        if not attach(path, uri=uri, experiment=name, study_uid=uid):
            warn(f"MLflow has no run of the study '{name}': its report is only at {path}.")
    except Exception as error:  # noqa: BLE001 - neither drawing nor MLflow may fail a study that is done
        reason = str(error).partition("\n")[0]
        warn(f"the report is not written, or not in MLflow ({type(error).__name__}: {reason}).")
        warn(f"`nnsearch report {quote(name)}` writes it again.")


def as_document(path: Path) -> dict[str, Any]:
    """The same as JSON values."""
    return {"report": str(path), "bytes": path.stat().st_size}


def as_text(path: Path) -> str:
    """Where it lies, for a person."""
    return f"report       {path}\nlook at it   xdg-open {quote(str(path))}"
