"""Put a file beside what a study's own run in MLflow has. Draws nothing, knows no trial."""

from pathlib import Path

from nnsearch.study.folder import sha256_of
from nnsearch.tracking.store import open_backend

TAG = "nnsearch.attached"


def attach(path: Path, *, uri: str, experiment: str, study_uid: str) -> bool:
    """Add the file to the artifacts of the study's own run; one of the same name is replaced.

    What was attached last is noted in a tag and is not sent again. False where there is no such
    run. Raises what `is_trouble` knows where the store is gone or locked.
    """
    backend = open_backend(uri)
    try:
        found = backend.experiment(experiment)
        if found is None:
            return False
        # Only the study's own run has looked at the test split, among thousands of trials.
        wanted = {"nnsearch.study_uid": study_uid}
        runs = list(backend.runs(found.id, wanted, tagged="nnsearch.tested_at"))
        note = f"{path.name} {sha256_of(path)}"
        for run in runs:
            if run.tags.get(TAG) != note:
                backend.upload(run.id, path)
                backend.write(run.id, tags={TAG: note})
        return bool(runs)
    finally:
        backend.close()
