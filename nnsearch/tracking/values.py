"""Values as MLflow takes them: metrics, params, tags and the dataset. Knows no trial's state."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nnsearch.events import Epoch
from nnsearch.tracking.bulk import write_values
from nnsearch.tracking.trials import slug

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# MLflow takes 1,000 values in one transaction; 100 are left to params and tags.
BATCH = 900


def log_dataset(client: "MlflowClient", run_id: str, dataset: Mapping[str, object]) -> None:
    """Name the data of a run: name, digest, source and schema; what else there is is profile."""
    if not dataset:
        return
    from mlflow.entities import Dataset, DatasetInput, InputTag

    known = {"name", "digest", "source_type", "source", "schema"}
    profile = {key: value for key, value in dataset.items() if key not in known}
    schema = dataset.get("schema")
    described = Dataset(
        name=str(dataset.get("name", "data")),
        digest=str(dataset.get("digest", ""))[:36],
        source_type=str(dataset.get("source_type", "local")),
        source=json.dumps(dataset.get("source", "")),
        schema=json.dumps(schema) if schema else None,
        profile=json.dumps(profile) if profile else None,
    )
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run_id, datasets=[DatasetInput(described, [context])])


def whole_epochs(epochs: Iterable[Epoch], *, room: int) -> Iterator[list[Epoch]]:
    """Lists of epochs of at most `room` metrics each; at least one list, an empty one if need be.

    A batch is one transaction, so an epoch is stored whole or not at all.
    """
    chunk: list[Epoch] = []
    filled = 0
    for each in epochs:
        if chunk and filled + len(each.metrics) > room:
            yield chunk
            chunk, filled = [], 0
        chunk.append(each)
        filled += len(each.metrics)
    yield chunk


def history(epochs: Iterable[Epoch]) -> "list[Metric]":
    """The metrics of each epoch, at the epoch as step and at the epoch's own time."""
    found = [as_metrics(each.metrics, at=each.at, step=each.epoch) for each in epochs]
    return [metric for metrics in found for metric in metrics]


def as_metrics(values: Mapping[str, float], *, at: float, step: int = 0) -> "list[Metric]":
    """Values at one step and one time, under names that MLflow takes."""
    from mlflow.entities import Metric

    # MLflow stores infinity as 1.8e308, which is a number and a lie; NaN says what it is.
    return [
        Metric(slug(name), value if math.isfinite(value) else math.nan, milliseconds(at), step)
        for name, value in values.items()
    ]


def log(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: "list[Metric]",
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write everything; what is written twice is stored once."""
    from mlflow.entities import Param, RunTag

    params, tags = params or {}, tags or {}
    if not metrics and not params and not tags:
        return
    if write_values(client, run_id, metrics=metrics, params=params, tags=tags):
        return
    client.log_batch(
        run_id,
        metrics=metrics,
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )


def tag(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run."""
    log(client, run_id, metrics=[], tags=tags)


def milliseconds(at: float) -> int:
    """Seconds since 1970 as MLflow counts them."""
    return round(at * 1000)
