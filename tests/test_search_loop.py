"""The search loop with a real sampler and jobs that are plain functions of their parameters."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nnsearch import components, events
from nnsearch.errors import NothingCompletedError, TrialsFailedError
from nnsearch.events import Asked, Ending, Epoch, Event, Failed, Finished, Pruned, Started
from nnsearch.search.asking import make_asker
from nnsearch.search.course import Course, Means, Work
from nnsearch.search.ledger import Ledger, read_ledger, replay
from nnsearch.search.loop import search
from nnsearch.search.pruning import make_judge
from nnsearch.study.folder import JobFolder, StudyFolder, read_json, write_json
from nnsearch.study.load import load_study
from nnsearch.study.spec import Objective, Study, TrialSpec

EPOCHS = 9
OBJECTIVE = Objective("accuracy", "maximize")
STUDY = """
name = "toy"
[data]
source = "digits"
[task]
name = "classification"
[model]
one_of = ["mlp", "linear"]
[model.mlp]
width = { int = [1, 64] }
dropout = { float = [0.0, 0.9] }
[optimizer]
name = "sgd"
lr = { float = [1e-4, 1.0], log = true }
[search]
trials = 20
batch = 4
"""


def study_of(tmp_path: Path, *overrides: str) -> Study:
    path = tmp_path / "toy.toml"
    path.write_text(STUDY)
    return load_study(path, overrides=overrides)


def curve(params: dict[str, Any], epoch: int) -> float:
    """A trial's accuracy after an epoch: better with width and rate, worse with dropout."""
    width, dropout = params.get("model.mlp.width", 16), params.get("model.mlp.dropout", 0.5)
    rate = params.get("optimizer.lr", 0.1)
    return float((width / 64) * (1 - dropout) * (1 + rate) / 2 * epoch / EPOCHS)


def toy_job(root: str, *, error: str = "", value: float | None = None) -> None:
    """A worker: what run_job does, but for the training."""
    import time

    folder = JobFolder(Path(root))
    spec = read_json(folder.spec)
    for fields in spec["trials"]:
        trial = TrialSpec.from_json(fields)
        say = partial(_append, folder)
        say(Started(trial.number, trial.uid, time.time()))
        if error:
            say(Failed(trial.number, time.time(), error))
            continue
        for epoch in range(1, EPOCHS + 1):
            reached = curve(trial.params, epoch) if value is None else value
            say(Epoch(trial.number, epoch, time.time(), 0.0, {OBJECTIVE.key: reached}))
            if epoch in spec["rungs"] and not _verdict(folder, trial.number, epoch):
                say(Pruned(trial.number, time.time(), epoch, reached))
                break
        else:
            say(Finished(trial.number, time.time(), reached, EPOCHS, 0.0, {}))


def _append(folder: JobFolder, event: Event) -> None:
    events.append_lines(folder.events, [events.to_line(event)], sync=False)


def _verdict(folder: JobFolder, number: int, epoch: int) -> bool:
    import json
    import time

    for _ in range(2000):  # the driver may be gone
        for line, _end in events.whole_lines(folder.verdicts):
            verdict = json.loads(line)
            if (verdict["trial"], verdict["epoch"]) == (number, epoch):
                return bool(verdict["keep"])
        time.sleep(0.001)
    raise TimeoutError(f"no verdict on {number} after {epoch}")


def course_of(
    study: Study, folder: StudyFolder, submit: Callable[[str], "Future[None]"], **means: Any
) -> Course:
    make_sampler = components.load("samplers", study.search.sampler.name)
    asker = make_asker(study, OBJECTIVE, partial(make_sampler, **study.search.sampler.options))
    pruning = components.load("pruners", study.search.pruner.name)(EPOCHS)
    folder.root.mkdir(parents=True, exist_ok=True)

    def write(name: str, trials: Sequence[TrialSpec]) -> None:
        from dataclasses import asdict

        fields = {"trials": [asdict(each) for each in trials], "rungs": list(pruning.rungs)}
        write_json(folder.job(name).spec, fields)

    given: dict[str, Any] = {
        "plan": lambda trials: [[each] for each in trials],
        "write": write,
        "submit": submit,
        "slots": 2,
        "listen": lambda _: None,
        "project": lambda _: None,
    }
    judge = make_judge(pruning, OBJECTIVE, study.name)
    work = Work(folder, read_ledger(folder), Means(**(given | means)), judge)
    return Course(study, OBJECTIVE, asker, work)


def at_once(job: Callable[[str], None], slots: int = 2) -> Any:
    """An executor of threads as a context manager; `.submit` is what the loop wants."""
    from concurrent.futures import ThreadPoolExecutor

    class Threads(ThreadPoolExecutor):
        def run(self, root: str) -> "Future[None]":
            return self.submit(job, root)

    return Threads(slots)


def table(ledger: Ledger) -> list[tuple[Any, ...]]:
    return [
        (number, ledger.specs[number].params, type(each).__name__, getattr(each, "value", None))
        for number, each in sorted(ledger.endings.items())
    ]


