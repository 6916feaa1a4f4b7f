"""A new version of a study with a wider space, which keeps the old trials. Trains nothing.

The trials, their weights and every look at the test split are taken over as they are, so the
sampler learns from them, the best of them can win again, and nothing is trained twice. The study
file is written last: until it is there, there is nothing to run.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from nnsearch.commands.extend_records import clear, take_over
from nnsearch.commands.places import MLRUNS, find_study_folder, no_trace, sole_driver
from nnsearch.commands.space import remedies, sampled
from nnsearch.errors import StoreError, UsageError
from nnsearch.events import Finished
from nnsearch.reports.space_doctor import examine
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.bind import bind
from nnsearch.study.branches import Setting
from nnsearch.study.complaints import Complaints
from nnsearch.study.fingerprint import KINDS, difference, to_json
from nnsearch.study.folder import Home, StudyFolder, read_json, write_json, write_whole
from nnsearch.study.overrides import override
from nnsearch.study.recorded import recorded_objective, recorded_study
from nnsearch.study.refit import OutsideError, refit
from nnsearch.study.spec import Study, TrialSpec
from nnsearch.study.toml_text import study_tables, toml

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Extended:
    """The new study: its file, what differs from its parent, and how many trials it begins with.

    `looked_at` are the trials that the test split was opened for: another needs leave.
    """

    study: str
    parent: str
    file: str
    folder: str
    changes: tuple[str, ...]
    num_trials: int
    trials: int | None
    looked_at: tuple[int, ...] = ()


def extend(
    name: str,
    *,
    changes: Sequence[str] = (),
    widen: bool = False,
    new: str = "",
    home: Path = MLRUNS,
    allow_code: bool = False,
) -> Extended:
    """Make a new version of the study called `name` with `changes` such as `model.mlp.width=64`.

    With `widen` every range whose best values hug an end is widened at that end. The new study is
    called `new`, by default after its parent with the next number, and its file lies beside its
    parent's. Raises UsageError where nothing is changed, where the new space does not hold all
    old trials, and where the new name is taken; StudyError for a change that does not fit.
    """
    parent = find_study_folder(name, home)
    with sole_driver(parent):
        record, ledger = read_json(parent.spec), read_ledger(parent)
        old = recorded_study(record)
        chosen = new or _next_name(old, home)
        widened = _widening(old, ledger, record) if widen else []
        study, tables = _changed(record, chosen, [*widened, *changes], allow_code=allow_code)
        told = tuple(difference(record["study"], to_json(study)))
        if not told:
            raise UsageError(f"nothing in the space of '{old.name}' is changed.", _hint(widen))
        specs = _refitted(ledger, study)
        study, tables = _with_budget(study, tables, changes, ledger=ledger, record=record)
        folder, file = Home(home).study(study.name), study.root / f"{study.name}.toml"
        _refuse_taken(study, folder, file)
        with sole_driver(folder), no_trace(folder):
            clear(folder)
            take_over(parent, folder, study, specs=specs, record=record)
            write_json(folder.parent_record, _descent(parent, record, told, ledger))
            _write_file(file, tables, old.name, told)
    return Extended(
        study=study.name,
        parent=old.name,
        file=str(file),
        folder=str(folder.root),
        changes=told,
        num_trials=len(ledger.endings),
        trials=study.search.trials,
        looked_at=tuple(look["trial"] for look in read_json(parent.looks) or []),
    )


def as_text(extended: Extended) -> str:
    """What was made of what, and what to type."""
    changes = "\n".join(f"             {each}" for each in extended.changes)
    total = "" if extended.trials is None else f"; it is to have {extended.trials} in all"
    return (
        f"{extended.study}: a new version of {extended.parent}\n"
        f"changed      {changes.lstrip()}\n"
        f"trials       {extended.num_trials} of {extended.parent} are kept{total}\n"
        f"study file   {extended.file}\n"
        f"{_opened(extended)}"
        f"next         nnsearch run {quote(extended.file)}"
    )


def _opened(extended: Extended) -> str:
    """What is to know of the test split, where the parent has opened it."""
    if not extended.looked_at:
        return ""
    return (
        f"test split   opened for trial {', '.join(map(str, extended.looked_at))}; another winner"
        " is tested only with --reopen-test\n"
    )


def _next_name(old: Study, home: Path) -> str:
    """`digits-2` for `digits`, `digits-3` for that: the first number that is free."""
    stem, number = old.name, 2
    if found := re.fullmatch(r"(.+)-(\d{1,3})", old.name):
        stem, number = found[1], int(found[2]) + 1
    while Home(home).study(f"{stem}-{number}").spec.exists() or _file(old, f"{stem}-{number}"):
        number += 1
    return f"{stem}-{number}"


def _file(old: Study, name: str) -> bool:
    return (old.root / f"{name}.toml").exists()


def _widening(old: Study, ledger: Ledger, record: dict[str, Any]) -> list[str]:
    found = examine(list(sampled(ledger)), old.ranges(), recorded_objective(record).direction)
    return [f"{each.key}={each.value}" for each in remedies(old, found)]


def _hint(widen: bool) -> str:  # noqa: FBT001 - the flag of the command line
    if widen:
        return "No best values hug an end that can be moved: give --set."
    return "Give --set model.mlp.width='{ choice = [64, 128, 256] }', or --widen."


def _changed(
    record: dict[str, Any], name: str, changes: Sequence[str], *, allow_code: bool
) -> tuple[Study, dict[str, Any]]:
    """The study with its changes, checked, and the tables of its file."""
    resolved, root = record["study"], Path(record["root"])
    tables = study_tables(resolved | {"name": name}, root, allow_code=allow_code)
    complaints = Complaints(f"{name}.toml", {}, {}, [])
    placed = [_placed(change, tables) for change in changes]
    tables = override(tables, placed, complaints)
    return bind(tables, name, Setting(root, allow_code, complaints)), tables


def _placed(change: str, tables: dict[str, Any]) -> str:
    """`model.mlp.width=...` for `model.width=...`: the tables have each option in its own."""
    path, sign, value = change.partition("=")
    parts = path.strip().split(".")
    table = tables.get(parts[0], {})
    is_short = len(parts) == 2 and parts[0] in KINDS and parts[1] not in {"name", "one_of"}  # noqa: PLR2004
    if not is_short or not isinstance(table, dict) or "name" not in table:
        return change
    name = table["name"] if table["name"].isidentifier() else f'"{table["name"]}"'
    return f"{parts[0]}.{name}.{parts[1]}{sign}{value}"


def _refitted(ledger: Ledger, study: Study) -> dict[int, TrialSpec]:
    """Every trial as one of the new study's. Raises UsageError where some are outside of it."""
    specs, outside = {}, []
    for number, spec in sorted(ledger.specs.items()):
        try:
            specs[number] = refit(spec, study)
        except OutsideError as error:
            outside.append(f"trial {number}: {error}")
    if outside:
        told = "; ".join(outside[:_SHOWN])
        raise UsageError(
            f"the new space does not hold {len(outside)} of {len(ledger.specs)} trials: {told}.",
            "Widen only: keep every old choice, and both ends or beyond; else begin a new study.",
        )
    return specs


