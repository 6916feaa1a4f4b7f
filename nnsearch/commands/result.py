"""What a run is asked for and what it came to, as values. Loads no torch, Optuna or MLflow.

A finished study that is asked for again in the same words is answered from here, at once.
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nnsearch.commands.places import MLRUNS
from nnsearch.errors import StudyError
from nnsearch.events import Confirmed, Event, Finished, Tested
from nnsearch.study.file import read_tables
from nnsearch.study.folder import NAME, Home, read_json
from nnsearch.study.spec import Objective

# What a study may read beside its own file: if one of these changed, it is checked again.
READ_BESIDE = frozenset({".csv", ".parquet", ".npz", ".py"})


Listen = Callable[[Event], None]
Show = Callable[[Objective, int | None], AbstractContextManager[Listen]]


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
    reopen_test: bool = False
    grace: float = 30.0
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a study came to: the winner, the baseline's validation value, the exported folder.

    `rival` is the baseline's model; earlier results have no other than the linear one.
    """

    best: Finished
    tested: Tested
    num_looks: int
    baseline: float | None
    export: str
    export_problem: str
    rival: str = "linear"
    confirmed: Confirmed | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a study stands after a run. `counts` are complete, pruned and failed trials.

    Of these `num_infeasible` break a constraint. `num_front` is how many trials no other beats in
    everything, where there are several objectives.
    """

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
    num_infeasible: int = 0
    num_front: int = 0


def stored_result(path: Path, options: Options) -> RunResult | None:
    """The result of an equal run that came to its end, else None."""
    name = name_of(path)
    stored = read_json(Home(options.home).study(name).result) if name else None
    if stored is None or stored.pop("request") != request_of(path, options):
        return None
    export = stored["conclusion"]["export"]
    if export and not Path(export).exists():
        return None
    conclusion = _conclusion(stored.pop("conclusion"))
    objective = Objective(**stored.pop("objective"))
    stored |= {"labels": tuple(stored["labels"]), "has_trained": False}
    return RunResult(objective=objective, conclusion=conclusion, **stored)


def name_of(path: Path) -> str:
    """The name of the study in a file, or nothing where loading it will say what is wrong."""
    try:
        name = read_tables(path).get("name", path.stem)
    except StudyError:
        return ""
    return name if isinstance(name, str) and NAME.fullmatch(name) else ""


def request_of(path: Path, options: Options) -> str:
    """What a run asks for, as a hash: the study file, the options, the files it may read."""
    told = asdict(options) | {"environ": options.environ.get("MLFLOW_TRACKING_URI", "")}
    for name in ("workers", "reopen_test", "grace"):  # how it is reached, not what is asked for
        told.pop(name)
    parts = [path.read_bytes() if path.is_file() else b"", repr(sorted(told.items())).encode()]
    for near in sorted(path.parent.iterdir()):
        if near.suffix in READ_BESIDE:
            stat = near.stat()
            parts.append(f"{near.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return hashlib.sha256(b"\x1f".join(parts)).hexdigest()


def tested_from_json(fields: dict[str, Any]) -> Tested:
    """The event that `dataclasses.asdict` and JSON wrote."""
    intervals = {key: tuple(ends) for key, ends in fields["intervals"].items()}
    return Tested(**{**fields, "intervals": intervals, "notes": tuple(fields.get("notes", ()))})


def _conclusion(fields: dict[str, Any]) -> Conclusion:
    told = dict(fields)
    best, tested = Finished(**told.pop("best")), tested_from_json(told.pop("tested"))
    confirmed = told.pop("confirmed", None)
    confirmed = None if confirmed is None else Confirmed.from_json(confirmed)
    return Conclusion(best=best, tested=tested, confirmed=confirmed, **told)
