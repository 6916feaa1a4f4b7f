"""Whether a study's records, its Optuna store and its MLflow store say the same. Changes nothing.

The promises are N1, N2, N4, N5 and N6: complete is logged, logged is complete, the budget is kept,
each epoch is there once, and nothing is left over.
"""

import json
import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from nnsearch import events
from nnsearch.commands.listing import count
from nnsearch.events import Asked, Ending, Epoch, Failed, Finished
from nnsearch.search.ledger import Ledger, asked, read_ledger, values_of
from nnsearch.study.folder import JobFolder, StudyFolder, read_json, sha256_of
from nnsearch.study.recorded import recorded_objectives
from nnsearch.study.spec import Objective
from nnsearch.tracking.artifacts import MANIFEST
from nnsearch.tracking.trials import STATES, params, slug

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `problems` is empty where it is as it should be."""

    name: str
    problems: tuple[str, ...]
    study: str = ""
    hint: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Records:
    """A study's records, as far as a comparison needs them."""

    folder: StudyFolder
    ledger: Ledger
    objectives: tuple[Objective, ...]
    uid: str
    collected: Mapping[int, list[str]]

    @property
    def name(self) -> str:
        """The study's."""
        return self.folder.root.name

    def kept(self, number: int) -> dict[str, str]:
        """The files of a complete trial that `nnsearch gc` left, each with its sha256."""
        ending, gone = self.ledger.endings[number], self.collected.get(number, [])
        files = ending.files if isinstance(ending, Finished) else {}
        return {name: sha256 for name, sha256 in files.items() if name not in gone}

    def uids(self) -> dict[str, int]:
        """The number of each trial, by its uid."""
        return {spec.uid: number for number, spec in self.ledger.specs.items()}


def read_records(folder: StudyFolder) -> Records:
    """The records of a study. Raises ValueError, KeyError or OSError where they are damaged."""
    recorded = read_json(folder.spec)
    objectives = recorded_objectives(recorded)
    gone = {int(number): names for number, names in (read_json(folder.collected) or {}).items()}
    return Records(folder, read_ledger(folder), objectives, recorded["fingerprint"], gone)


def record_problems(records: Records) -> Iterator[str]:
    """N4 and N5 in the records themselves, and the hashes of every complete trial's files."""
    ledger = records.ledger
    if sorted(ledger.specs) != list(range(len(ledger.specs))):
        yield "the trials' numbers have gaps"
    if len(records.uids()) != len(ledger.specs):
        yield "two trials have one uid"
    result = read_json(records.folder.result)
    if result is not None and sum(result["counts"].values()) > len(ledger.endings):
        yield f"the result speaks of {result['counts']}, the records of {count(ledger)}"
    for job in sorted(records.folder.jobs.glob("[0-9]*")):
        yield from _job_problems(JobFolder(job))
    for number, ending in sorted(ledger.endings.items()):
        yield from _epoch_problems(number, ledger.epochs[number], ending)
        if isinstance(ending, Finished):
            folder = ledger.folder(records.folder, number).root
            yield from _file_problems(f"trial {number}", folder, records.kept(number))


def optuna_problems(records: Records, stored: "list[FrozenTrial]") -> Iterator[str]:
    """Trials of the Optuna store that are missing, too many, or not those of the records."""
    ledger, ended = records.ledger, 0
    while ended in ledger.endings:
        ended += 1
    if len(stored) != ended:
        yield f"{len(stored)} trials in Optuna's store, {ended} ended ones in the records"
    yield from trial_problems(records, stored[:ended])


def trial_problems(records: Records, stored: "Sequence[FrozenTrial]") -> Iterator[str]:
    """Trials of the Optuna store that are not those of the records; each of them has ended."""
    from nnsearch.search.asking import state_of

    ledger, objectives = records.ledger, records.objectives
    for trial in stored:
        number = trial.number
        ending, spec = ledger.endings[number], ledger.specs[number]
        if trial.user_attrs.get("nnsearch.uid") != spec.uid:
            yield f"trial {number} is another one in Optuna's store"
        elif trial.state != state_of(ending):
            yield f"trial {number} is {trial.state.name} in Optuna's store"
        elif isinstance(ending, Finished) and trial.values != [*values_of(ending, objectives)]:
            yield f"trial {number} has {trial.values} in Optuna's store, not {ending.value!r}"
        elif trial.params != spec.params:
            yield f"trial {number} has other params in Optuna's store"


def mlflow_problems(records: Records, client: "MlflowClient", experiment: str) -> Iterator[str]:
    """N1, N2 and N5 against MLflow: one run a trial, in the right state, with the same values."""
    query = f"tags.`nnsearch.study_uid` = '{records.uid}'"
    found = _runs(client, experiment, query)
    parents = [each for each in found if "nnsearch.trial_uid" not in each.data.tags]
    runs = [each for each in found if "nnsearch.trial_uid" in each.data.tags]
    if len(parents) != 1:
        yield f"{len(parents)} runs of the study itself in MLflow"
    yield from (
        f"run {each.info.run_id} is RUNNING" for each in found if _status(each) == "RUNNING"
    )
    known, seen = records.uids(), Counter(each.data.tags["nnsearch.trial_uid"] for each in runs)
    for number, ending in sorted(records.ledger.endings.items()):
        times = seen[records.ledger.specs[number].uid]
        if times != 1:
            yield f"trial {number} ({_kind(ending)}) has {times} runs in MLflow"
    for run in runs:
        uid = run.data.tags["nnsearch.trial_uid"]
        if uid not in known:
            yield f"run {run.info.run_id} is of a trial that nobody recorded"
        else:
            yield from _run_problems(records, client, known[uid], run)


