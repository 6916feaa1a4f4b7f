"""Every file name in one place: what the folders name is what a finished study holds."""

import re
from pathlib import Path

import pytest
from finished import finished

from nnsearch.study.folder import Home, PreparedFolder, StudyFolder, read_json, sha256_of

# What an export and what MLflow holds is theirs to name.
ELSEWHERE = {"exporting", "tracking"}
NAMED = re.compile(r'"[^" ]*\.(?:json|jsonl|npz|npy|pt|log|db|lock|journal)"')
ALLOWED = {
    "commands/result.py": {'".npz"'},
    # files of a Hugging Face data set, which are none of ours
    "data/hugging_face_files.py": {'"dataset_info.json"', '".json"', '".jsonl"'},
    "commands/summary.py": {'"manifest.json"'},
    "search/journal.py": {'"{self.journal.name}.lock"'},
    "reports/pictures.py": {'"confusion_matrix.json"', '"classification_report.json"'},
    "study/meanings.py": {'"sources.npz"'},  # a component
}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return Home(finished(tmp_path_factory.getbasetemp()) / "mlruns").study("flowers")


def test_a_finished_study_has_the_files_that_are_named(folder: StudyFolder) -> None:
    number = read_json(folder.result)["conclusion"]["best"]["trial"]
    assert [look["trial"] for look in read_json(folder.looks)] == [number]
    for path in (folder.spec, folder.trials, folder.test_predictions(number), folder.workers_log):
        assert path.is_file()
    assert (folder.export(number) / "manifest.json").is_file()
    home = Home(folder.root.parent.parent)
    assert home.mlflow_database.is_file()
    assert home.mlflow_uri == f"sqlite:///{home.mlflow_database}"


def test_prepared_arrays_lie_under_the_names_of_their_hashes(folder: StudyFolder) -> None:
    prepared = folder.prepared(read_json(folder.spec)["data"])
    hashes = read_json(prepared.record)["sha256"]
    names = [(part, name) for part in ("train", "valid", "test") for name in ("inputs", "rows")]
    for part, name in names:
        assert hashes[PreparedFolder.name_of(part, name)] == sha256_of(prepared.array(part, name))


def test_no_other_module_spells_a_file_of_a_run(repository: Path) -> None:
    package, found = repository / "nnsearch", {}
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative.as_posix() == "study/folder.py" or relative.parts[0] in ELSEWHERE:
            continue
        code = [line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
        names = {match for line in code for match in NAMED.findall(line)}
        if extra := names - ALLOWED.get(relative.as_posix(), set()):
            found[relative.as_posix()] = extra
    assert found == {}
