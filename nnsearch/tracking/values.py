"""Values as a store of runs takes them: metrics and the dataset. Knows no trial's state."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping

from nnsearch.events import Epoch
from nnsearch.tracking.backend import Dataset, Metric
from nnsearch.tracking.trials import slug

# MLflow takes 1,000 values in one transaction; 100 are left to params and tags.
BATCH = 900


def described(dataset: Mapping[str, object]) -> Dataset:
    """The data of a run: name, digest, source and schema; what else there is is profile."""
    known = {"name", "digest", "source_type", "source", "schema"}
    profile = {key: value for key, value in dataset.items() if key not in known}
    schema = dataset.get("schema")
    return Dataset(
        name=str(dataset.get("name", "data")),
        digest=str(dataset.get("digest", ""))[:36],
        source_type=str(dataset.get("source_type", "local")),
        source=json.dumps(dataset.get("source", "")),
        schema=json.dumps(schema) if schema else None,
        profile=json.dumps(profile) if profile else None,
    )


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


def history(epochs: Iterable[Epoch]) -> list[Metric]:
    """The metrics of each epoch, at the epoch as step and at the epoch's own time."""
    found = [as_metrics(each.metrics, at=each.at, step=each.epoch) for each in epochs]
    return [metric for metrics in found for metric in metrics]


def as_metrics(values: Mapping[str, float], *, at: float, step: int = 0) -> list[Metric]:
    """Values at one step and one time, under names that MLflow takes."""
    # MLflow stores infinity as 1.8e308, which is a number and a lie; NaN says what it is.
    return [
        Metric(slug(name), value if math.isfinite(value) else math.nan, milliseconds(at), step)
        for name, value in values.items()
    ]


def milliseconds(at: float) -> int:
    """Seconds since 1970 as MLflow counts them."""
    return round(at * 1000)
