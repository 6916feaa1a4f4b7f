"""Put what is made of a study's end where people look for it. Draws nothing."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote

from nnsearch.commands.result import Options
from nnsearch.study.folder import Home, read_json
from nnsearch.tracking.attach import attach
from nnsearch.tracking.store import destination


def add_report(
    name: str,
    options: Options,
    write: Callable[[str, Path], Path],
    warn: Callable[[str], None],
) -> None:
    """Have the report of a study that has just ended written, and put it into its run in MLflow.

    `write` is given the study's name and the folder of runs, and tells where the report lies. What
    goes wrong is said to `warn`: the study counts without a page about it.
    """
    try:
        path = write(name, options.home)
        folder = Home(options.home).study(name)
        uri = destination(Home(options.home), options.environ)[0]
        uid = read_json(folder.spec)["fingerprint"]
        if not attach(path, uri=uri, experiment=name, study_uid=uid):
            warn(f"MLflow has no run of the study '{name}': its report is only at {path}.")
    except Exception as error:  # noqa: BLE001 - neither drawing nor MLflow may fail a study that is done
        reason = str(error).partition("\n")[0]
        warn(f"the report is not written, or not in MLflow ({type(error).__name__}: {reason}).")
        warn(f"`nnsearch report {quote(name)}` writes it again.")
