"""A store of runs in an SQLite file, written by a few statements into MLflow's own tables.

Importing MLflow takes two seconds of computing, and its client 38 ms for a trial of 280 values,
where these statements take 3 ms; what they leave behind is what the client would
(tests/test_tracking_tables.py holds the two against each other). `layout` says for which files.
"""

import math
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnsearch.tracking.artifacts import local_folder
from nnsearch.tracking.backend import Dataset, Experiment, Found, Metric, RefusedError
from nnsearch.tracking.layout import into

# How long SQLite itself waits for a lock, as with MLflow.
LOCK_SECONDS = 20.0
LONGEST_VALUE = 8000

Row = tuple[object, ...]


def open_tables(path: Path) -> "Tables":
    """Open the file, for the thread that calls. Raises sqlite3.Error where it is no database."""
    file = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
    file.execute("PRAGMA foreign_keys = ON")
    # A power cut may lose what was written last, and no more; `make_durable` waits for the disk.
    file.execute("PRAGMA synchronous = NORMAL")
    return Tables(path, file)


@dataclass(frozen=True, slots=True)
class Tables:
    """A `Backend` by SQL."""

    path: Path
    file: sqlite3.Connection

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of that name."""
        found = self.file.execute(
            "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments"
            " WHERE name = ? AND workspace = 'default'",
            (name,),
        ).fetchone()
        if found is None:
            return None
        number, place, stage = found
        tags = self.file.execute(
            "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (number,)
        )
        return Experiment(str(number), str(place), stage == "deleted", dict(tags))

    def create_experiment(self, name: str, place: str | None, tags: Mapping[str, str]) -> str:
        """Make an experiment; its id."""
        now = _now()
        with self._writing():
            row = (None, name, place, "active", now, now, "default")
            made = self.file.execute(into("experiments"), row)
            rows = [(key, value, made.lastrowid) for key, value in tags.items()]
            self.file.executemany(into("experiment_tags"), rows)
        return str(made.lastrowid)

    def restore_experiment(self, experiment_id: str) -> None:
        """Take back a deletion, and those of the experiment's runs."""
        number = int(experiment_id)
        with self._writing():
            self.file.execute(
                "UPDATE experiments SET lifecycle_stage = 'active', last_update_time = ?"
                " WHERE experiment_id = ?",
                (_now(), number),
            )
            self.file.execute(
                "UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL"
                " WHERE experiment_id = ?",
                (number,),
            )

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an experiment."""
        row = (key, value, int(experiment_id))
        with self._writing():
            self.file.execute(into("experiment_tags", "OR REPLACE"), row)

    def runs(
        self, experiment_id: str, tags: Mapping[str, str], *, tagged: str = ""
    ) -> Iterator[Found]:
        """The runs that have these tags, the oldest first."""
        terms = ["experiment_id = ?", "lifecycle_stage = 'active'"]
        values: list[object] = [int(experiment_id)]
        for key, value in tags.items():
            terms.append("run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)")
            values += [key, value]
        if tagged:
            terms.append("run_uuid IN (SELECT run_uuid FROM tags WHERE key = ?)")
            values.append(tagged)
        query = (
            "SELECT run_uuid, artifact_uri, status,"  # noqa: S608 - our own words
            " EXISTS (SELECT 1 FROM params WHERE params.run_uuid = runs.run_uuid) FROM runs"
            f" WHERE {' AND '.join(terms)} ORDER BY start_time, run_uuid"
        )
        found = self.file.execute(query, values).fetchall()
        for run_id, place, status, has_params in found:
            said = self.file.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,))
            yield Found(run_id, place, status, dict(said), bool(has_params))

    def steps(self, run_id: str, key: str) -> set[int]:
        """The steps at which a metric, or else any one, is there."""
        query = (
            "SELECT DISTINCT step FROM metrics WHERE run_uuid = ? AND key = (SELECT key"
            " FROM latest_metrics WHERE run_uuid = ? ORDER BY key <> ?, key LIMIT 1)"
        )
        return {step for (step,) in self.file.execute(query, (run_id, run_id, key))}

    def create_run(
        self, experiment_id: str, *, name: str, tags: Mapping[str, str], start_ms: int
    ) -> tuple[str, str]:
        """Make a run that is RUNNING: its id and the URI where its artifacts go."""
        number, run_id = int(experiment_id), uuid.uuid4().hex
        with self._writing():
            found = self.file.execute(
                "SELECT artifact_location FROM experiments"
                " WHERE experiment_id = ? AND lifecycle_stage = 'active'",
                (number,),
            ).fetchone()
            if found is None:
                raise RefusedError(f"experiment {number} was deleted in MLflow")
            place = f"{found[0].rstrip('/')}/{run_id}/artifacts"
            row = (
                *(run_id, name, "UNKNOWN", "", "", tags.get("mlflow.user", "unknown"), "RUNNING"),
                *(start_ms, None, "", "active", place, number, None),
            )
            self.file.execute(into("runs"), row)
            self._set_tags(run_id, {"mlflow.runName": name, **tags})
        return run_id, place

    def reopen_run(self, run_id: str) -> None:
        """Set a run RUNNING."""
        with self._writing(run_id):
            self.file.execute("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?", (run_id,))

    def end_run(self, run_id: str, status: str, *, end_ms: int) -> None:
        """Set a run's status and end."""
        ended = (status, end_ms, run_id)
        with self._writing(run_id):
            self.file.execute("UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?", ended)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        with self._writing():
            self.file.execute(
                "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ? WHERE run_uuid = ?",
                (_now(), run_id),
            )

    def write(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write all of it or nothing."""
        with self._writing(run_id):
            if params:
                self._add_params(run_id, params)
            if metrics:
                self._add_metrics(run_id, metrics)
            if tags:
                self._set_tags(run_id, tags)

    def log_dataset(self, run_id: str, dataset: Dataset) -> None:
        """Name the data that a run was trained on."""
        with self._writing(run_id):
            [(number,)] = self.file.execute(
                "SELECT experiment_id FROM runs WHERE run_uuid = ?", (run_id,)
            )
            row = (
                *(uuid.uuid4().hex, number, dataset.name, dataset.digest, dataset.source_type),
                *(dataset.source, dataset.schema, dataset.profile),
            )
            self.file.execute(into("datasets", "OR IGNORE"), row)
            [(data,)] = self.file.execute(
                "SELECT dataset_uuid FROM datasets"
                " WHERE experiment_id = ? AND name = ? AND digest = ?",
                (number, dataset.name, dataset.digest),
            )
            used = uuid.uuid4().hex
            edge = (used, "DATASET", data, "RUN", run_id, 0)
            added = self.file.execute(into("inputs", "OR IGNORE"), edge)
            if added.rowcount:
                tag = (used, "mlflow.data.context", "training")
                self.file.execute(into("input_tags"), tag)

    def upload(self, run_id: str, path: Path) -> None:
        """Copy a file, or what a folder holds, to the artifacts of a run."""
        folder = self._artifact_folder(run_id)
        if path.is_dir():
            shutil.copytree(path, folder, dirs_exist_ok=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path.name)

    def artifacts(self, run_id: str) -> dict[str, int | None]:
        """The artifacts of a run at the top, and their sizes in bytes."""
        folder = self._artifact_folder(run_id)
        return {each.name: each.stat().st_size for each in folder.glob("*") if each.is_file()}

    def make_durable(self) -> None:
        """From now on wait for the disk; what was written before goes with it."""
        self.file.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    @contextmanager
    def _writing(self, run_id: str = "") -> Iterator[None]:
        """One transaction, of a run that is there and not deleted where one is named."""
        self.file.execute("BEGIN IMMEDIATE")
        try:
            if run_id:
                self._check_active(run_id)
            yield
            self.file.execute("COMMIT")
        except BaseException:
            if self.file.in_transaction:
                self.file.execute("ROLLBACK")
            raise

    def _check_active(self, run_id: str) -> None:
        query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
        found = self.file.execute(query, (run_id,)).fetchone()
        if found != ("active",):
            raise RefusedError(f"run {run_id} was deleted in MLflow")

    def _add_params(self, run_id: str, params: Mapping[str, str]) -> None:
        rows = [(key, value, run_id) for key, value in params.items()]
        added = self.file.executemany(into("params", "OR IGNORE"), rows)
        if added.rowcount == len(rows):
            return
        query = "SELECT key, value FROM params WHERE run_uuid = ?"
        there = dict(self.file.execute(query, (run_id,)))
        other = [key for key, value in params.items() if there[key] != value]
        if other:
            raise RefusedError(f"run {run_id} has another value of {', '.join(other)}")

    def _add_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """The values, and of each metric the latest: by step, then time, then value."""
        rows: list[Row] = []
        latest: dict[str, tuple[tuple[int, int, float], Row]] = {}
        for key, given, timestamp, step in metrics:
            # As MLflow stores it: a NaN is 0 with a mark. Infinite values never come here.
            is_nan = math.isnan(given)
            value = 0.0 if is_nan else given
            rows.append((key, value, timestamp, run_id, step, is_nan))
            age = (step, timestamp, value)
            if key not in latest or age > latest[key][0]:
                latest[key] = (age, (key, value, timestamp, step, is_nan, run_id))
        self.file.executemany(into("metrics", "OR IGNORE"), rows)
        self.file.executemany(
            f"{into('latest_metrics')} ON CONFLICT DO UPDATE SET"
            " value = excluded.value, timestamp = excluded.timestamp, step = excluded.step,"
            " is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value)"
            " > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
            [row for _, row in latest.values()],
        )

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        rows = [(key, value[:LONGEST_VALUE], run_id) for key, value in tags.items()]
        self.file.executemany(into("tags", "OR REPLACE"), rows)

    def _artifact_folder(self, run_id: str) -> Path:
        query = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
        found = self.file.execute(query, (run_id,)).fetchone()
        folder = local_folder(found[0]) if found else None
        if folder is None:
            raise RefusedError(f"the artifacts of run {run_id} do not lie in a folder")
        return folder


def _now() -> int:
    return time.time_ns() // 1_000_000
