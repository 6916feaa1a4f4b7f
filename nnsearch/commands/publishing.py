"""Put what is made of a study's end where people look for it. Draws nothing."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote

from nnsearch.commands.result import Options
from nnsearch.study.folder import Home, StudyFolder, read_json
from nnsearch.tracking.attach import attach
from nnsearch.tracking.store import destination, shown


def write_report(
    name: str, home: Path, write: Callable[[str, Path], Path], warn: Callable[[str], None]
) -> Path | None:
    """Have the report of a study that has just ended written; where it lies, or None.

    `write` is given the study's name and the folder of runs, and tells where the report lies. What
    goes wrong is said to `warn`: the study counts without a page about it.
    """
    try:
        return write(name, home)
    except Exception as error:  # noqa: BLE001 - drawing may not fail a study that is done
        warn(f"the report is not written ({_one_line(error)}).")
        warn(f"`nnsearch report {quote(name)}` writes it again.")
        return None


def publish_report(path: Path, name: str, options: Options, warn: Callable[[str], None]) -> None:
    """Put the report at `path` into the study's run in MLflow; `warn` is told where that fails."""
    try:
        uri = destination(Home(options.home), options.environ)[0]
        if not publish(Home(options.home).study(name), uri):
            warn(f"MLflow has no run of the study '{name}': its report is only at {path}.")
    except Exception as error:  # noqa: BLE001 - nor may MLflow
        warn(f"the report at {path} is not in MLflow ({_one_line(error)}).")
        warn(f"`nnsearch sync {quote(name)}` puts it there when MLflow takes it again.")


def publish(folder: StudyFolder, uri: str) -> bool:
    """Have a study's report beside its run in MLflow, if it is not yet; False without such a run.

    Raises what MLflow raises where its store is gone or locked.
    """
    uid = read_json(folder.spec)["fingerprint"]
    return attach(folder.report, uri=uri, experiment=folder.root.name, study_uid=uid)


def _one_line(error: Exception) -> str:
    reason = shown(str(error).partition("\n")[0])
    return f"{type(error).__name__}: {reason}"
