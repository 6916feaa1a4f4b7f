"""Who loads what: the driver no torch, the workers nothing that only the driver needs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnsearch.commands.errands import weigh_test, weigh_valid
from nnsearch.data.examples import Examples
from nnsearch.data.prepare import open_part, prepare
from nnsearch.signature import Signature
from nnsearch.study.load import load_study
from nnsearch.study.space import sample
from nnsearch.study.spec import Split

STUDY = """
[data]
source = "iris"
[task]
name = "classification"
[model]
name = "mlp"
[optimizer]
name = "adam"
lr = { float = [1e-3, 1e-1], log = true }
[training]
epochs = 2
[search]
trials = 2
"""
DRIVER = """
import sys
from pathlib import Path
from nnsearch import Options, run
result = run(Path("flowers.toml"), Options(home=Path("mlruns")), warn=print)
assert result.conclusion.export, result.conclusion.export_problem
print(Path(result.folder, "report.html").exists(), "torch" in sys.modules, "mlflow" in sys.modules)
"""
WORKER = """
import sys, nnsearch.training.job
heavy = {"pandas", "pyarrow", "sklearn", "scipy", "optuna", "mlflow", "PIL", "matplotlib"}
print("torch" in sys.modules, sorted(heavy & set(sys.modules)))
"""
TRACKER = """
import gc, sys
from nnsearch.tracking.store import import_mlflow
before = "mlflow" in sys.modules
import_mlflow("sqlite:///mlflow.db")
names = ("mlflow", "mlflow.store.tracking.sqlalchemy_store")
print(before, *(name in sys.modules for name in names), gc.isenabled())
"""
READER = """
import sys
from pathlib import Path
from nnsearch.commands import errands
study = errands.load(Path("flowers.toml"), (), False)
print(study.search.sampler.name, study.search.pruner.name, "optuna" in sys.modules)
"""
CONCLUDER = """
import sys
from nnsearch.commands import errands
names = ("onnxruntime", "nnsearch.commands.report")
before = [name in sys.modules for name in names]
errands.get_ready_to_export()
errands.get_ready_to_report()
print(*before, *(name in sys.modules for name in names))
"""


def said(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_a_driver_runs_a_study_to_its_report_without_torch_or_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flowers.toml").write_text(STUDY)
    (tmp_path / "again.toml").write_text(STUDY.replace("epochs = 2", "epochs = 1"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert said(DRIVER, tmp_path) == "True False True"  # MLflow makes its tables, which are kept
    again = DRIVER.replace("flowers.toml", "again.toml")
    assert said(again, tmp_path) == "True False False"


def test_a_worker_begins_with_torch_and_little_else(tmp_path: Path) -> None:
    assert said(WORKER, tmp_path) == "True []"


def test_a_study_is_read_without_optuna(tmp_path: Path) -> None:
    (tmp_path / "flowers.toml").write_text(STUDY)
    assert said(READER, tmp_path) == "tpe none False"


def test_mlflow_is_loaded_ahead_with_what_a_database_takes(tmp_path: Path) -> None:
    assert said(TRACKER, tmp_path) == "False True True True"


def test_export_and_report_are_loaded_ahead(tmp_path: Path) -> None:
    assert said(CONCLUDER, tmp_path) == "False False True True"


def test_validation_rows_that_come_in_groups_tell_less(tmp_path: Path) -> None:
    """Sixty groups of five rows that are right or wrong together."""
    groups = np.repeat(np.arange(60), 5)

    def source(_: Path) -> Examples:
        inputs = np.random.default_rng(0).normal(size=(300, 2))
        signature = Signature("table", (2,), "float64", "y")
        return Examples(inputs, np.array(["a", "b"])[groups % 2], signature, groups=groups)

    (tmp_path / "flowers.toml").write_text(STUDY)
    study = load_study(tmp_path / "flowers.toml")
    asked = {"root": tmp_path, "options": {}, "folder": tmp_path / "data"}
    by_group = Split(0.5, 0.4, 0.1, by="group")
    prepared = prepare(source, "class", by_group, 0, **asked)  # type: ignore[arg-type]
    valid = open_part(prepared.folder, "valid")
    assert valid.groups is not None
    targets = np.asarray(valid.targets)
    answers = np.where(np.asarray(valid.groups) % 5 == 0, 1 - targets, targets)
    path = tmp_path / "predictions.npz"
    np.savez(path, predictions=np.eye(2)[answers] * 0.8 + 0.1, targets=targets)
    trial = sample(study, lambda *_: 0.01, number=0, seed=0)
    grouped, _ = weigh_valid(study, prepared.folder, trial, str(path))
    plain, _ = weigh_test(study, prepared.folder, trial, str(path))
    widths = [high - low for low, high in (grouped["accuracy"], plain["accuracy"])]
    assert widths[0] > 1.5 * widths[1]
