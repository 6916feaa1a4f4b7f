"""Run a study to the end of its budget; the same call goes on where the last one stopped."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nnsearch.commands.places import no_trace, sole_driver
from nnsearch.commands.result import Options, RunResult, Show, request_of, stored_result
from nnsearch.study.folder import Home, write_json
from nnsearch.study.holders import disk_named
from nnsearch.study.load import load_study
from nnsearch.study.spec import Study


def run(
    path: Path,
    options: Options | None = None,
    *,
    show: Show | None = None,
    warn: Callable[[str], None] = print,
) -> RunResult:
    """Search, choose, look at the test split once, export; or say at once that all is done.

    `show(objective, trials)` gives a context manager of a listener for live progress; `warn` is
    told what a person should know meanwhile. Raises StudyError, DataError, StoreError and the
    other errors of `nnsearch.errors`, each with its exit code.
    """
    options = options or Options()
    done = stored_result(path, options)
    if done is not None:
        return done
    from nnsearch.executors.launch import fork_server

    # The server imports torch for the workers while this process reads the study.
    with fork_server(warm="nnsearch.training.job") as server:
        study = _load(path, options)
        folder = Home(options.home).study(study.name)
        with sole_driver(folder), no_trace(folder), disk_named(folder.root):
            # torch, Optuna and MLflow take seconds to import: neither a finished study needs them
            # nor one that another driver has in its hands.
            from nnsearch.commands.session import carry_out

            request = request_of(path, options)
            result = carry_out(study, options, server, show=show, warn=warn)
            write_json(folder.result, asdict(result) | {"request": request})
    from nnsearch.commands.report import add_report

    add_report(study.name, options, warn)
    return result


def _load(path: Path, options: Options) -> Study:
    study = load_study(path, overrides=options.overrides, allow_code=options.allow_code)
    changes: dict[str, Any] = {}
    if options.trials is not None:
        changes["trials"] = options.trials
    if options.timeout is not None:
        changes["timeout"] = options.timeout
    return replace(study, search=replace(study.search, **changes)) if changes else study
