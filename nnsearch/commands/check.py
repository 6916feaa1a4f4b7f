"""Read a study and its data, and say what would be searched. Trains nothing and writes nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import torch

from nnsearch import components
from nnsearch.commands.misfits import ends, misfits, model_inputs
from nnsearch.commands.opening import chosen_transforms, refuse_redivision
from nnsearch.commands.reading import reading
from nnsearch.commands.starting import start_notes
from nnsearch.data.findings import LEAKS
from nnsearch.data.prepare import Prepared, inspect
from nnsearch.errors import StudyError
from nnsearch.reports.tables import WIDTH, number, table
from nnsearch.study.fingerprint import to_json
from nnsearch.study.load import load_study
from nnsearch.study.objective import objective as choose_objective
from nnsearch.study.objective import other_objectives
from nnsearch.study.situate import situated
from nnsearch.study.spec import Choice, IntRange, Objective, Range, Study
from nnsearch.tasks.task import Task, target_kind


@dataclass(frozen=True, slots=True)
class Checked:
    """A study that can run. `findings` are warnings about its data, `notes` what was done to it."""

    file: Path
    study: Study
    objective: Objective
    prepared: Prepared
    others: tuple[Objective, ...] = ()


def check(path: Path, *, overrides: Sequence[str] = (), allow_code: bool = False) -> Checked:
    """The study at `path` with `overrides`, its data loaded, split and audited.

    Raises StudyError with every fault of the file, DataError with every fault of the data, and
    StudyError again where a model does not take the data at an end of its ranges.
    """
    study = load_study(path, overrides=overrides, allow_code=allow_code)
    with situated(path, overrides):
        return _checked(path, study)


def _checked(path: Path, study: Study) -> Checked:
    source = _load(study, "sources", study.source.name)
    make_task = _load(study, "tasks", next(iter(study.task.alternatives)))
    with reading(study.source.name, study.search.stall_timeout):
        prepared = inspect(
            source,
            target_kind(make_task),
            study.split,
            study.seed,
            root=study.root,
            options=study.source.options,
            allow_leaky=study.allow_leaky,
            normal=next(ends(study.task))[1].get("normal", ()),
            transforms=chosen_transforms(study),
        )
    refuse_redivision(study, prepared.signature)
    specimens = _specimens(prepared, target_kind(make_task))
    task: Task = make_task(specimens, **next(ends(study.task))[1])
    objective = choose_objective(study, task.directions)
    outputs = task.outputs or prod(prepared.signature.shape)
    problems = list(misfits(study, prepared.signature, outputs))
    if problems:
        raise StudyError(problems)
    # A table's transform may make several features of a column: what the first layer reads is
    # known when the study runs.
    is_known = prepared.signature.kind != "table"
    starts = start_notes(study, partial(_networks, study, prepared, outputs) if is_known else None)
    prepared = replace(prepared, notes=(*prepared.notes, *starts))
    return Checked(path, study, objective, prepared, other_objectives(study, task.directions))


def as_document(checked: Checked) -> dict[str, Any]:
    """The same as JSON values; `study` is the resolved study, defaults included."""
    prepared, study = checked.prepared, checked.study
    return {
        "file": str(checked.file),
        "study": to_json(study),
        "objective": asdict(checked.objective),
        "other_objectives": [asdict(each) for each in checked.others],
        "num_searched": len(study.ranges()),
        "searched": {name: describe(each) for name, each in study.ranges().items()},
        "num_rows": prepared.num_rows,
        "signature": prepared.signature.to_json(),
        "notes": list(prepared.notes),
        "findings": [asdict(each) for each in prepared.findings],
    }


def as_text(checked: Checked) -> str:
    """What is searched, what stands fixed, the data and its findings, and what to type next."""
    study, prepared = checked.study, checked.prepared
    ranges, search = study.ranges(), study.search
    labels = prepared.signature.labels
    limits = {key: getattr(search, key) for key in ("trials", "timeout", "target", "patience")}
    told = ", ".join(f"{key} {number(each)}" for key, each in limits.items() if each is not None)
    rows = [{"parameter": name, "range": describe(each)} for name, each in ranges.items()]
    lines = [
        f"{study.name}: {_verdict(checked)} ({checked.file})",
        *(f"  objective    {each.key}, to {each.direction}" for each in _objectives(checked)),
        *(f"  constraint   {each}" for each in search.constraints),
        f"  search       {search.sampler.name}, pruner {search.pruner.name}; {told}",
        f"  confirmed    {_confirmation(study)}",
        f"  data         {study.source.name}: {_inputs(prepared)}, target"
        f" '{prepared.signature.target}'" + (f" of {len(labels)} classes" if labels else ""),
        "  rows         "
        + ", ".join(f"{part} {count}" for part, count in prepared.num_rows.items()),
        *(f"  note         {each}" for each in prepared.notes),
        *(f"  {each.level:<12} {each.message} {each.hint}" for each in prepared.findings),
        f"  searched     {len(ranges)} parameter{'' if len(ranges) == 1 else 's'}",
        *(f"    {line}" for line in table(rows, ["parameter", "range"]).splitlines()),
        "  fixed",
        *(line for each in _fixed(study).items() for line in _set(*each)),
        f"  next         nnsearch run {checked.file}",
    ]
    return "\n".join(lines)


def _confirmation(study: Study) -> str:
    wanted = study.confirmation
    if not wanted.is_wanted:
        return "no: the best trial of the search is the winner"
    how = ", each with a division of train and valid of its own" if wanted.resample else ""
    seeds = f"on up to {wanted.seeds} fresh seeds"
    return f"the best trials, up to {wanted.trials}, trained again {seeds}{how}"


def _objectives(checked: Checked) -> tuple[Objective, ...]:
    return (checked.objective, *checked.others)


def _verdict(checked: Checked) -> str:
    if any(each.code in LEAKS for each in checked.prepared.findings):
        return "the study can run, but its data leak, which allow_leaky lets pass"
    return "the study and its data are sound"


def _inputs(prepared: Prepared) -> str:
    shape = prepared.signature.shape
    if prepared.signature.kind == "table":
        return "1 column" if shape == (1,) else f"{shape[0]} columns"
    size = " x ".join(map(str, shape))
    match prepared.signature.kind:
        case "series":
            channels = "1 channel" if shape[0] == 1 else f"{shape[0]} channels"
            return f"series of {channels} and up to {shape[1]} steps"
        case "text":
            num_words = len(prepared.signature.words)
            return f"texts of up to {shape[0]} tokens, {num_words:,} words known"
        case "ratings":
            num_users, num_items = (len(each.categories) for each in prepared.signature.columns)
            return f"{num_users:,} users and {num_items:,} items"
    return f"images of {size}"


def describe(searched: Range) -> str:
    """A range in words, such as `0.0001 to 0.1, log`."""
    if isinstance(searched, Choice):
        return " | ".join(map(str, searched.choices))
    text = f"{_end(searched.low)} to {_end(searched.high)}"
    is_plain = searched.step is None or (isinstance(searched, IntRange) and searched.step == 1)
    step = "" if is_plain else f", step {searched.step:g}"
    return text + (", log" if searched.log else "") + step


def _end(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _fixed(study: Study) -> dict[str, dict[str, Any]]:
    """Every option that is not searched, by the component that has it."""
    fixed: dict[str, dict[str, Any]] = {}
    for space in study.spaces():
        for name, options in space.alternatives.items():
            is_branch = len(space.alternatives) > 1
            title = f"{space.path}.{name}" if is_branch else f"{space.path} {name}"
            if space.path in {"training", f"data.{name}"}:
                title = space.path
            fixed[title] = {
                key: each for key, each in options.items() if not isinstance(each, Range)
            }
    return fixed


def _set(title: str, options: dict[str, Any]) -> list[str]:
    """The options of a component with their values; a line breaks between two of them only."""
    if not options:
        return []
    # What must stay together is joined by NUL while the line is wrapped.
    joined = [f"{key} {_word(each)}".replace(" ", "\0") for key, each in options.items()]
    text = f"{title.replace(' ', chr(0))}: {', '.join(joined)}"
    lines = wrap(
        text, WIDTH, initial_indent="    ", subsequent_indent="      ", break_long_words=False
    )
    return [line.replace("\0", " ") for line in lines]


def _load(study: Study, kind: str, name: str) -> Callable[..., Any]:
    return components.load(kind, name, root=study.root, allow_code=study.allow_code)


def _specimens(prepared: Prepared, kind: str) -> "np.ndarray[Any, Any]":
    """Targets that stand for the real ones, enough to ask a task for its metrics and width."""
    if kind == "pair":
        return np.array([[0, 0], [1, 1]])
    if kind == "mask":
        return (
            np.arange(2)
            .repeat(prod(prepared.signature.shape[1:]))
            .reshape(2, *prepared.signature.shape[1:])
        )
    if kind == "picture":
        return np.arange(2.0).repeat(1 + prod(prepared.signature.shape)).reshape(2, -1)
    if kind == "labels":
        return np.array([[0], [1]]).repeat(len(prepared.signature.names), axis=1)
    labels = prepared.signature.labels
    return np.arange(len(labels)) if labels else np.array([0.0, 1.0])


def _networks(
    study: Study, prepared: Prepared, outputs: int
) -> Iterator[tuple[str, torch.nn.Module]]:
    """One network of each kind, ours without memory."""
    for name in study.model.alternatives:
        options = next(given for found, given in ends(study.model) if found == name)
        with nullcontext() if ".py:" in name else torch.device("meta"):
            make = _load(study, "models", name)
            yield name, make(model_inputs(prepared.signature), outputs, **options)
