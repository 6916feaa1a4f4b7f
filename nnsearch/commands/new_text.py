"""The text of a new study file: each line explained, with ranges that fit the table's size.

Reads nothing and decides nothing about the data; that is `new`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from textwrap import wrap
from typing import Any, Literal

import numpy as np

from nnsearch.data.examples import Examples
from nnsearch.reports.tables import table
from nnsearch.study.spec import Split

TaskName = Literal["classification", "regression"]
TASKS: tuple[TaskName, ...] = ("classification", "regression")

TABLE = """
# How cells become a network's inputs. All of it is fitted on the rows to train on alone and goes
# into the exported model.
[data.table]
missing = "median"      # what a missing number becomes; or "mean", "most_frequent"
indicators = true       # and an input of its own says that it was missing
scale = "standard"      # mean 0, deviation 1; or "robust" where some values lie far off
max_categories = 64     # the most frequent categories of a column; the others share one input"""

OPTIMIZER = """\
[optimizer]
one_of = ["adamw", "sgd"]
# The learning rate matters most. log = true: from 0.0001 to 0.001 is as far as from 0.01 to 0.1.
# Beside one_of, an option holds for both alternatives.
lr = { float = [1e-4, 1e-1], log = true }
# How strongly weights are pulled towards 0.
weight_decay = { float = [1e-6, 1e-2], log = true }

[optimizer.sgd]
momentum = 0.9

[schedule]
# The learning rate over a training: it falls to 0 in half a cosine.
name = "cosine"
"""

