"""A store of runs reached through MLflow's own client: a server, or any database it knows."""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnsearch.tracking import backend
from nnsearch.tracking.backend import Experiment, Found, RefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# What MLflow says of a request that will not be taken however often it is sent.
_HOPELESS = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"})


def failures() -> tuple[type[Exception], ...]:
    """What MLflow raises of a store that is gone or locked; nothing where it is not loaded."""
    if "mlflow" not in sys.modules:
        return ()
    names = {"mlflow.exceptions": "MlflowException", "sqlalchemy.exc": "SQLAlchemyError"}
    return tuple(getattr(importlib.import_module(each), names[each]) for each in names)


@dataclass(frozen=True, slots=True)
class Client:
    """A `Backend` by MLflow's client."""

    client: "MlflowClient"

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of that name."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return None
        is_deleted = found.lifecycle_stage == "deleted"
        return Experiment(str(found.experiment_id), found.artifact_location, is_deleted, found.tags)

    def create_experiment(self, name: str, place: str | None, tags: Mapping[str, str]) -> str:
        """Make an experiment; its id."""
        made = self.client.create_experiment(name, artifact_location=place, tags=dict(tags))
        return str(made)

    def restore_experiment(self, experiment_id: str) -> None:
        """Take back a deletion, and those of the experiment's runs."""
        self.client.restore_experiment(experiment_id)

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an experiment."""
        self.client.set_experiment_tag(experiment_id, key, value)

    def runs(
        self, experiment_id: str, tags: Mapping[str, str], *, tagged: str = ""
    ) -> Iterator[Found]:
        """The runs that have these tags, the oldest first."""
        terms = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
        query = " AND ".join([*terms, *([f"tags.`{tagged}` LIKE '%'"] if tagged else [])])
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [experiment_id], query, max_results=1000, page_token=token,
                order_by=["start_time ASC"],
            )  # fmt: skip
            for each in page:
                info, data = each.info, each.data
                yield Found(
                    info.run_id, info.artifact_uri, info.status, data.tags, bool(data.params)
                )
            token = page.token
            if not token:
                return

    def steps(self, run_id: str, key: str) -> set[int]:
        """The steps at which a metric, or else any one, is there."""
        metrics = self.client.get_run(run_id).data.metrics
        if not metrics:
            return set()
        name = key if key in metrics else next(iter(metrics))
        return {each.step for each in self.client.get_metric_history(run_id, name)}

    def create_run(
        self, experiment_id: str, *, name: str, tags: Mapping[str, str], start_ms: int
    ) -> tuple[str, str]:
        """Make a run that is RUNNING: its id and the URI where its artifacts go."""
        with _refusals():
            info = self.client.create_run(experiment_id, start_ms, dict(tags), name).info
        return info.run_id, info.artifact_uri

    def reopen_run(self, run_id: str) -> None:
        """Set a run RUNNING."""
        with _refusals():
            self.client.update_run(run_id, status="RUNNING")

    def end_run(self, run_id: str, status: str, *, end_ms: int) -> None:
        """Set a run's status and end."""
        with _refusals():
            self.client.set_terminated(run_id, status, end_time=end_ms)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        self.client.delete_run(run_id)

    def write(
        self,
        run_id: str,
        *,
        metrics: Sequence[backend.Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write all of it or nothing."""
        from mlflow.entities import Metric, Param, RunTag

        with _refusals():
            self.client.log_batch(
                run_id,
                metrics=[Metric(*each) for each in metrics],
                params=[Param(key, value) for key, value in (params or {}).items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            )

    def log_dataset(self, run_id: str, dataset: backend.Dataset) -> None:
        """Name the data that a run was trained on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        described = Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        )
        context = InputTag("mlflow.data.context", "training")
        with _refusals():
            self.client.log_inputs(run_id, datasets=[DatasetInput(described, [context])])

    def upload(self, run_id: str, path: Path) -> None:
        """Add a file, or what a folder holds, to the artifacts of a run."""
        send = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        with _refusals():
            send(run_id, str(path))

    def artifacts(self, run_id: str) -> dict[str, int | None]:
        """The artifacts of a run at the top, and their sizes in bytes."""
        return {each.path: each.file_size for each in self.client.list_artifacts(run_id)}

    def make_durable(self) -> None:
        """MLflow's stores are, after each request."""

    def close(self) -> None:
        """A client holds nothing open that matters."""


@contextmanager
def _refusals() -> Iterator[None]:
    """Say by the error whether asking again makes sense."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _HOPELESS:
            raise RefusedError(str(error)) from error
        raise
