"""Run a study to the end of its budget; the same call goes on where the last one stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from nnsearch.commands.places import no_trace, sole_driver
from nnsearch.commands.result import Options, RunResult, Show, name_of, request_of, stored_result
from nnsearch.study.folder import Home, StudyFolder
from nnsearch.study.holders import disk_named
from nnsearch.study.situate import situated
from nnsearch.study.spec import Study

if TYPE_CHECKING:
    from nnsearch.executors.launch import ForkServer

# What the fork server loads ahead for the workers.
WARM = "nnsearch.training.job"

# Code of one's own that takes longer to import hangs.
LOAD_SECONDS = 600.0


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
    name, home = name_of(path), Home(options.home)
    # A second driver is to hear of the first before it loads anything.
    with _claimed(home.study(name)) if name else nullcontext():
        from nnsearch.executors.launch import fork_server

        # The server loads torch, for its workers, while this process loads what it needs itself.
        with fork_server(warm=WARM) as server:
            study = _limited(_loaded(path, options, server), options)
            folder = home.study(study.name)
            with (
                nullcontext() if study.name == name else _claimed(folder),
                situated(path, options.overrides),
                disk_named(folder.root),
            ):
                from nnsearch.commands.session import carry_out

                request = request_of(path, options)
                return carry_out(study, options, server, request=request, show=show, warn=warn)


@contextmanager
def _claimed(folder: StudyFolder) -> Iterator[None]:
    """Within it nobody else runs the study, and an input that is refused leaves no trace of it."""
    with sole_driver(folder), no_trace(folder):
        yield


def _loaded(path: Path, options: Options, server: "ForkServer") -> Study:
    """The study, read by a worker; meanwhile this process imports what the search takes."""
    from nnsearch.commands import errands
    from nnsearch.commands.attempts import attempt
    from nnsearch.executors.processes import processes

    asked = (path, options.overrides, options.allow_code)
    with processes(server, workers=1) as executor:
        begun = executor.submit(errands.load, *asked)
        _load_ahead(options)
        return attempt(executor, errands.load, *asked, stall_seconds=LOAD_SECONDS, begun=begun)


def _load_ahead(options: Options) -> None:
    """Import what the search takes, and ask for the versions, while torch is loaded elsewhere.

    MLflow, where it is needed at all, in a thread, for it takes as long as torch. The thread is no
    daemon: an import that the interpreter's end cuts off may crash it.
    """
    from nnsearch.tracking.store import destination, import_mlflow, is_direct

    uri, _ = destination(Home(options.home), options.environ)
    if not is_direct(uri):
        Thread(target=import_mlflow, args=(uri,), name="mlflow-import").start()
    import_module("nnsearch.commands.session")
    from nnsearch.commands.opening import facts

    facts()


def _limited(study: Study, options: Options) -> Study:
    """The study with the limits of the command line."""
    changes: dict[str, Any] = {}
    if options.trials is not None:
        changes["trials"] = options.trials
    if options.timeout is not None:
        changes["timeout"] = options.timeout
    return replace(study, search=replace(study.search, **changes)) if changes else study