def run(tmp_path: Path, name: str, *overrides: str, slots: int = 2) -> Course:
    study = study_of(tmp_path, *overrides)
    with at_once(toy_job, slots) as executor:
        course = course_of(study, StudyFolder(tmp_path / name), executor.run, slots=slots)
        search(course)
    return course


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_the_budget_is_the_studys_total(tmp_path: Path, sampler: str) -> None:
    course = run(tmp_path, "a", f"search.sampler={sampler}")
    assert sorted(course.work.ledger.endings) == list(range(20))
    assert len({each.uid for each in course.work.ledger.specs.values()}) == 20


@pytest.mark.parametrize("pruner", ["none", "median", "halving", "hyperband"])
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_the_number_of_workers_changes_nothing(tmp_path: Path, sampler: str, pruner: str) -> None:
    overrides = (f"search.sampler={sampler}", f"search.pruner={pruner}")
    one = run(tmp_path, "one", *overrides, slots=1)
    four = run(tmp_path, "four", *overrides, slots=4)
    assert table(one.work.ledger) == table(four.work.ledger)
    states = {row[2] for row in table(one.work.ledger)}
    assert ("Pruned" in states) == (pruner != "none")


@pytest.mark.parametrize("pruner", ["none", "halving", "hyperband", "median"])
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
@pytest.mark.parametrize("stop_after", [3, 9])
def test_a_broken_off_study_goes_on_as_if_it_had_not_been(
    tmp_path: Path, sampler: str, pruner: str, stop_after: int
) -> None:
    overrides = (f"search.sampler={sampler}", f"search.pruner={pruner}")
    whole = run(tmp_path, "whole", *overrides)
    study, folder = study_of(tmp_path, *overrides), StudyFolder(tmp_path / "broken")

    def break_off(event: Event) -> None:
        if isinstance(event, Ending) and len(read_ledger(folder).endings) >= stop_after:
            raise KeyboardInterrupt

    with at_once(toy_job) as executor, pytest.raises(KeyboardInterrupt):
        search(course_of(study, folder, executor.run, listen=break_off))
    assert stop_after <= len(read_ledger(folder).endings) < 20
    run(tmp_path, "broken", *overrides)
    assert table(read_ledger(folder)) == table(whole.work.ledger)


def test_more_trials_continue_the_same_sequence(tmp_path: Path) -> None:
    whole = run(tmp_path, "whole")
    run(tmp_path, "parts", "search.trials=8")
    run(tmp_path, "parts", "search.trials=20")
    assert table(read_ledger(StudyFolder(tmp_path / "parts"))) == table(whole.work.ledger)


def test_a_grid_ends_when_every_point_was_tried_once(tmp_path: Path) -> None:
    course = run(
        tmp_path,
        "grid",
        "search.sampler=grid",
        "model.name=mlp",
        "model.mlp.width={ choice = [1, 2, 3] }",
        "model.mlp.dropout={ float = [0.0, 0.4], step = 0.2 }",
        "optimizer.lr=0.1",
    )
    tried = {tuple(sorted(each.params.items())) for each in course.work.ledger.specs.values()}
    assert len(course.work.ledger.specs) == len(tried) == 9


def test_a_repeat_is_a_replicate_on_another_seed(tmp_path: Path) -> None:
    course = run(
        tmp_path, "tiny", "model.name=mlp", "model.mlp.width={ choice = [8, 16] }",
        "model.mlp.dropout=0.0", "optimizer.lr=0.1", "search.trials=6",
    )  # fmt: skip
    specs = course.work.ledger.specs
    first = {specs[number].fingerprint: number for number in sorted(specs, reverse=True)}
    assert len(first) == 2
    for number, spec in specs.items():
        is_first = first[spec.fingerprint] == number
        assert spec.replicate_of == (None if is_first else first[spec.fingerprint])
    assert len({each.seed for each in specs.values()}) == 6


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("alike", [1, 2, 4])
def test_trials_in_a_row_share_a_shape(tmp_path: Path, sampler: str, alike: int) -> None:
    course = run(tmp_path, "rows", f"search.sampler={sampler}", f"search.alike={alike}")
    specs = [course.work.ledger.specs[number] for number in range(20)]
    widths = [[each.model for each in specs[i : i + alike]] for i in range(0, 20, alike)]
    shapes = {(each.name, each.options.get("width")) for row in widths for each in row}
    rows = [{(each.name, each.options.get("width")) for each in row} for row in widths]
    assert all(len(row) == 1 for row in rows)
    assert len(shapes) >= 3, "the rows differ"
    assert len({each.params["optimizer.lr"] for each in specs}) == 20, "and nothing else is shared"


@pytest.mark.parametrize("sampler", ["qmc", "grid"])
def test_a_sampler_that_covers_the_space_is_left_to_it(tmp_path: Path, sampler: str) -> None:
    course = run(
        tmp_path, "whole", f"search.sampler={sampler}", "model.name=mlp",
        "model.mlp.width={ int = [1, 8] }", "model.mlp.dropout={ choice = [0.0, 0.4] }",
        "optimizer.lr=0.1", "search.trials=16",
    )  # fmt: skip
    first = [course.work.ledger.specs[number].params["model.width"] for number in range(4)]
    assert len(set(first)) > 1


