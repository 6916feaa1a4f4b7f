"""The command line: what it says, what it loads, and how it ends."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from statistics import median

import pytest
from finished import STUDY, call, copied, finished

from nnsearch import __version__

COMMANDS = (
    *("run", "check", "list", "show", "compare", "export", "predict", "ui"),
    *("components", "new", "report", "extend", "doctor", "sync", "gc"),
)
HEAVY = ("torch", "optuna", "mlflow", "numpy", "pandas", "sklearn", "pydantic", "rich")
QUICK = (("--help",), ("--version",), ("check", "--help"), ("run", "--help"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def test_help_and_version_load_nothing_heavy() -> None:
    code = f"""
        import sys
        from nnsearch.cli import app
        for words in [["--version"], ["--help"], *([each, "--help"] for each in {COMMANDS!r})]:
            try:
                app(words)
            except SystemExit as ended:
                assert ended.code == 0, words
            loaded = set({HEAVY!r}) & set(sys.modules)
            assert not loaded, (words, loaded)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Show this message and exit.") == len(COMMANDS) + 1


def test_run_says_what_it_reads_before_anything_heavy_is_loaded(own_folder: Path) -> None:
    (own_folder / "empty.toml").write_text("")
    code = f"""
        import io, sys
        class Watched(io.StringIO):
            loaded = None
            def write(self, text):
                if self.loaded is None:
                    self.loaded = (set({HEAVY!r}) - {{"pydantic"}}) & set(sys.modules)
                return super().write(text)
        sys.stderr, sys.argv = Watched(), ["nnsearch", "run", "empty.toml"]
        from nnsearch.cli import main
        try:
            main()
        except SystemExit as ended:
            assert ended.code == 2, ended.code
        print(sys.stderr.getvalue().splitlines()[0], sys.stderr.loaded)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "reading empty.toml ... set()\n", done.stderr


def test_help_names_every_command_in_whole_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert call(["--help"], monkeypatch) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == list(COMMANDS)
    assert "..." not in listed


def test_every_command_stands_in_the_readme(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert [each for each in COMMANDS if f"`nnsearch {each}" not in text] == []


def test_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(["--version"], monkeypatch) == 0
    assert capsys.readouterr().out == f"nnsearch {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shwo", "x"], "Did you mean 'show'?"),
        (["run", "digits", "--trials", "0"], "--trials"),
        (["run", "digits", "--workers", "-1"], "--workers"),
        (["run", "digits", "--timeout", "0"], "--timeout"),
        (["run", "nowhere"], "no study file 'nowhere'"),
        (["show", "nowhere"], "no study 'nowhere' has run in mlruns"),
        (["list", "--jsn"], "--json"),
    ],
)
def test_a_wrong_command_exits_2_with_one_hint_and_makes_nothing(
    words: list[str],
    said: str,
    *,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert call(words, monkeypatch) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert list(own_folder.iterdir()) == []


def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNSEARCH_DEBUG", "")  # set by --debug, and undone by the fixture
    assert call(["--debug", "show", "nowhere"], monkeypatch) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["check", "flowers.toml", "--allow-code"],
        ["list"],
        ["show", "flowers"],
        ["show", "flowers", "--trial", "1"],
        ["predict", "flowers", "sample.csv"],
        ["predict", "flowers", "sample.csv", "--out", "answers.csv"],
        ["components", "optimizers"],
        ["components", "--schema"],
        ["new", "table.csv", "--target", "y", "--out", "new.toml"],
        ["doctor", "--strict"],
        ["export", "flowers"],
        ["run", "flowers.toml", "--allow-code"],
    ],
    ids=" ".join,
)
def test_json_is_one_document_on_standard_output(
    words: list[str],
    *,
    whole: Path,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = copied(whole, own_folder)
    for name in ("flowers.toml", "parts.py"):
        (own_folder / name).write_bytes((whole / name).read_bytes())
    (sample,) = home.glob("studies/flowers/exports/*/sample.csv")
    (own_folder / "sample.csv").write_bytes(sample.read_bytes())
    rows = [f"{i % 7},{i % 5},{'no' if i % 7 < 3 else 'yes'}" for i in range(0, 3000, 29)]
    (own_folder / "table.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    assert call([*words, "--json"], monkeypatch) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_a_study_with_mistakes_exits_2_and_a_broken_row_3(
    own_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = STUDY.replace("epochs", "epoch").replace('"iris"', '"irs"').replace("= 4\n", '= "4"\n')
    wrong = wrong.replace("16, 32]", "16, 16]").replace('"grid"', '"gird"')
    (own_folder / "wrong.toml").write_text(wrong)
    for command in ("check", "run"):
        assert call([command, "wrong.toml", "--allow-code"], monkeypatch) == 2
        told = capsys.readouterr()
        assert told.out == ""
        problems = told.err.removeprefix("reading wrong.toml ...\n").splitlines()
        assert [line[: len("wrong.toml:")] for line in problems] == ["wrong.toml:"] * 5
    (own_folder / "rows.csv").write_text("a,b,y\n" + "1,2,no\n" * 7 + "1,2,3,no\n" + "2,3,yes\n")
    data = 'source = "csv"\ncsv = { path = "rows.csv", target = "y" }'
    (own_folder / "rows.toml").write_text(
        STUDY.replace('source = "iris"', data).replace("parts.py:fragile", "mlp")
    )
    before = sorted(own_folder.iterdir())
    assert call(["check", "rows.toml"], monkeypatch) == 3
    assert "rows.csv:9" in capsys.readouterr().err
    assert sorted(own_folder.iterdir()) == before


def test_a_damaged_export_exits_6(
    whole: Path,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = copied(whole, own_folder)
    (model,) = home.glob("studies/flowers/exports/*/model.onnx")
    model.write_bytes(model.read_bytes() + b"\0")
    assert call(["predict", "flowers", model.with_name("sample.csv")], monkeypatch) == 6
    assert "model.onnx was changed" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error(whole: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "nnsearch", "list", "--mlruns", whole / "mlruns"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.bench
def test_help_takes_at_most_twice_an_empty_program(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text(
        "import typer\n"
        "app = typer.Typer(rich_markup_mode=None, add_completion=False)\n"
        "@app.callback()\n"
        "def main() -> None: ...\n"
        "@app.command()\n"
        "def run() -> None: ...\n"
        "app()\n"
    )
    ours = {" ".join(words): ["-m", "nnsearch", *words] for words in QUICK}
    commands = {"empty": [str(empty), "--help"], **ours}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(15):
        for name, words in commands.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, *words], capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - begun)
    ratios = {name: median(seconds[name]) / median(seconds["empty"]) for name in ours}
    for name, ratio in ratios.items():
        print(f"nnsearch {name} / an empty Typer program: {ratio:.2f}")  # noqa: T201 - for `make bench`
    assert max(ratios.values()) <= 2
