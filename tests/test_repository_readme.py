"""README does what it says: its commands are typed, its Python is run, its links are there."""

import csv
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from finished import call

from nnsearch import components, errors, load_predictor, terminal
from nnsearch.testing import (
    check_model,
    check_optimizer,
    check_source,
    check_study,
    check_task,
)

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"(?:^ {4}\S.*\n(?:\n*^ {4}.*\n)*)", README, re.MULTILINE)
]
PROGRAMS = ("nnsearch ", "make ", "source .venv", "python ")
SPANS = re.findall(r"`((?:nnsearch|make|python) [^`]+)`", README)
# What is typed here is what README says, but for these, which take too long for a test.
SHORTER = {
    "--trials 60": "--trials 3",
    "trials = 40": "trials = 2",
    "trials = 10": "trials = 2",
    "epochs = 20": "epochs = 4",
    "epochs = 60": "epochs = 4",
}
# Typed elsewhere: a server that runs until Ctrl-C, by test_commands_ui; the others need a shell.
NOT_TYPED = {"nnsearch ui", "source .venv/bin/activate"}


def shortened(text: str) -> str:
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


def commands() -> list[str]:
    """The command lines of README's blocks in their order, comments cut off."""
    lines = [line.partition("  #")[0].rstrip() for block in BLOCKS for line in block.splitlines()]
    return [line for line in lines if line.startswith(PROGRAMS)]


def lines_with(*words: str) -> list[str]:
    return [line for line in commands() if all(word in line for word in words)]


DIGITS = [
    *lines_with("nnsearch", "digits"),
    *("nnsearch check digits", "nnsearch components models", "nnsearch components mlp"),
    "nnsearch components",
    *(f"nnsearch {each}" for each in ("list", "doctor", "sync", "gc")),
]
TABLE = lines_with("nnsearch", "data")
OWN = lines_with("nnsearch", "calls.toml")
PARTS = {
    "sources": "log",
    "models": "waves",
    "tasks": "counts",
    "optimizers": "signs",
    "objectives": "counts_by_hits",
}


