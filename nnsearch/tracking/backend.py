"""What the tracker asks of a store of runs. Knows neither MLflow nor SQL.

Two modules answer: `client` by MLflow's own client, for any store, and `tables` by a few statements
into an SQLite file, without MLflow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class Metric(NamedTuple):
    """A value of a metric; `timestamp` is in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """The data of a run as MLflow describes it; `source`, `schema` and `profile` are JSON."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment that is there, deleted or not; its artifacts lie at the URI `place`."""

    id: str
    place: str
    is_deleted: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A run that is there and was not deleted."""

    id: str
    artifact_uri: str
    status: str
    tags: Mapping[str, str]
    has_params: bool


class RefusedError(Exception):
    """A request that the store will not take however often it is sent."""


class Backend(Protocol):
    """A store of runs. What is written twice is there once.

    What writes raises RefusedError for a run or an experiment that was deleted, and an error of the
    store's own while it is gone or locked (`store.is_trouble`).
    """

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of that name."""

    def create_experiment(self, name: str, place: str | None, tags: Mapping[str, str]) -> str:
        """Make an experiment whose artifacts lie at the URI `place`; its id."""

    def restore_experiment(self, experiment_id: str) -> None:
        """Take a deletion back."""

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an experiment."""

    def runs(
        self, experiment_id: str, tags: Mapping[str, str], *, tagged: str = ""
    ) -> Iterator[Found]:
        """The runs that have these tags, and one called `tagged`, the oldest first."""

    def steps(self, run_id: str, key: str) -> set[int]:
        """The steps at which a metric is there, or any one of the run's where it has not this."""

    def create_run(
        self, experiment_id: str, *, name: str, tags: Mapping[str, str], start_ms: int
    ) -> tuple[str, str]:
        """Make a run that is RUNNING: its id and the URI where its artifacts go."""

    def reopen_run(self, run_id: str) -> None:
        """Set a run RUNNING."""

    def end_run(self, run_id: str, status: str, *, end_ms: int) -> None:
        """Set a run's status and when it ended."""

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""

    def write(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write all of it or nothing. RefusedError where a param is there with another value."""

    def log_dataset(self, run_id: str, dataset: Dataset) -> None:
        """Name the data that a run was trained on."""

    def upload(self, run_id: str, path: Path) -> None:
        """Add a file, or what a folder holds, to the artifacts of a run."""

    def artifacts(self, run_id: str) -> dict[str, int | None]:
        """The artifacts of a run at the top, and their sizes in bytes."""

    def make_durable(self) -> None:
        """See to it that what is written from now on, and all before it, outlives a power cut."""

    def close(self) -> None:
        """Let go of the store."""
