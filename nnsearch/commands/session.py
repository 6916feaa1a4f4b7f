"""One session of a study: everything wired together, from its records to its conclusion."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cache, partial
from math import ceil
from pathlib import Path

from nnsearch import components
from nnsearch.commands import errands
from nnsearch.commands.attempts import attempt
from nnsearch.commands.audience import Audience, audience
from nnsearch.commands.chosen import chosen_of
from nnsearch.commands.conclusion import Finishers, conclude, start_baseline
from nnsearch.commands.confirming import choose
from nnsearch.commands.opening import Opened, open_study, remove_drafts
from nnsearch.commands.publishing import publish_report, write_report
from nnsearch.commands.result import Conclusion, Options, RunResult, Show
from nnsearch.events import Failed, Finished, Pruned
from nnsearch.executors.launch import ForkServer
from nnsearch.executors.processes import Processes, processes
from nnsearch.search.asking import Asker, make_asker
from nnsearch.search.course import Course, Means, Work
from nnsearch.search.jobs import BATCHES_IN_FLIGHT
from nnsearch.search.loop import search
from nnsearch.search.pruning import make_judge
from nnsearch.search.storage import Place, projection
from nnsearch.study.folder import Home, StudyFolder, write_json
from nnsearch.study.spec import IntRange, Study, TrialSpec
from nnsearch.tracking.store import destination, shown
from nnsearch.training.fuse import plan, spread
from nnsearch.training.jobfile import Job, write_job

# What of the time to leave in, after a signal, the jobs have; `audience` has MLflow's share.
SAVING_SHARE = 0.6


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
        _finishers(server, log) as finishers,
    ):
        seconds = study.search.stall_timeout
        inspected = attempt(executor, errands.inspect, study, folder, stall_seconds=2 * seconds)
        opened = open_study(study, folder, inspected)
        for note in inspected.remarks:
            warn(note)
        with (
            audience(opened, options, show, warn) as told,
            _stopping(executor, options, warn),
        ):
            reason, conclusion = _search(
                opened, options, executor, told, finishers=finishers, warn=warn
            )
            seconds_taken = time.monotonic() - began
            result = _result(opened, options, reason, conclusion, seconds=seconds_taken)
            # Not an answer to the same command yet, for MLflow may lack what is being written.
            write_json(folder.result, asdict(result) | {"request": ""})
            told.flush()
            reporter = finishers().reporter
            page = write_report(
                study.name,
                options.home,
                lambda *asked: attempt(reporter, errands.report, *asked, stall_seconds=seconds),
                warn,
            )
        write_json(folder.result, asdict(result) | {"request": request})
        if page is not None:
            publish_report(page, study.name, options, warn)
    return result


def _search(
    opened: Opened,
    options: Options,
    executor: Processes,
    told: Audience,
    *,
    finishers: Callable[[], Finishers],
    warn: Callable[[str], None],
) -> tuple[str, Conclusion]:
    """The heart: the search itself, then the conclusion while the workers are still there."""

    def wind_down() -> None:
        finishers()
        told.flush()

    study, listen = opened.study, told.listen
    await_baseline = start_baseline(opened, executor)
    make_pruner = components.load("pruners", study.search.pruner.name)
    pruning = make_pruner(_most_epochs(study), **study.search.pruner.options)
    judge = make_judge(pruning, opened.objective, study.name)
    place = Place(options.storage, Home(options.home).optuna_journal, warn)
    with projection(study, opened.objective, place, opened.prepared.others) as project:
        project.check(opened.ledger)
        means = Means(
            plan=partial(_in_jobs, study.search.trials, executor.slots),
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
        reason, best = search(Course(study, opened.objective, _asker(opened), work))
        await_baseline()
        confirmed = choose(opened, executor, listen)
        if confirmed is not None:
            listen(confirmed)
            best = chosen_of(opened.folder, opened.ledger, opened.objective) or best
        conclusion = conclude(
            opened,
            executor,
            best,
            confirmed,
            finishers=finishers(),
            listen=listen,
            may_reopen=options.reopen_test,
        )
    return reason, conclusion


def _asker(opened: Opened) -> Asker:
    sampler = opened.study.search.sampler
    make_sampler = partial(components.load("samplers", sampler.name), **sampler.options)
    others = opened.prepared.others
    return make_asker(opened.study, opened.objective, make_sampler, others=others)


@contextmanager
def _finishers(server: ForkServer, log: Path) -> Iterator[Callable[[], Finishers]]:
    """The workers for the end; they are there from the first time they are asked for.

    Of their own, so that what they import for it lies ready when the others are through.
    """
    with ExitStack() as stack:

        def worker(get_ready: Callable[[], None]) -> Processes:
            pool = stack.enter_context(processes(server, workers=1, log=log))
            pool.submit(get_ready)
            return pool

        reporter = worker(errands.get_ready_to_report)
        yield cache(lambda: Finishers(reporter, worker(errands.get_ready_to_export)))


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


def _in_jobs(
    num_trials: int | None, slots: int, trials: Sequence[TrialSpec]
) -> list[list[TrialSpec]]:
    """The jobs of a batch: enough of them that no slot stays empty, whatever could be fused.

    Behind the last batch no other comes, so it has to do for all slots.
    """
    is_last = bool(trials) and trials[-1].number + 1 == num_trials
    wanted = slots if is_last else ceil(slots / BATCHES_IN_FLIGHT)
    return spread(plan(trials), wanted)


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