@pytest.mark.parametrize(
    ("override", "least", "most"),
    [("search.target=0.2", 1, 19), ("search.patience=3", 4, 19)],
)
def test_target_and_patience_end_the_search(
    tmp_path: Path, override: str, least: int, most: int
) -> None:
    course = run(tmp_path, "short", override)
    assert least <= len(course.work.ledger.endings) <= most


def test_a_time_out_ends_the_search(tmp_path: Path) -> None:
    study = study_of(tmp_path, "search.timeout=5")
    ticks = iter(range(10_000))
    with at_once(toy_job) as executor:
        course = course_of(
            study, StudyFolder(tmp_path / "t"), executor.run, clock=lambda: float(next(ticks))
        )
        try:
            reason, _ = search(course)
        except NothingCompletedError as error:
            reason = error.message
    assert "time-out of 5 s" in reason
    assert len(course.work.ledger.specs) < 20


def test_the_same_error_three_times_stops_the_study(tmp_path: Path) -> None:
    with at_once(partial(toy_job, error="ValueError: no")) as executor:
        course = course_of(study_of(tmp_path), StudyFolder(tmp_path / "f"), executor.run)
        with pytest.raises(TrialsFailedError, match="ValueError: no"):
            search(course)
    assert 3 <= len(course.work.ledger.endings) < 20


def test_trials_that_all_diverge_spend_the_budget(tmp_path: Path) -> None:
    """Another configuration may not diverge; an error of the code would come again."""
    with at_once(partial(toy_job, error="non-finite loss at step 1")) as executor:
        course = course_of(study_of(tmp_path), StudyFolder(tmp_path / "n"), executor.run)
        with pytest.raises(NothingCompletedError, match="All diverged, the last with 'non-finite"):
            search(course)
    assert len(course.work.ledger.endings) == 20


def test_no_complete_trial_is_an_error_of_its_own(tmp_path: Path) -> None:
    errors = iter(f"error {number}" for number in range(100))

    def job(root: str) -> None:
        toy_job(root, error=next(errors))

    with at_once(job, 1) as executor:
        course = course_of(study_of(tmp_path), StudyFolder(tmp_path / "n"), executor.run)
        with pytest.raises(NothingCompletedError, match="no trial"):
            search(course)
    assert len(course.work.ledger.endings) == 20


def test_a_worker_that_dies_is_begun_again_and_at_last_given_up(tmp_path: Path) -> None:
    deaths: dict[str, int] = {}

    def dying(root: str) -> None:
        name = Path(root).name
        deaths[name] = deaths.get(name, 0) + 1
        if name == "00002" or (name == "00001" and deaths[name] == 1):
            raise RuntimeError("SIGKILL")
        toy_job(root)

    with at_once(dying) as executor:
        course = course_of(study_of(tmp_path), StudyFolder(tmp_path / "d"), executor.run)
        search(course)
    assert deaths["00001"] == 2
    assert isinstance(course.work.ledger.endings[1], Finished)
    assert deaths["00002"] == 3
    failed = course.work.ledger.endings[2]
    assert isinstance(failed, Failed)
    assert "SIGKILL" in failed.error
    assert len(course.work.ledger.endings) == 20


def test_listeners_hear_each_thing_once_and_replay_tells_it_again(tmp_path: Path) -> None:
    heard: list[Event] = []
    study, folder = study_of(tmp_path), StudyFolder(tmp_path / "l")
    with at_once(toy_job) as executor:
        search(course_of(study, folder, executor.run, listen=heard.append))
    lines = [events.to_line(each) for each in heard]
    assert len(lines) == len(set(lines))
    again = [events.to_line(each) for each in replay(read_ledger(folder))]
    assert sorted(again) == sorted(lines)
    asked = [each.trial for each in heard if isinstance(each, Asked)]
    assert asked == list(range(20))


def test_a_job_keeps_its_trials_when_another_version_plans_otherwise(tmp_path: Path) -> None:
    study, folder = study_of(tmp_path), StudyFolder(tmp_path / "old")

    def break_off(event: Event) -> None:
        if isinstance(event, Ending) and len(read_ledger(folder).endings) >= 5:
            raise KeyboardInterrupt

    with at_once(toy_job) as executor, pytest.raises(KeyboardInterrupt):
        search(course_of(study, folder, executor.run, listen=break_off))
    before = read_ledger(folder).jobs
    assert len(set(before.values())) == len(before), "each trial was planned alone"
    with at_once(toy_job) as executor:
        course = course_of(study, folder, executor.run)
        means = replace(course.work.means, plan=lambda specs: [list(specs)] if specs else [])
        search(replace(course, work=replace(course.work, means=means)))
    after = read_ledger(folder).jobs
    assert before.items() <= after.items()
    assert len(set(after.values())) < len(after), "and later ones together"
    assert sorted(read_ledger(folder).endings) == list(range(20))