def typed(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints; it has to succeed."""
    program, *words = shlex.split(shortened(line))
    assert program == "nnsearch"
    code = call(words, monkeypatch)
    told = capsys.readouterr()
    assert code == 0, (line, told.err)
    return told.out


def test_every_command_of_the_readme_is_typed_by_a_test() -> None:
    ours = [line for line in [*commands(), *SPANS] if line.startswith(("nnsearch ", "source "))]
    concrete = {line for line in ours if not re.search(r"[A-Z\[]", line)}  # without STUDY and such
    assert len(lines_with("nnsearch", "digits")) >= 3
    assert len(TABLE) == 4
    assert concrete == {*DIGITS, *TABLE, *OWN} | NOT_TYPED


@pytest.mark.timeout(300)  # several runs, each with workers that have to start
def test_the_walk_through_digits(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_folder / "studies").mkdir()
    study = (ROOT / "studies" / "digits.toml").read_text()
    (own_folder / "studies" / "digits.toml").write_text(shortened(study))
    first = typed("nnsearch run digits", monkeypatch, capsys)  # what `make run` does
    for promised in ("best trial", "linear baseline", "test split", "95 % interval", "exported"):
        assert promised in first

    (snippet,) = [block for block in BLOCKS if "from nnsearch import" in block]
    names: dict[str, object] = {}
    exec(compile(snippet, "README.md", "exec"), names)  # noqa: S102 - it is what README tells to run
    assert getattr(names["probabilities"], "shape", ())[1:] == (10,)
    capsys.readouterr()

    said = {line: typed(line, monkeypatch, capsys) for line in DIGITS}
    assert "nothing was trained" in said["nnsearch run digits"]
    assert "all 3 trials are done" in said["nnsearch run digits --trials 60 --reopen-test"]
    assert "7 parameters" in said["nnsearch check digits"]
    assert "dropout" in said["nnsearch components models"]
    assert "dropout" in said["nnsearch components mlp"]


@pytest.mark.timeout(300)  # several runs, each with workers that have to start
def test_the_walk_through_a_table(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(0)
    rows = [(draw.randint(1, 6), draw.gauss(50, 20), draw.choice("abc")) for _ in range(120)]
    with Path("data.csv").open("w", newline="") as file:
        known = [(*row, 9.5 * row[0] + row[1]) for row in rows]
        csv.writer(file).writerows([("rooms", "area", "city", "price"), *known])
    with Path("new-rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("rooms", "area", "city"), *rows[:4]])

    new, *others = TABLE
    typed(new, monkeypatch, capsys)
    written = Path("data.toml").read_text()
    assert "trials = 40" in written
    Path("data.toml").write_text(shortened(written))
    said: dict[str, str] = {}
    for line in others:
        said[line] = typed(line, monkeypatch, capsys)
    answers = said["nnsearch predict data new-rows.csv"]
    assert answers.startswith("prediction\n")
    assert answers.count("\n") == 5

    (export,) = own_folder.glob("mlruns/studies/data/exports/*")
    assert str(export) in said["nnsearch export data --to onnx"]
    shutil.copy("new-rows.csv", export)
    for span in SPANS:
        if span.startswith("python "):
            alone = subprocess.run(
                [sys.executable, "-I", *span.split()[1:]],
                cwd=export,
                capture_output=True,
                text=True,
                check=True,
            )
            assert alone.stdout == answers


def parts_of_ones_own() -> str:
    """README's Python of a user's own file, each part of which has at most ten lines."""
    blocks = [next(block for block in BLOCKS if f"def {name}(" in block) for name in PARTS.values()]
    assert len({*blocks}) == len(PARTS)
    lines = [[line for line in block.splitlines() if line.strip()] for block in blocks]
    assert max(map(len, lines)) <= 10
    return "\n\n".join(blocks)


def study_of_parts() -> tuple[str, str]:
    """README's study that names them, and the command that runs it."""
    (block,) = [block for block in BLOCKS if 'source = "calls.py:log"' in block]
    study, _, command = block.partition("\n\n")
    return study + "\n", command.strip()


def test_parts_of_ones_own_are_sound(own_folder: Path) -> None:
    Path("calls.py").write_text(parts_of_ones_own())
    made = {
        kind: components.load(kind, f"calls.py:{name}", root=own_folder, allow_code=True)
        for kind, name in PARTS.items()
    }
    examples = made["sources"](own_folder)
    check_source(made["sources"], own_folder)
    check_model(made["models"], examples.signature.shape, 1, options={"width": 8})
    check_optimizer(made["optimizers"])
    for kind in ("tasks", "objectives"):
        check_task(made[kind], examples.targets[:40])
    assert next(iter(made["objectives"](examples.targets).directions)) == "hits"
    Path("calls.toml").write_text(study_of_parts()[0])
    check_study(Path("calls.toml"), allow_code=True)


@pytest.mark.timeout(300)  # a whole run, with workers that have to start
def test_parts_of_ones_own_are_searched_and_exported(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("calls.py").write_text(parts_of_ones_own())
    study, command = study_of_parts()
    Path("calls.toml").write_text(shortened(study))
    assert [command] == OWN
    said = typed(command, monkeypatch, capsys)
    assert "valid/hits" in said
    (export,) = own_folder.glob("mlruns/studies/calls/exports/*")
    busy, quiet = load_predictor(export).predict_table([{"hour": 6.0}, {"hour": 19.0}])
    assert busy["prediction"] > quiet["prediction"] > 0


def test_make_has_what_the_readme_names() -> None:
    targets = {span.split()[1] for span in [*commands(), *SPANS] if span.startswith("make ")}
    assert targets >= {"run", "test", "check"}
    above = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")  # `make test` runs these tests
    environ = {name: value for name, value in os.environ.items() if name not in above}
    for target in sorted(targets):
        done = subprocess.run(
            ["make", "--no-print-directory", "-n", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=environ,
            check=True,
        )
        last = done.stdout.strip().splitlines()[-1]
        assert last.startswith((".venv/bin/nnsearch run digits", ".venv/bin/pytest")), last


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_tells_every_exit_code() -> None:
    told = re.findall(r"\b(\d+) [a-zC]", README.partition("Exit codes: ")[2].partition(".\n")[0])
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.NnsearchError)}
    ours = {0, terminal.CTRL_C, terminal.TERMINATED} | codes - {errors.NnsearchError.exit_code}
    assert {*map(int, told)} == ours
