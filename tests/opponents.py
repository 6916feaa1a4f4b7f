"""Records of studies that the tests of comparisons write: each verdict is known beforehand."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch import events
from nnsearch.commands.opening import open_study
from nnsearch.data.prepare import map_part, open_part
from nnsearch.events import Finished, Pruned, Started, append_lines, to_line
from nnsearch.search.ledger import record_batch
from nnsearch.study.folder import Home, write_json
from nnsearch.study.load import load_study
from nnsearch.study.space import Draw, sample
from nnsearch.study.spec import Choice, FloatRange, Objective
from nnsearch.training.account import record_cost
from nnsearch.training.evaluate import save_predictions
from nnsearch.training.job import Job, write_job

STUDY = """
[data]
source = "SOURCE"
[task]
name = "TASK"
[model]
name = "mlp"
width = { choice = [4, 8] }
[optimizer]
name = "adam"
lr = { float = [1e-3, 1e-1], log = true }
[search]
trials = 4
"""
HOME = Path("mlruns")
Answer = Callable[[Any], Any]


def text_of(source: str = "iris", task: str = "classification") -> str:
    return STUDY.replace("SOURCE", source).replace("TASK", task)


def say(targets: Any, num_wrong: int) -> Any:
    """Probabilities of three classes that are wrong in the first so many rows."""
    said = np.array(targets)
    said[:num_wrong] = (said[:num_wrong] + 1) % 3
    return np.eye(3, dtype=np.float32)[said] * 0.8 + 0.1


def noisy(spread: float) -> Answer:
    """Numbers that miss the target by about so much."""
    noise = np.random.default_rng(0).normal(0, spread, 2000)
    return lambda targets: (targets + noise[: len(targets)])[:, None]


def faulty(num_wrong: int) -> Answer:
    """`say`, to be asked later."""
    return lambda targets: say(targets, num_wrong)


PERFECT = faulty(0)


def record(
    name: str,
    *,
    values: tuple[float | None, ...] = (0.7, None, 0.9),
    answer: Answer | None = PERFECT,
    text: str = "",
    num_looks: int = 1,
    widths: tuple[int, ...] = (),
) -> None:
    """A study's records as a run leaves them; None stands for a pruned trial.

    `answer` gives the best trial's predictions from the test split's targets; None: no look.
    `widths` are those of the trials, by default all alike: repeats of one configuration.
    """
    Path(f"{name}.toml").write_text(text or text_of())
    study = load_study(Path(f"{name}.toml"))
    folder = Home(HOME).study(name)
    opened = open_study(study, folder)
    best = int(np.argmax([-1 if each is None else each for each in values]))
    if opened.objective.direction == "minimize":
        best = int(np.argmin([np.inf if each is None else each for each in values]))

    def draw(number: int) -> Draw:
        def drawn(_: str, each: object) -> Any:
            assert isinstance(each, Choice | FloatRange)
            width = widths[number] if widths else None
            return width or each.choices[0] if isinstance(each, Choice) else each.low

        return drawn

    specs = [sample(study, draw(number), number=number, seed=0) for number in range(len(values))]
    record_batch(folder, specs)
    job = folder.job("00000")
    write_job(job, Job(tuple(specs), opened.prepared.folder, study.root, opened.objective))
    lines = [line for n, value in enumerate(values) for line in _told(n, value, opened.objective)]
    append_lines(job.events, lines, sync=False)
    for seconds in (2.5, 5.0):
        record_cost(job, seconds)
    valid = np.asarray(open_part(opened.prepared.folder, "valid").targets)
    files = job.trial(best)
    files.root.mkdir(parents=True)
    is_class = opened.objective.metric == "accuracy"
    guesses = say(valid, 0) if is_class else valid[:, None].astype(np.float32)
    save_predictions(files.predictions, guesses, valid)
    if answer is None:
        return
    test = map_part(opened.prepared.folder, "test")
    targets = np.asarray(test.targets)
    predictions = answer(targets)
    if is_class:
        predictions = predictions[:, : len(opened.prepared.signature.labels)]
    save_predictions(folder.root / f"test-{best:05d}.npz", predictions, targets, groups=test.groups)
    tested = events.Tested(best, 3.0, {"accuracy": 0.5}, {"accuracy": (0.4, 0.6)}, len(targets))
    if not is_class:
        error = float(np.sqrt(np.mean((predictions[:, 0] - targets) ** 2)))
        tested = replace(tested, metrics={"rmse": error}, intervals={"rmse": (1.0, 2.0)})
    looks = [asdict(replace(tested, trial=best + later)) for later in range(num_looks)]
    write_json(folder.root / "test.json", looks)


def _told(number: int, value: float | None, objective: Objective) -> Iterator[str]:
    """The events of one trial."""
    yield to_line(Started(number, "", 1.0, num_parameters=123))
    if value is None:
        yield to_line(Pruned(number, 2.0, 1, 0.1, 4.0))
    else:
        yield to_line(Finished(number, 2.0, value, 1, 10.0, {objective.key: value}))


def own_table(last: float, more: str = "") -> str:
    """A study of a table of its own, beside it, whose last row is at `last`."""
    rows = [f"{x},{x * x % 11},{'ab'[x % 3 == 0]}" for x in range(5, 50)]
    Path("own.csv").write_text("\n".join(["x,z,y", *rows, f"{last},3,a", ""]))
    options = f'[data.csv]\npath = "own.csv"\ntarget = "y"\n{more}\n[task]'
    return text_of("csv").replace("[task]", options)
