"""The studies in a folder of runs, a row each. Reads records only, no store."""

import fcntl
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nnsearch.commands.chosen import chosen_of
from nnsearch.commands.places import MLRUNS
from nnsearch.events import Failed, Finished, Pruned
from nnsearch.reports.tables import number, table, with_interval
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.folder import Home, StudyFolder, read_json
from nnsearch.study.spec import Objective

State = Literal["running", "finished", "interrupted"]
KINDS = {"complete": Finished, "pruned": Pruned, "failed": Failed}


@dataclass(frozen=True, slots=True)
class Listed:
    """One study as it stands. `tested` is the chosen trial's value on the test split.

    `at` is when its last trial ended, or when it began, in seconds since 1970.
    """

    study: str
    state: State
    num_trials: int
    counts: dict[str, int]
    metric: str
    best: float | None
    tested: float | None
    interval: tuple[float, float] | None
    at: float


def list_studies(home: Path = MLRUNS) -> list[Listed]:
    """Every study that has run in `home`, the newest first."""
    folders = [Home(home).study(each.name) for each in Home(home).studies.glob("*")]
    found = [_listed(folder) for folder in folders if folder.spec.exists()]
    return sorted(found, key=lambda each: -each.at)


def state_of(folder: StudyFolder, ledger: Ledger) -> State:
    """Whether a driver has the study in its hands, or it came to its end, or neither."""
    if is_driven(folder):
        return "running"
    result = read_json(folder.result)
    # A result without the request it answers was written while MLflow was still being told.
    is_whole = (
        result and result["request"] and sum(result["counts"].values()) == len(ledger.endings)
    )
    return "finished" if is_whole else "interrupted"


def is_driven(folder: StudyFolder) -> bool:
    """Whether a driver holds the study's lock."""
    try:
        with folder.lock.open() as file:
            # Shared, so that two who ask do not see each other, and let go of with the file.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def count(ledger: Ledger) -> dict[str, int]:
    """How many trials ended in which way."""
    endings = ledger.endings.values()
    return {name: sum(isinstance(each, kind) for each in endings) for name, kind in KINDS.items()}


def as_document(studies: Sequence[Listed]) -> dict[str, Any]:
    """The rows as JSON values."""
    return {"studies": [asdict(each) for each in studies]}


def as_text(studies: Sequence[Listed], home: Path = MLRUNS) -> str:
    """A table, or what to type where there is nothing to show."""
    if not studies:
        return f"No study has run in {home}. Try: nnsearch run digits"
    rows = [
        {
            "study": each.study,
            "state": each.state,
            "trials": _trials(each),
            "metric": each.metric,
            "best": number(each.best),
            "test": "" if each.tested is None else with_interval(each.tested, each.interval),
            "when": when(each.at),
        }
        for each in studies
    ]
    return table(rows)


def when(at: float) -> str:
    """A time on this machine's clock, to the minute."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _listed(folder: StudyFolder) -> Listed:
    recorded, ledger = read_json(folder.spec), read_ledger(folder)
    objective = Objective(**recorded["objective"])
    best = chosen_of(folder, ledger, objective)
    result = read_json(folder.result) or {}
    tested = result.get("conclusion", {}).get("tested", {})
    ends = tested.get("intervals", {}).get(objective.metric)
    created = datetime.fromisoformat(recorded["created"]).timestamp()
    return Listed(
        study=folder.root.name,
        state=state_of(folder, ledger),
        num_trials=len(ledger.specs),
        counts=count(ledger),
        metric=objective.metric,
        best=None if best is None else best.value,
        tested=tested.get("metrics", {}).get(objective.metric),
        interval=None if ends is None else (ends[0], ends[1]),
        at=max([created, *(each.at for each in ledger.endings.values())]),
    )


def _trials(each: Listed) -> str:
    """The number of trials, and of those that did not complete."""
    others = [f"{number} {name}" for name, number in each.counts.items() if number]
    rest = each.num_trials - sum(each.counts.values())
    others = [other for other in others if not other.endswith("complete")]
    others += [f"{rest} open"] if rest else []
    return f"{each.num_trials}" + (f" ({', '.join(others)})" if others else "")