def left_overs(records: Records) -> Iterator[str]:
    """N6: temporary files, and processes that work for a study without a driver."""
    root = records.folder.root
    yield from (f"a temporary file: {path}" for path in sorted(root.rglob(".*.tmp")))
    for link in Path("/proc").glob("[0-9]*/fd/[12]"):
        try:
            is_ours = link.readlink().is_relative_to(root)
        except OSError:  # it has ended, or is somebody else's
            continue
        if is_ours:
            yield f"process {link.parts[2]} writes into {root} without a driver"


def torn(path: Path) -> Iterator[str]:
    """A file of lines whose last one was not written to its end."""
    if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        yield f"{path} ends in half a line"


def _job_problems(job: JobFolder) -> Iterator[str]:
    """A line that is no event, a second ending, an epoch that was repeated with other values."""
    epochs: dict[tuple[int, int], Mapping[str, float]] = {}
    ended: Counter[int] = Counter()
    for line, _ in events.whole_lines(job.events):
        event = events.from_line(line)
        if isinstance(event, Epoch):
            first = epochs.setdefault((event.trial, event.epoch), event.metrics)
            if not _same_values(first, event.metrics):
                yield f"epoch {event.epoch} of trial {event.trial} was repeated with other values"
        elif isinstance(event, Finished):
            ended[event.trial] += 1
    yield from torn(job.events)
    yield from (
        f"trial {each} was trained to its end {n} times" for each, n in ended.items() if n > 1
    )


def _epoch_problems(number: int, epochs: Mapping[int, Epoch], ending: Ending) -> Iterator[str]:
    if sorted(epochs) != list(range(1, len(epochs) + 1)):
        yield f"trial {number} has the epochs {_short(sorted(epochs))}"
    # Epoch 0 is of a trial that was not trained.
    if not isinstance(ending, Failed) and ending.epoch not in (0, *epochs):
        yield f"trial {number} has no epoch {ending.epoch}, which counts"


def _file_problems(what: str, folder: Path, hashes: Mapping[str, str]) -> Iterator[str]:
    for name, sha256 in hashes.items():
        path = folder / name
        if not path.is_file():
            yield f"{what}: {path} is missing"
        elif sha256_of(path) != sha256:
            yield f"{what}: {path} is not the file that was recorded"


def _run_problems(
    records: Records, client: "MlflowClient", number: int, run: "Run"
) -> Iterator[str]:
    ending, spec = records.ledger.endings.get(number), records.ledger.specs[number]
    if ending is None:
        if run.data.tags.get("nnsearch.state") != "interrupted":
            yield f"trial {number} has not ended, but is {_status(run)} in MLflow"
        return
    state, status = STATES[type(ending)]
    if (run.data.tags.get("nnsearch.state"), _status(run)) != (state, status):
        yield f"trial {number} is {state}, but {_status(run)} in MLflow"
        return
    if isinstance(ending, Finished):
        if not _same(run.data.metrics.get("objective"), ending.value):
            logged = run.data.metrics.get("objective")
            yield f"trial {number} has {logged!r} in MLflow, not {ending.value!r}"
        yield from _artifact_problems(number, run, records)
    if _differing(asked(spec), run.data.params):
        yield f"trial {number} has other params in MLflow"
    yield from _history_problems(records.ledger, client, number, run)


def _differing(event: Asked, logged: Mapping[str, str]) -> list[str]:
    wanted = params(event)
    return [name for name in wanted.keys() | logged.keys() if wanted.get(name) != logged.get(name)]


def _artifact_problems(number: int, run: "Run", records: Records) -> Iterator[str]:
    """The run's files against its own manifest, and the manifest against the trial's record."""
    place = urlparse(run.info.artifact_uri)
    if place.scheme not in {"", "file"}:
        return  # a server's, where only the server can look
    folder = Path(unquote(place.path))
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        yield f"trial {number} has no manifest of its files in MLflow"
        return
    gone = records.collected.get(number, [])
    hashes = {name: each["sha256"] for name, each in manifest.items() if name not in gone}
    yield from _file_problems(f"trial {number}", folder, hashes)
    for name, sha256 in records.kept(number).items():
        if hashes.get(name) != sha256:
            yield f"trial {number}: {name} is another file in MLflow"


def _history_problems(
    ledger: Ledger, client: "MlflowClient", number: int, run: "Run"
) -> Iterator[str]:
    """Each metric's steps are those of the records, each once, with the same values."""
    epochs = ledger.epochs[number]
    for key in dict.fromkeys(key for each in epochs.values() for key in each.metrics):
        wanted = {step: each.metrics[key] for step, each in epochs.items() if key in each.metrics}
        logged = client.get_metric_history(run.info.run_id, slug(key))
        if sorted(each.step for each in logged) != sorted(wanted):
            steps = _short(sorted(each.step for each in logged))
            yield f"trial {number} has the steps {steps} of {key} in MLflow"
        elif not all(_same(each.value, wanted[each.step]) for each in logged):
            yield f"trial {number} has other values of {key} in MLflow"


def _runs(client: "MlflowClient", experiment: str, query: str) -> "list[Run]":
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], query, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def _status(run: "Run") -> str:
    return str(run.info.status)


def _kind(ending: Ending) -> str:
    return STATES[type(ending)][0]


def _same(stored: Any, value: float) -> bool:
    """Whether two floats are equal bit for bit; what is not finite is stored as NaN."""
    if not math.isfinite(value):
        return stored is not None and not math.isfinite(stored)
    return stored is not None and struct.pack("<d", stored) == struct.pack("<d", value)


def _same_values(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in second)


def _short(steps: list[int]) -> str:
    text = ", ".join(map(str, steps[:10]))
    return f"{text}, ... ({len(steps)})" if len(steps) > 10 else text or "none"  # noqa: PLR2004
