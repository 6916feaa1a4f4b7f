"""The test split is read exactly once, at the end, by the chosen trial: seen by Python's own audit.

Every process of a run gets a hook that notes who opens an array of the test split, and which trial
was looked at. So a code path that reads it earlier, in whatever process, fails here.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnsearch.data.sealed import reads
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import Home, read_json

pytestmark = pytest.mark.timeout(300)
HOME = Path("mlruns")
# Imported by every Python that starts: it may use nothing but the standard library.
HOOK = r"""
import json, os, sys, time

ALLOWED = {("prepare.py", "lay_down"), ("prepare.py", "_verify"), ("sealed.py", "open_test")}

def watch(event, arguments):
    if event == "nnsearch.open_test":
        note({"look": arguments[1]})
    elif event == "open" and isinstance(arguments[0], str):
        path = arguments[0].split(os.sep)
        if path[-1].endswith(".npy") and path[-2:-1] == ["test"]:
            frame, callers = sys._getframe(), []
            while frame is not None:
                code = frame.f_code
                callers.append((os.path.basename(code.co_filename), code.co_name))
                frame = frame.f_back
            who = [each for each in callers if each in ALLOWED]
            note({"opened": path[-1], "by": who[0][1] if who else "", "callers": callers[:12]})

def note(fields):
    line = json.dumps({**fields, "at": time.time(), "pid": os.getpid()}) + "\n"
    log = os.open(os.environ["TEST_SPLIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line.encode())
    os.close(log)

sys.addaudithook(watch)
"""
STUDY = """
name = "sealed"
[data]
source = "iris"
[task]
name = "classification"
[model]
name = "MODEL"
[optimizer]
name = "adam"
lr = { float = [1e-4, 1e-1], log = true }
[training]
epochs = 2
[search]
trials = 3
"""
# A model that peeps: it reads the test split's targets while it is built for training.
PEEPING = """
from pathlib import Path
import numpy as np
from torch import nn

def peeping(inputs, outputs):
    for path in Path(__file__).parent.glob("mlruns/studies/*/data/*/test/targets.npy"):
        np.load(path)
    return nn.Linear(inputs[0], outputs)
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the hooks of a run's processes noted."""

    looks: list[dict[str, float]]
    opened: list[dict[str, str]]

    @property
    def peeps(self) -> list[str]:
        """Who opened the test split without being allowed to."""
        return [str(each["callers"]) for each in self.opened if not each["by"]]


def watched(*arguments: str, code: int = 0, cwd: Path | None = None) -> Watched:
    """What `nnsearch ARGUMENTS` and all its processes did with the test split."""
    place = (cwd or Path()).resolve()
    hooks, log = place / "hooks", place / "audit.jsonl"
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(HOOK)
    log.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(hooks), "TEST_SPLIT_LOG": str(log)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == code, done.stderr
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return Watched(
        [each for each in lines if "look" in each], [each for each in lines if "opened" in each]
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Watched]:
    """The folder that the study ran in, and what was seen of it."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "sealed.toml").write_text(STUDY.replace("MODEL", "linear"))
    return folder, watched("run", "sealed.toml", cwd=folder)


@pytest.fixture
def copy(ran: tuple[Path, Watched], own_folder: Path) -> Path:
    """The same folder, to do with as a test likes."""
    return shutil.copytree(ran[0], own_folder / "copy")


def test_a_study_reads_test_once_at_the_end_by_the_chosen_trial(ran: tuple[Path, Watched]) -> None:
    place, seen = ran
    folder = Home(place / HOME).study("sealed")
    (look,) = seen.looks
    best = read_json(folder.result)["conclusion"]["best"]["trial"]
    assert look["look"] == best
    ended = [each.at for each in read_ledger(folder).in_order()]
    assert len(ended) == 3
    assert look["at"] > max(ended), "after the last trial"
    assert not seen.peeps
    by = {each["by"] for each in seen.opened}
    assert by == {"lay_down", "open_test"}, "the hook sees what is allowed, so it would see more"
    (read,) = reads(folder.test_reads)
    assert (read.trial, read.is_reopening) == (best, False)


@pytest.mark.parametrize("command", ["report", "export"])
def test_looking_at_a_finished_study_reads_no_test_row(copy: Path, command: str) -> None:
    seen = watched(command, "sealed", cwd=copy)
    assert not seen.looks
    assert not seen.opened


def test_another_winner_may_look_only_with_leave_and_that_is_recorded(copy: Path) -> None:
    folder = Home(copy / HOME).study("sealed")
    (first,) = reads(folder.test_reads)
    # As if the study had gone on until another trial was the best one.
    looks = read_json(folder.looks)
    other = next(number for number in range(3) if number != first.trial)
    looks[0]["trial"] = other
    folder.looks.write_text(json.dumps(looks))
    told = folder.test_reads.read_text().replace(f'"trial": {first.trial}', f'"trial": {other}')
    folder.test_reads.write_text(told)
    folder.result.unlink()
    refused = watched("run", "sealed.toml", code=2, cwd=copy)
    assert not refused.looks
    assert len(reads(folder.test_reads)) == 1
    allowed = watched("run", "sealed.toml", "--reopen-test", cwd=copy)
    assert [each["look"] for each in allowed.looks] == [first.trial]
    assert [each.is_reopening for each in reads(folder.test_reads)] == [False, True]
    assert read_json(folder.result)["conclusion"]["num_looks"] == 2


def test_a_model_that_peeps_is_seen() -> None:
    Path("parts.py").write_text(PEEPING)
    Path("sealed.toml").write_text(STUDY.replace("MODEL", "parts.py:peeping"))
    seen = watched("run", "sealed.toml", "--allow-code")
    assert len(seen.peeps) >= 3, "each trial peeped"
    assert "peeping" in seen.peeps[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "breast-cancer", "diabetes"])
def test_each_ready_study_reads_test_once(name: str, repository: Path) -> None:
    few = ["--set", "training.epochs=2", "--trials", "4"]
    seen = watched("run", str(repository / "studies" / f"{name}.toml"), *few)
    assert len(seen.looks) == 1
    assert not seen.peeps
    folder = Home(HOME).study(name)
    assert seen.looks[0]["look"] == read_json(folder.result)["conclusion"]["best"]["trial"]
    assert len(reads(folder.test_reads)) == 1
