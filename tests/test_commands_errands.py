"""Who loads what: the driver no torch, the workers nothing that only the driver needs."""

import subprocess
import sys
from pathlib import Path

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


def test_a_driver_runs_a_study_to_its_report_without_torch(tmp_path: Path) -> None:
    (tmp_path / "flowers.toml").write_text(STUDY)
    assert said(DRIVER, tmp_path) == "True False True"


def test_a_worker_begins_with_torch_and_little_else(tmp_path: Path) -> None:
    assert said(WORKER, tmp_path) == "True []"