def _with_budget(
    study: Study,
    tables: dict[str, Any],
    changes: Sequence[str],
    *,
    ledger: Ledger,
    record: dict[str, Any],
) -> tuple[Study, dict[str, Any]]:
    """As many new trials as the parent was to have, and its patience counted from here."""
    given = {each.partition("=")[0].strip() for each in changes}
    budget: dict[str, int] = {}
    if study.search.trials is not None and "search.trials" not in given:
        budget["trials"] = len(ledger.specs) + study.search.trials
    best = ledger.best(recorded_objective(record))
    if study.search.patience is not None and "search.patience" not in given and best is not None:
        later = sum(each.trial > best.trial for each in ledger.in_order())
        budget["patience"] = study.search.patience + later
    if study.search.target is not None and "search.target" not in given and best is not None:
        _refuse_reached(study, best, record)
    changed = replace(study, search=replace(study.search, **budget))  # type: ignore[arg-type]
    return changed, tables | {"search": tables["search"] | budget}


def _refuse_reached(study: Study, best: Finished, record: dict[str, Any]) -> None:
    target, objective = study.search.target, recorded_objective(record)
    assert target is not None  # noqa: S101 - the caller has looked
    if best.value == target or objective.better(best.value, target):
        raise UsageError(
            f"the target {target:g} was reached by trial {best.trial}: nothing would be searched.",
            "Give another: --set search.target=...",
        )


def _refuse_taken(study: Study, folder: StudyFolder, file: Path) -> None:
    for path in (folder.spec, file):
        if path.exists():
            raise UsageError(
                f"there is a study '{study.name}' already: {path}.", "Give another --name."
            )


def _descent(
    parent: StudyFolder, record: dict[str, Any], changes: Sequence[str], ledger: Ledger
) -> dict[str, Any]:
    """What the new study says of its parent."""
    return {
        "study": parent.root.name,
        "folder": str(parent.root),
        "fingerprint": record["fingerprint"],
        "num_trials": len(ledger.specs),
        "changes": list(changes),
        "at": time.time(),
    }


def _write_file(file: Path, tables: dict[str, Any], parent: str, changes: Sequence[str]) -> None:
    head = "\n".join([f"A new version of {parent}, whose trials it keeps. Changed:", *changes])
    text = toml(tables, head)
    try:
        write_whole(file, lambda draft: draft.write_text(text, encoding="utf-8"))
        file.chmod(0o644)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror}.", "Free it.") from error
