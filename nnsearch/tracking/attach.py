"""Put a file beside what a study's own run in MLflow has. Draws nothing, knows no trial."""

from pathlib import Path

from nnsearch.study.folder import sha256_of
from nnsearch.tracking.store import import_mlflow

TAG = "nnsearch.attached"


def attach(path: Path, *, uri: str, experiment: str, study_uid: str) -> bool:
    """Add the file to the artifacts of the study's own run; one of the same name is replaced.

    What was attached last is noted in a tag and is not sent again. False where there is no such
    run. Raises what MLflow raises where its store is gone or locked.
    """
    import_mlflow()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return False
    # Only the study's own run has looked at the test split; a join of tags is quicker than the
    # thousands of runs below it.
    query = f"tags.`nnsearch.study_uid` = '{study_uid}' AND tags.`nnsearch.tested_at` LIKE '%'"
    runs = client.search_runs([found.experiment_id], query, max_results=1)
    note = f"{path.name} {sha256_of(path)}"
    for run in runs:
        if run.data.tags.get(TAG) != note:
            client.log_artifact(run.info.run_id, str(path))
            client.set_tag(run.info.run_id, TAG, note)
    return bool(runs)
