"""What tests of commands share: a tiny study that has run once, and the command line in-process."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from nnsearch import cli

NUM_TRIALS = 4
STUDY = """
name = "flowers"
[data]
source = "iris"
[task]
name = "classification"
[model]
name = "parts.py:fragile"
width = { choice = [4, 8, 16, 32] }
[optimizer]
name = "adam"
lr = 0.05
[training]
epochs = 2
[search]
sampler = "grid"
trials = 4
"""
# One of the trials fails, always the one of eight units.
PARTS = """
from torch import nn

def fragile(inputs, outputs, *, width: int = 4):
    if width == 8:
        raise ValueError("a width of eight")
    return nn.Sequential(nn.Linear(inputs[0], width), nn.ReLU(), nn.Linear(width, outputs))
"""


@cache
def finished(base: Path) -> Path:
    """The folder below `base` that holds mlruns/, flowers.toml and parts.py; made once."""
    folder = base / "finished"
    folder.mkdir()
    (folder / "parts.py").write_text(PARTS)
    return completed(folder, "flowers", STUDY)


def completed(folder: Path, name: str, text: str) -> Path:
    """The folder, in which the study of `text` has run."""
    (folder / f"{name}.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "run", f"{name}.toml", "--allow-code"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def copied(whole: Path, target: Path) -> Path:
    """A copy of mlruns/ in which MLflow points to the copied artifacts; damage it as you like."""
    home = target / "mlruns"
    shutil.copytree(whole / "mlruns", home)
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)",
            (str(whole / "mlruns"), str(home)),
        )
    return home


def call(arguments: Sequence[object], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of `nnsearch ARGUMENTS`, run in this process."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["nnsearch", *map(str, arguments)])
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    code = ended.value.code
    return code if isinstance(code, int) else 0
