"""Run a study to the end of its budget; the same call goes on where the last one stopped."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from nnsearch import components
from nnsearch.commands.conclusion import Conclusion, conclude, conclusion_from_json, start_baseline
from nnsearch.commands.opening import Opened, facts, open_study
from nnsearch.commands.pictures import picture
from nnsearch.commands.places import MLRUNS, sole_driver
from nnsearch.events import Event, Failed, Finished, Pruned
from nnsearch.executors.executor import Executor
from nnsearch.executors.processes import processes
from nnsearch.search.asking import make_asker
from nnsearch.search.ledger import replay
from nnsearch.search.loop import Course, Means, search
from nnsearch.search.pruning import make_judge
from nnsearch.search.storage import projection
from nnsearch.study.folder import Home, StudyFolder, read_json, write_json
from nnsearch.study.load import load_study
from nnsearch.study.spec import IntRange, Objective, Study, TrialSpec
from nnsearch.tracking.mlflow import mlflow_listener
from nnsearch.tracking.store import destination
from nnsearch.training.fuse import plan
from nnsearch.training.job import Job, run_job, write_job

Listen = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may say beside the study file."""

    overrides: tuple[str, ...] = ()
    trials: int | None = None
    timeout: float | None = None
    home: Path = MLRUNS
    storage: str = ""
    workers: int = 0
    allow_code: bool = False
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a study stands after a run. `counts` are complete, pruned and failed trials."""

    study: str
    folder: str
    objective: Objective
    reason: str
    counts: dict[str, int]
    conclusion: Conclusion
    params: dict[str, Any]
    labels: tuple[str, ...]
    seconds: float
    tracking_uri: str
    has_trained: bool


def run(
    path: Path,
    options: Options = Options(),
    *,
    show: Callable[[Objective, int | None], Any] | None = None,
    warn: Callable[[str], None] = print,
) -> RunResult:
    """Search, choose, look at the test split once, export; or say at once that all is done.

    `show(objective, trials)` gives a context manager of a listener for live progress; `warn` is
    told what a person should know meanwhile. Raises StudyError, DataError, StoreError and the
    other errors of `nnsearch.errors`, each with its exit code.
    """
    request = _request(path, options)
    study = _load(path, options)
    folder = Home(options.home).study(study.name)
    with sole_driver(folder):
        done = _finished(folder, request)
        if done is not None:
            return done
        started = time.monotonic()
        with processes(
            workers=options.workers, warm="nnsearch.training.job", log=folder.root / "workers.log"
        ) as executor:
            opened = open_study(study, folder)
            for note in (*opened.prepared.notes, *map(str, opened.prepared.findings)):
                warn(note)
            with _listeners(opened, options, show, warn) as listen:
                reason, conclusion = _search(opened, options, executor, listen)
        result = _result(opened, options, reason, conclusion, seconds=time.monotonic() - started)
        write_json(folder.result, asdict(result) | {"request": request})
    return result


def _load(path: Path, options: Options) -> Study:
    study = load_study(path, overrides=options.overrides, allow_code=options.allow_code)
    changes: dict[str, Any] = {}
    if options.trials is not None:
        changes["trials"] = options.trials
    if options.timeout is not None:
        changes["timeout"] = options.timeout
    return replace(study, search=replace(study.search, **changes)) if changes else study


def _search(
    opened: Opened, options: Options, executor: Executor, listen: Listen
) -> tuple[str, Conclusion]:
    """The heart: the search itself, then the conclusion while the workers are still there."""
    study = opened.study
    baseline = start_baseline(opened, executor)
    make_sampler = components.load("samplers", study.search.sampler.name)
    asker = make_asker(
        study, opened.objective, partial(make_sampler, **study.search.sampler.options)
    )
    make_pruner = components.load("pruners", study.search.pruner.name)
    pruning = make_pruner(_most_epochs(study), **study.search.pruner.options)
    judge = make_judge(pruning, opened.objective, study.name)
    journal = Home(options.home).optuna_journal
    with projection(study, opened.objective, options.storage, journal) as project:
        project.check(opened.ledger)
        means = Means(
            plan=plan,
            write=partial(_write_job, opened, pruning.rungs),
            submit=lambda root: executor.submit(run_job, root),
            slots=executor.slots,
            listen=listen,
            project=project,
        )
        course = Course(study, opened.objective, opened.folder, opened.ledger, asker, judge, means)
        reason, best = search(course)
    baseline.result()
    conclusion = conclude(opened, executor, best)
    listen(conclusion.tested)
    return reason, conclusion


def _write_job(
    opened: Opened, rungs: tuple[int, ...], name: str, trials: Sequence[TrialSpec]
) -> None:
    data, code = opened.prepared.folder, opened.study.root.resolve()
    write_job(opened.folder.job(name), Job(tuple(trials), data, code, opened.objective, rungs))


@contextmanager
def _listeners(
    opened: Opened,
    options: Options,
    show: Callable[[Objective, int | None], Any] | None,
    warn: Callable[[str], None],
) -> Iterator[Listen]:
    """MLflow and the screen, both told of what happened before this run."""
    uri, artifacts = destination(Home(options.home), options.environ)
    labels = opened.prepared.signature.labels
    with ExitStack() as stack:
        tracker = stack.enter_context(
            mlflow_listener(
                opened.study,
                opened.objective,
                opened.folder,
                uri=uri,
                artifacts=artifacts,
                locate=partial(opened.ledger.folder, opened.folder),
                picture=partial(picture, labels, opened.objective),
                facts=facts(),
                dataset=_dataset(opened),
                warn=warn,
                uid=read_json(opened.folder.spec)["fingerprint"],
            )
        )
        listeners: list[Listen] = [tracker]
        if show is not None:
            context = show(opened.objective, opened.study.search.trials)
            listeners.append(stack.enter_context(context))

        def listen(event: Event) -> None:
            for each in listeners:
                each(event)

        for event in replay(opened.ledger):
            listen(event)
        yield listen


def _dataset(opened: Opened) -> dict[str, object]:
    prepared = opened.prepared
    return {
        "name": opened.study.source.name,
        "digest": prepared.fingerprint[:8],
        "num_rows": prepared.num_rows,
        "shape": list(prepared.signature.shape),
        "labels": list(prepared.signature.labels),
    }


def _most_epochs(study: Study) -> int:
    epochs = study.training.alternatives["recipe"].get("epochs", 20)
    if isinstance(epochs, IntRange):
        return epochs.high
    choices = getattr(epochs, "choices", (epochs,))
    return max(int(each) for each in choices)


def _request(path: Path, options: Options) -> str:
    """What this command asks for, as a hash: the study file, the options, the files it may read."""
    told = asdict(options) | {"environ": options.environ.get("MLFLOW_TRACKING_URI", "")}
    told.pop("workers")
    parts = [path.read_bytes() if path.is_file() else b"", repr(sorted(told.items())).encode()]
    for near in sorted(path.parent.glob("*")):
        if near.suffix in {".csv", ".parquet", ".npz", ".py"}:
            facts_of = near.stat()
            parts.append(f"{near.name} {facts_of.st_size} {facts_of.st_mtime_ns}".encode())
    return hashlib.sha256(b"\x1f".join(parts)).hexdigest()


def _finished(folder: StudyFolder, request: str) -> RunResult | None:
    """The result of an equal run that came to its end, else None."""
    stored = read_json(folder.result)
    if stored is None or stored.pop("request") != request:
        return None
    if stored["conclusion"]["export"] and not Path(stored["conclusion"]["export"]).exists():
        return None
    conclusion = conclusion_from_json(stored.pop("conclusion"))
    objective = Objective(**stored.pop("objective"))
    stored |= {"labels": tuple(stored["labels"]), "has_trained": False}
    return RunResult(objective=objective, conclusion=conclusion, **stored)


def _result(
    opened: Opened, options: Options, reason: str, conclusion: Conclusion, *, seconds: float
) -> RunResult:
    endings = opened.ledger.endings.values()
    kinds = {"complete": Finished, "pruned": Pruned, "failed": Failed}
    return RunResult(
        study=opened.study.name,
        folder=str(opened.folder.root),
        objective=opened.objective,
        reason=reason,
        counts={
            name: sum(isinstance(each, kind) for each in endings) for name, kind in kinds.items()
        },
        conclusion=conclusion,
        params=opened.ledger.specs[conclusion.best.trial].params,
        labels=opened.prepared.signature.labels,
        seconds=seconds,
        tracking_uri=destination(Home(options.home), options.environ)[0],
        has_trained=True,
    )
