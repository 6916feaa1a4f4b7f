"""Every bad input that is promised a clear message: what is said, the exit code, nothing made."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_data import DATA, csv, npz, rows, table
from bad_models import FIT, MISFITS
from bad_studies import RUN_ONLY, SECRET, STUDIES
from cases import SMALL, Case, messages
from finished import copied, finished
from typed import LINE, MOST_LINES, Said, contents, typed

SAID = messages()
# What each stands for in the list of promises; without a case, a promise would be none.
PROMISES = {
    *("unknown table or key", "number given as text", "trials that are no count"),
    *("bounds nan or inf", "low above high", "log with a low end of 0", "log with step"),
    *("a step that does not divide", "integers beyond 2^53", "choices"),
    *("one_of naming an absent table", "grid too large", "neither trials nor timeout"),
    *("unknown metric", "two objectives", "a study's name", "bad storage URL"),
    *("user code without --allow-code", "not UTF-8, empty, a folder, 20 MB, nested deep"),
    *("several faults at once", "path missing", "outside the folder", "device, FIFO", "archives"),
    *("broken images", "3.6-gigapixel image", "not UTF-8", "broken tables", "Parquet"),
    *("the target", "rare classes", "silent columns", "mixed types", "leaks", FIT),
}


def named(case: Case) -> str:
    return case.name


def refused(case: Case, said: Said, folder: Path) -> None:
    """Nothing but the golden lines was said, and they are lines as they should be."""
    lines = said.err.removeprefix("reading small.toml ...\n").splitlines()
    assert said.code == case.code
    assert lines == [each.replace("{folder}", str(folder)) for each in SAID[case.name]]
    assert all(LINE.fullmatch(each) for each in lines)
    assert 1 <= len(lines) <= MOST_LINES
    assert said.out == ""
    assert SECRET not in said.err
    assert "Traceback" not in said.err


def test_every_promise_has_a_case_and_every_case_its_message() -> None:
    cases = [*STUDIES, *RUN_ONLY, *DATA, *MISFITS]
    assert {each.promise for each in cases} == PROMISES
    names = [each.name for each in cases]
    assert sorted(names) == sorted(set(names)) == sorted(SAID)


@pytest.mark.parametrize("case", [*STUDIES, *DATA, *MISFITS], ids=named)
def test_check_refuses_it(case: Case, own_folder: Path) -> None:
    case.write(own_folder)
    before = contents(own_folder)
    refused(case, typed("check", *case.words), own_folder)
    assert contents(own_folder) == before


# The task is loaded, and with it torch, before its metrics are known.
EARLY = [each for each in (*STUDIES, *RUN_ONLY) if each.promise != "unknown metric"]
# The first of each promise, for a run starts processes; `slow` are the others.
FIRST = {each.promise: each for each in reversed(EARLY)}
RUNS = [
    pytest.param(each, id=each.name, marks=[] if each in FIRST.values() else pytest.mark.slow)
    for each in EARLY
]


@pytest.mark.parametrize("case", RUNS)
def test_run_refuses_it_in_the_same_words(case: Case, own_folder: Path) -> None:
    case.write(own_folder)
    before = contents(own_folder)
    refused(case, typed("run", *case.words), own_folder)
    assert contents(own_folder) == before


WITH_WORKERS = {
    *("a metric of another task", "a ragged row", "one class", "equal rows across splits"),
    *("Parquet cut short", "a misspelt path", "a --set of a foreign model"),
}


@pytest.mark.parametrize(
    "case", [each for each in (*STUDIES, *DATA, *MISFITS) if each.name in WITH_WORKERS], ids=named
)
def test_run_refuses_it_after_its_workers_have_begun(case: Case, own_folder: Path) -> None:
    case.write(own_folder)
    before = contents(own_folder)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "run", *case.words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    refused(case, Said(done.returncode, done.stdout, done.stderr), own_folder)
    assert contents(own_folder) == before


def test_a_refused_study_leaves_its_neighbours_alone(own_folder: Path) -> None:
    csv("a,b,y\n")(own_folder)
    neighbour = own_folder / "mlruns" / "studies" / "other"
    neighbour.mkdir(parents=True)
    before = contents(own_folder)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "run", "small.toml"],
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert contents(own_folder) == before


def silent() -> str:
    """Sixty rows with a column that is constant and one that is empty."""
    return table([[*row[:2], 7, "", row[2]] for row in rows()], "a,b,same,none,y")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (csv(silent()), ["column 'same' is constant: dropped", "column 'none' has no value: drop"]),
        (csv(table(rows(), ",b,y")), ["a column without a name is called 'column_1'"]),
        (
            npz(x=np.random.default_rng(0).integers(0, 9, (60, 8, 8, 3), np.uint8), y=[0, 1] * 30),
            ["the last axis holds the channels: moved to the front"],
        ),
    ],
    ids=["silent columns", "no name", "channels last"],
)
def test_what_is_done_to_the_data_is_said(
    write: Callable[[Path], object], said: list[str], own_folder: Path
) -> None:
    write(own_folder)
    told = typed("check", "small.toml")
    assert told.code == 0, told.err
    assert [each for each in said if each not in told.out] == []


def test_100_000_rows_of_which_the_last_is_bad_are_refused_in_seconds(own_folder: Path) -> None:
    drawn = np.random.default_rng(0).normal(size=(100_000, 2)).tolist()
    content = "a,b,y\n" + "".join(f"{a},{b},{'ny'[a > 0]}\n" for a, b in drawn) + "1,2\n"
    csv(content)(own_folder)
    script = "import sys, time; from nnsearch.cli import main\ntry: main()\n"
    script += "finally: print(time.process_time(), file=sys.stderr)"  # of this process alone
    done = subprocess.run(
        [sys.executable, "-c", script, "check", "small.toml"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    line, seconds = done.stderr.splitlines()
    assert done.returncode == 3
    assert line.startswith("table.csv:100002: error[E314]: 2 cells where the header has 3.")
    assert float(seconds) < 5


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trials = 4", 'direction = "maximize"\ntrials = 4', "search.direction: "),
        (
            "16, 32]",
            "16, 64]",
            "model.width: choice [4, 8, 16, 32] -> choice [4, 8, 16, 64].",
        ),
        ('source = "iris"', 'source = "wine"', 'data.source: "iris" -> "wine".'),
        (
            'source = "iris"',
            'source = "iris"\nsplit = { train = 0.5, valid = 0.3, test = 0.2 }',
            "data.split.train: 0.64 -> 0.5.",
        ),
    ],
    ids=["direction", "space", "data", "split"],
)
def test_a_study_that_has_trials_is_not_gone_on_with_as_another(
    old: str, new: str, said: str, *, whole: Path, own_folder: Path
) -> None:
    home = copied(whole, own_folder)
    for name in ("flowers.toml", "parts.py"):
        shutil.copyfile(whole / name, own_folder / name)
    study = (own_folder / "flowers.toml").read_text()
    (own_folder / "flowers.toml").write_text(study.replace(old, new))
    before = contents(home)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "run", "flowers.toml", "--allow-code"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=100,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.removeprefix("reading flowers.toml ...\n").splitlines()
    assert any(
        f"E410]: study 'flowers' has trials that do not compare: {said}" in each for each in lines
    ), lines
    assert all("Take the change back" in each for each in lines)
    after = contents(home)
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {
        "studies/flowers/driver.lock"  # holds the number of the last driver
    }


STALL = "[search]\nstall_timeout = 1"
OWN = "from nnsearch.testing.faults import sleeping, unreadable\n"


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (
            "unreadable",
            "E391",
            "the source 'parts.py:unreadable' failed: OSError: the data cannot be read.",
        ),
        ("sleeping", "E392", "the source 'parts.py:sleeping' gave nothing for 1 s; it stood at "),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_source_of_ones_own_that_fails_or_sleeps_for_ever_is_named(
    command: str, source: str, *, code: str, said: str, own_folder: Path
) -> None:
    text = SMALL.replace('"iris"', f'"parts.py:{source}"').replace("[search]", STALL)
    (own_folder / "small.toml").write_text(text)
    (own_folder / "parts.py").write_text(OWN)
    before = contents(own_folder)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "nnsearch", command, "small.toml", "--allow-code"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error[{code}]: {said}")
    assert "Traceback" not in done.stderr
    assert contents(own_folder) == before