_MISSING = "Cells that count as missing; nnsearch added some that this table has."
_COPIES = "are equal to an earlier one: each counts once, for a copy of a train row is no test."
_REPETITIVE = (
    "Most rows are equal to another, so that rows to test on were trained on: nnsearch refuses to"
    " run this until you decide. Copies: take the sign # from dedupe below. Observations of their"
    " own: set allow_leaky = true here, and expect nothing of rows that were never seen."
)
_WIDTH = 96
_LISTED = 4
# Above this ratio of the largest class to the smallest, the accuracy says little of the small one.
_UNEVEN = 3.0
_MOST_CODES = 12


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found out about a table. `dropped` maps columns to the reason, in their order.

    `examples` is what is kept of the file's `num_rows`, with raw targets; `dates` are columns
    that hold moments, kept or dropped. `is_repetitive` where copies stayed.
    """

    file: Path
    place: Path
    source: str
    options: dict[str, Any]
    num_rows: int
    examples: Examples
    task: TaskName
    is_guess: bool
    split: Split
    dropped: dict[str, str]
    dates: tuple[str, ...] = ()
    is_repetitive: bool = False


@dataclass(frozen=True, slots=True)
class _Size:
    """Ranges for tables of at most so many rows."""

    num_rows: float
    widths: list[int]
    batches: list[int]
    epochs: int
    trials: int


_SIZES = (
    _Size(1_000, [16, 32, 64], [16, 32], 60, 40),
    _Size(10_000, [32, 64, 128], [32, 64, 128], 40, 40),
    _Size(100_000, [64, 128, 256], [128, 256], 30, 30),
    _Size(float("inf"), [128, 256, 512], [256, 512, 1024], 20, 20),
)


def study_text(survey: Survey) -> str:
    """The whole file, as TOML."""
    size = next(each for each in _SIZES if survey.examples.num_rows <= each.num_rows)
    parts = [_head(survey), _data(survey), _task(survey), _model(size)]
    parts += [iter([OPTIMIZER]), _training(size), _search(survey, size)]
    return "\n\n".join("\n".join(part).rstrip() for part in parts) + "\n"


def _head(survey: Survey) -> Iterator[str]:
    target = survey.examples.signature.target
    yield from _said(f"Predict '{target}' from the other columns of {survey.file.name}.")
    yield "#"
    study, sign = quote(_plain(str(survey.place))), survey.options.get("delimiter", ",")
    cells = {",": "", "\t": " --delimiter $'\\t'"}.get(sign, f" --delimiter '{sign}'")
    commands = {
        f"check {study}": "reads this and the table, trains nothing",
        f"run {study}": "searches; goes on where it stopped",
        f"export {study}": "the best network as a folder of its own",
        f"predict {study} NEW.csv{cells} --out ANSWERS.csv": "asks it about new rows",
    }
    room = max(map(len, commands))
    for command, meaning in commands.items():
        yield f"#   nnsearch {command:{room}}  {meaning}"
    yield "#"
    yield from _said(f"What was found in {survey.examples.num_rows} rows:")
    yield "#"
    for line in table(list(_columns(survey)), width=_WIDTH - 4).splitlines():
        yield f"#   {line}".rstrip()
    yield "#"
    yield from _said(f"The target: {_target(survey)}")
    yield ""
    yield f"name = {_quoted(survey.place.stem)}"
    yield "# Every random draw follows from the seed: split, first weights, shuffles, suggestions."
    yield "seed = 0"


def _columns(survey: Survey) -> Iterator[dict[str, object]]:
    inputs = survey.examples.inputs.astype(np.float64)
    for place, column in enumerate(survey.examples.signature.columns):
        cells = inputs[:, place]
        present = cells[~np.isnan(cells)]
        if column.kind == "categorical":
            num_more = len(column.categories) - _LISTED
            more = f" and {num_more} more" if num_more > 0 else ""
            values = ", ".join(column.categories[:_LISTED]) + more
        else:
            values = f"from {present.min():.5g} to {present.max():.5g}"
        missing = len(cells) - len(present)
        yield {"column": column.name, "kind": column.kind, "missing": missing, "values": values}
    for name, reason in survey.dropped.items():
        yield {"column": name, "kind": "dropped", "missing": None, "values": reason}


def _target(survey: Survey) -> str:
    targets = survey.examples.targets
    values, counts = np.unique(
        targets.astype(str) if targets.dtype.kind in "OU" else targets, return_counts=True
    )
    if survey.task == "classification":
        order = np.argsort(-counts, kind="stable")[: _LISTED * 2]
        shares = ", ".join(f"{values[at]} {counts[at] / len(targets):.0%}" for at in order)
        return f"{len(values)} classes: {shares}{', ...' if len(order) < len(values) else ''}."
    low, middle, high = np.quantile(targets.astype(np.float64), [0, 0.5, 1])
    return f"numbers from {low:.5g} to {high:.5g}, half of them below {middle:.5g}."


def _data(survey: Survey) -> Iterator[str]:
    split = survey.split
    yield "[data]"
    yield f'source = "{survey.source}"'
    yield "# Shares of the rows to train on, to compare trials on, and for one look at the end."
    if survey.task == "classification":
        yield from _said('by = "class": each class has the same share in all three.')
    for name in survey.dates:
        advice = f'"{name}" holds moments: to predict the future from the past take by = "time",'
        yield from _said(f"{advice} column = {_quoted(name)}, which must not be in drop.")
    shares = f"train = {split.train}, valid = {split.valid}, test = {split.test}"
    yield f'split = {{ {shares}, by = "{split.by}" }}'
    yield from _said(_REPETITIVE if survey.is_repetitive else "")
    yield ""
    yield f"[data.{survey.source}]"
    yield "# Paths are relative to the folder of this file."
    num_copies = survey.num_rows - survey.examples.num_rows
    said = {"missing": _MISSING, "dedupe": f"{num_copies} of {survey.num_rows} rows {_COPIES}"}
    for key, value in survey.options.items():
        yield from _said(said.get(key, ""))
        yield f"{key} = {_quoted(value)}"
    yield from _said("dedupe = true" if survey.is_repetitive else "")
    if survey.dropped:
        yield "# Columns that are not used, each with the reason."
        yield "drop = ["
        names = {name: f"{_quoted(name)}," for name in survey.dropped}
        room = max(map(len, names.values()))
        for name, reason in survey.dropped.items():
            yield f"    {names[name]:{room}}  # {_plain(reason)}"
        yield "]"
    if codes := _codes(survey):
        yield "# These hold few whole numbers. If they are codes rather than quantities, name them:"
        yield f"# categorical = [{', '.join(map(_quoted, codes))}]"
    yield TABLE


def _codes(survey: Survey) -> list[str]:
    """Numeric columns of few whole numbers that are more than a yes and a no."""
    found = []
    for place, column in enumerate(survey.examples.signature.columns):
        cells = survey.examples.inputs[:, place].astype(np.float64)
        values = np.unique(cells[~np.isnan(cells)])
        is_few = 2 < len(values) <= _MOST_CODES  # noqa: PLR2004 - a yes and a no need no code
        if column.kind == "numeric" and is_few and np.all(values == np.floor(values)):
            found.append(column.name)
    return found


def _task(survey: Survey) -> Iterator[str]:
    yield "[task]"
    yield "# What the target means: it decides the loss, the metrics and which way is better."
    is_number = survey.examples.targets.dtype.kind in "if"
    if survey.is_guess and is_number:
        other = "regression" if survey.task == "classification" else "classification"
        what = "quantities" if survey.task == "classification" else "names of classes"
        yield from _said(f'A guess from its values. If they are {what}, write "{other}".')
    yield f'name = "{survey.task}"'
    if survey.task == "regression":
        yield '# "huber" is less moved by a few values that lie far off than "squared".'
        yield 'loss = { choice = ["squared", "huber"] }'
    elif _is_uneven(survey):
        yield '# The classes are uneven: "balanced" gives each the same weight in the loss.'
        yield 'class_weights = { choice = ["none", "balanced"] }'


def _is_uneven(survey: Survey) -> bool:
    _, counts = np.unique(survey.examples.targets.astype(str), return_counts=True)
    return survey.task == "classification" and counts.max() > _UNEVEN * counts.min()


def _model(size: _Size) -> Iterator[str]:
    yield "[model]"
    yield from _said(
        "A branch: each trial takes one of these. On a small table a linear model is hard to"
        " beat; the search says whether it is. What is not named keeps its default."
    )
    yield 'one_of = ["mlp", "linear"]'
    yield ""
    yield "[model.mlp]"
    yield "# A range is drawn from for each trial; a plain value is the same for all."
    width = f"width = {{ choice = {size.widths} }}"
    yield "depth = { int = [1, 3] }                # hidden layers"
    yield f"{width:40}# units in each"
    yield "dropout = { float = [0.0, 0.5] }        # share of units switched off in training"
    yield 'norm = { choice = ["none", "batch"] }   # batch normalisation or not'


def _training(size: _Size) -> Iterator[str]:
    yield "[training]"
    yield "# At most so many passes over the rows to train on; it ends after so many (patience)"
    yield "# without a better value, and the best weights are kept."
    yield f"epochs = {size.epochs}\npatience = {size.epochs // 4}"
    yield f"batch_size = {{ choice = {size.batches} }}"


def _search(survey: Survey, size: _Size) -> Iterator[str]:
    yield "[search]"
    if survey.task == "regression":
        yield "# What trials are judged by, on the validation rows; also mae, r2, mape."
        yield 'objective = "rmse"'
    elif _is_uneven(survey):
        yield from _said(
            "What trials are judged by, on the validation rows. The mean of the classes' shares"
            " of right answers: saying the largest class each time earns nothing."
        )
        yield 'objective = "balanced_accuracy"'
    else:
        yield "# What trials are judged by, on the validation rows; also f1_macro, log_loss."
        yield 'objective = "accuracy"'
    yield "# Proposes values by what worked so far; also random, qmc, gp."
    yield 'sampler = "tpe"'
    yield "# Stops trials that fall behind the median of the others; also hyperband, none."
    yield 'pruner = "median"'
    yield "# The budget: trials in all, however often you start the study, or a time, or both."
    yield f'trials = {size.trials}\n# timeout = "30m"'


def _said(text: str) -> Iterator[str]:
    for line in wrap(_plain(text), _WIDTH, break_on_hyphens=False):
        yield f"# {line}"


def _quoted(value: object) -> str:
    """A value as TOML has it: as JSON, but for the one sign that TOML wants escaped as well."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(text: str) -> str:
    """Text from a data file as a comment may hold it: on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
