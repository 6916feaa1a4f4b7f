"""One session of a study: everything wired together, from its records to its conclusion."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

from nnsearch import components
from nnsearch.commands import errands
from nnsearch.commands.attempts import attempt
from nnsearch.commands.chosen import chosen_of
from nnsearch.commands.conclusion import conclude, start_baseline
from nnsearch.commands.confirming import choose
from nnsearch.commands.opening import Opened, facts, open_study, remove_drafts
from nnsearch.commands.pictures import picture
from nnsearch.commands.publishing import add_report
from nnsearch.commands.result import Conclusion, Listen, Options, RunResult, Show
from nnsearch.events import Event, Failed, Finished, Pruned
from nnsearch.executors.launch import ForkServer
from nnsearch.executors.processes import Processes, processes
from nnsearch.search.asking import make_asker
from nnsearch.search.course import Course, Means, Work
from nnsearch.search.ledger import replay
from nnsearch.search.loop import search
from nnsearch.search.pruning import make_judge
from nnsearch.search.storage import Place, projection
from nnsearch.study.folder import Home, StudyFolder, read_json, write_json
from nnsearch.study.spec import IntRange, Study, TrialSpec
from nnsearch.tracking.mlflow import mlflow_listener
from nnsearch.tracking.store import destination, shown
from nnsearch.training.fuse import plan
from nnsearch.training.jobfile import Job, write_job

# What of the time to leave in, after a signal, the jobs have, and then MLflow.
SAVING_SHARE, TELLING_SHARE = 0.6, 0.3


def carry_out(
    study: Study,
    options: Options,
    server: ForkServer,
    *,
    request: str,
    show: Show | None,
    warn: Callable[[str], None],
) -> RunResult:
    """Search, choose, look at the test split once, export, report.

    The caller holds the study's lock. `server` forks the workers, and has loaded torch, or soon
    will have. `request` is what was asked for, and is kept with the result.
    """
    folder = Home(options.home).study(study.name)
    began = time.monotonic()
    log = folder.workers_log
    with (
        _tidied(folder),
        processes(server, workers=options.workers, log=log) as executor,
        _concluder(server, log) as concluder,
    ):
        seconds = study.search.stall_timeout
        inspected = attempt(executor, errands.inspect, study, folder, stall_seconds=2 * seconds)
        opened = open_study(study, folder, inspected)
        for note in inspected.remarks:
            warn(note)
        with (
            _listeners(opened, options, show, warn) as audience,
            _stopping(executor, options, warn),
        ):
            reason, conclusion = _search(
                opened, options, executor, audience, concluder=concluder, warn=warn
            )
        seconds_taken = time.monotonic() - began
        result = _result(opened, options, reason, conclusion, seconds=seconds_taken)
        write_json(folder.result, asdict(result) | {"request": request})
        add_report(
            study.name,
            options,
            lambda *asked: attempt(concluder(), errands.report, *asked, stall_seconds=seconds),
            warn,
        )
    return result


def _search(
    opened: Opened,
    options: Options,
    executor: Processes,
    audience: "Audience",
    *,
    concluder: Callable[[], Processes],
    warn: Callable[[str], None],
) -> tuple[str, Conclusion]:
    """The heart: the search itself, then the conclusion while the workers are still there."""

    def wind_down() -> None:
        concluder()
        audience.flush()

    study, listen = opened.study, audience.listen
    await_baseline = start_baseline(opened, executor)
    make_sampler = components.load("samplers", study.search.sampler.name)
    others = opened.prepared.others
    make_sampler = partial(make_sampler, **study.search.sampler.options)
    asker = make_asker(study, opened.objective, make_sampler, others=others)
    make_pruner = components.load("pruners", study.search.pruner.name)
    pruning = make_pruner(_most_epochs(study), **study.search.pruner.options)
    judge = make_judge(pruning, opened.objective, study.name)
    place = Place(options.storage, Home(options.home).optuna_journal, warn)
    with projection(study, opened.objective, place, others) as project:
        project.check(opened.ledger)
        means = Means(
            plan=plan,
            write=partial(_write_job, opened, pruning.rungs),
            submit=lambda root: executor.submit(errands.train, root),
            slots=executor.slots,
            listen=listen,
            project=project,
            kill=executor.kill,
            wind_down=wind_down,
            stall_seconds=study.search.stall_timeout,
        )
        work = Work(opened.folder, opened.ledger, means, judge)
        course = Course(study, opened.objective, asker, work)
        reason, best = search(course)
        await_baseline()
        confirmed = choose(opened, executor, listen)
        if confirmed is not None:
            listen(confirmed)
            best = chosen_of(opened.folder, opened.ledger, opened.objective) or best
        may_reopen = options.reopen_test
        conclusion = conclude(opened, concluder(), best, confirmed, may_reopen=may_reopen)
        listen(conclusion.tested)
    return reason, conclusion


@contextmanager
def _concluder(server: ForkServer, log: Path) -> Iterator[Callable[[], Processes]]:
    """The worker that concludes; it is there from the first time it is asked for.

    One of its own, so that what it imports for that lies ready while the others still train.
    """
    with ExitStack() as stack:

        @cache
        def worker() -> Processes:
            pool = stack.enter_context(processes(server, workers=1, log=log))
            pool.submit(errands.get_ready_to_conclude)
            return pool

        yield worker


@contextmanager
def _tidied(folder: StudyFolder) -> Iterator[None]:
    """Remove what workers that died left unfinished; none of them is there any more at the end."""
    try:
        yield
    finally:
        remove_drafts(folder)


@contextmanager
def _stopping(executor: Processes, options: Options, warn: Callable[[str], None]) -> Iterator[None]:
    """End the jobs where an error or a signal leaves, and not after MLflow is through.

    After a signal what trains may finish its epoch and save it.
    """
    try:
        yield
    except Exception:
        executor.cancel_all()
        raise
    except BaseException:
        seconds = SAVING_SHARE * options.grace
        warn(f"Stopping: what trains finishes its epoch, for {seconds:g} s at most.")
        executor.close(seconds)
        raise


def _write_job(
    opened: Opened, rungs: tuple[int, ...], name: str, trials: Sequence[TrialSpec]
) -> None:
    job = Job(
        tuple(trials),
        opened.prepared.folder,
        opened.study.root.resolve(),
        opened.objective,
        rungs,
        opened.prepared.others,
        opened.study.search.constraints,
        opened.prepared.folds,
        enough=_enough(opened),
    )
    write_job(opened.folder.job(name), job)


def _enough(opened: Opened) -> float | None:
    """The target, where one training that reaches it settles the search."""
    is_settled = not (
        opened.study.search.constraints or opened.prepared.folds or opened.prepared.others
    )
    return opened.study.search.target if is_settled else None


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told every event, and what has MLflow told at once of all that it was not yet."""

    listen: Listen
    flush: Callable[[], object]


@contextmanager
def _listeners(
    opened: Opened,
    options: Options,
    show: Show | None,
    warn: Callable[[str], None],
) -> Iterator[Audience]:
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
                leave_seconds=TELLING_SHARE * options.grace,
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
        yield Audience(listen, partial(tracker.flush, 0.0))


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


def _result(
    opened: Opened, options: Options, reason: str, conclusion: Conclusion, *, seconds: float
) -> RunResult:
    endings = opened.ledger.endings.values()
    kinds = {"complete": Finished, "pruned": Pruned, "failed": Failed}
    objectives = (opened.objective, *opened.prepared.others)
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
        tracking_uri=shown(destination(Home(options.home), options.environ)[0]),
        has_trained=True,
        num_infeasible=len(opened.ledger.infeasible()),
        num_front=len(opened.ledger.front(objectives)) if objectives[1:] else 0,
    )
