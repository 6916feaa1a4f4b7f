"""Study files, good and above all bad: what a person is told, word for word."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.errors import StudyError
from nnsearch.study.complaints import CODES
from nnsearch.study.load import load_study
from nnsearch.study.spec import Choice, FloatRange, IntRange, Study

GOLDEN = Path(__file__).parent / "golden" / "study"
STUDY = (GOLDEN / "small.toml").read_text(encoding="utf-8")


def bad_studies() -> Iterator[tuple[str, str, list[str]]]:
    """Each entry of bad.txt: what stands in small.toml, what takes its place, what is said."""
    for entry in (GOLDEN / "bad.txt").read_text(encoding="utf-8").split("\n\n")[1:]:
        lines = [(line[:1], line[2:]) for line in entry.strip("\n").split("\n")]
        old, new, said = ([text for mark, text in lines if mark == wanted] for wanted in "-+>")
        yield "\n".join(old), "\n".join(new), said


BAD = list(bad_studies())


def load(text: str | bytes, *overrides: str, allow_code: bool = True) -> Study:
    """Load `text` as study.toml of the current folder, beside parts.py."""
    shutil.copyfile(GOLDEN / "parts.py", "parts.py")
    content = text.encode() if isinstance(text, str) else text
    Path("study.toml").write_bytes(content)
    return load_study(Path("study.toml"), overrides=overrides, allow_code=allow_code)


def problems(text: str | bytes, *overrides: str, allow_code: bool = True) -> Sequence[str]:
    with pytest.raises(StudyError) as caught:
        load(text, *overrides, allow_code=allow_code)
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert STUDY.count(old) == 1, old
    return STUDY.replace(old, new)


def test_a_good_study_is_read_whole() -> None:
    study = load(STUDY)
    assert (study.name, study.seed, study.root) == ("small", 7, Path())
    assert study.source.options == {"path": "a.csv"}
    assert study.ranges() == {
        "model.name": Choice(("parts.py:mlp", "parts.py:cnn")),
        "model.parts.py:mlp.width": Choice((32, 64)),
        "model.parts.py:mlp.depth": IntRange(1, 3),
        "model.parts.py:mlp.dropout": FloatRange(0.0, 0.5),
        "model.parts.py:cnn.channels": IntRange(8, 32, log=True),
        "optimizer.name": Choice(("parts.py:adam", "parts.py:sgd")),
        "optimizer.lr": FloatRange(1e-4, 1e-1, log=True),
    }
    assert study.optimizer.alternatives["parts.py:adam"]["beta"] == 0.9
    assert study.model.alternatives["parts.py:cnn"]["kernels"] == (3, 3)
    assert study.schedule.alternatives == {"parts.py:constant": {}}
    assert (study.search.sampler.name, study.search.pruner.name) == ("random", "none")
    assert (study.search.trials, study.search.batch) == (4, 8)
    assert study.transforms == ()


@pytest.mark.parametrize(("old", "new", "said"), BAD, ids=[said[0][:40] for *_, said in BAD])
def test_what_is_wrong_is_said(own_folder: Path, old: str, new: str, said: list[str]) -> None:
    lines = [f"study.toml:{line}".replace(":error", ": error") for line in said]
    root = str(own_folder.resolve())
    assert problems(changed(old, new)) == [line.replace("{root}", root) for line in lines]


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    text = changed("trials = 4", "trials = 0").replace("width", "widht").replace("seed", "sead")
    assert [line.partition(": ")[0] for line in problems(text, "training.epochs=0")] == [
        "study.toml:2",
        "study.toml:15",
        "study.toml:32",
        "--set training.epochs",
    ]


def test_at_most_twenty_are_printed() -> None:
    with pytest.raises(StudyError) as caught:
        load(STUDY + "".join(f"wrong_{index} = 1\n" for index in range(25)))
    assert str(caught.value).endswith("\n... and 5 more")


def test_code_of_the_users_does_not_run_unasked() -> None:
    Path("code.py").write_text("raise SystemExit", encoding="utf-8")
    said = problems(STUDY.replace("parts.py:", "code.py:"), allow_code=False)
    assert {line.partition("error")[2][:6] for line in said} == {"[E106]"}
    assert len(said) == 7


def test_an_option_of_the_users_without_a_type_is_a_problem() -> None:
    Path("untyped.py").write_text("def untyped(targets, *, width=3): ...", encoding="utf-8")
    assert problems(changed('"parts.py:task"', '"untyped.py:untyped"')) == [
        "study.toml:9: error[E107]: 'untyped.py:untyped' cannot be loaded: KeyError: 'width'."
    ]


def test_a_file_of_the_users_that_fails_is_a_problem() -> None:
    Path("broken.py").write_text("import there_is_no_such_module", encoding="utf-8")
    assert problems(changed('"parts.py:task"', '"broken.py:task"')) == [
        (
            "study.toml:9: error[E107]: 'broken.py:task' cannot be loaded: ModuleNotFoundError: "
            "No module named 'there_is_no_such_module'."
        )
    ]


FILES = [
    (b"", " error[E005]: the file is empty. Try nnsearch new."),
    (b" \n\n", " error[E005]: the file is empty. Try nnsearch new."),
    (b"a = 1\nb = '\xff'", "2: error[E004]: byte 12 is not UTF-8. Save it as UTF-8."),
    (b"a = 1\nb =\n", "2: error[E006]: not TOML: Invalid value."),
    (b"a = 1\na = 2\n", "2: error[E006]: not TOML: Cannot overwrite a value."),
    (b"a = 1\nb = [1\n", "2: error[E006]: not TOML: Unclosed array."),
    (b"a = " + b"9" * 5000, " error[E006]: not TOML: an integer has thousands of digits."),
    (b"a = " + b"[" * 5000, " error[E007]: tables or arrays are nested more than 8 deep."),
    (
        b"[" + b".".join([b"a"] * 5000) + b"]",
        ("1: error[E007]: tables or arrays are nested more than 8 deep."),
    ),
    (b"a = " + b"[" * 9 + b"]" * 9, " error[E007]: tables or arrays are nested more than 8 deep."),
    (
        b"#" * 1_000_001,
        (
            " error[E003]: the file is larger than 1000000 bytes. "
            "A study file is a page or two of text."
        ),
    ),
]


@pytest.mark.parametrize(("content", "said"), FILES, ids=[said[:30] for _, said in FILES])
def test_what_is_no_study_file(content: bytes, said: str) -> None:
    assert problems(content) == [f"study.toml:{said}"]


def test_rows_that_time_divides_cannot_be_divided_anew() -> None:
    by_time = changed("test = 0.2 }", 'test = 0.2, by = "time" }')
    text = by_time.replace("trials = 4", "trials = 4\nfolds = 3\n[confirmation]\nresample = true")
    anew = "rows that are split by time cannot be divided anew."
    hint = "Take it out: fresh seeds remain."
    assert problems(text) == [
        f"study.toml:33: error[E418]: [search] folds: {anew} Leave it out.",
        f"study.toml:35: error[E416]: [confirmation] resample: {anew} {hint}",
    ]


def test_every_code_has_a_test() -> None:
    # the rest: no plain file, unreadable, --set, grid too large, no such metric, no fit, weights
    elsewhere = {
        "E416",
        "E418",
        "E001",
        "E002",
        "E008",
        "E009",
        "E106",
        "E312",
        "E408",
        "E420",
        "E501",
    }
    said = " ".join([line for *_, lines in BAD for line in lines] + [line for _, line in FILES])
    assert {code for code in CODES if f"[{code}]" in said} | elsewhere == set(CODES)


def test_a_folder_a_device_and_nothing() -> None:
    Path("folder.toml").mkdir()
    Path("digits.toml").touch()
    os.mkfifo("a-pipe")
    for name, said in (
        ("folder.toml", "error[E002]: this is a folder, not a study file. Name a .toml file."),
        ("a-pipe", "error[E002]: this is no plain file. Name a .toml file."),
        ("digit.toml", "error[E001]: there is no such file. Did you mean digits.toml?"),
        ("no/x.toml", "error[E001]: there is no such file. There is no folder no either."),
        ("a" * 300, "error[E008]: this cannot be read: File name too long."),
    ):
        with pytest.raises(StudyError) as caught:
            load_study(Path(name))
        assert str(caught.value) == f"{name}: {said}"


def test_a_mark_of_byte_order_and_lines_of_windows_are_read() -> None:
    text = "\ufeff" + STUDY.replace("\n", "\r\n")
    assert load(text).ranges() == load(STUDY).ranges()
    assert problems(text.replace("trials = 4", "trials = 0"))[0].startswith("study.toml:32: ")


def test_the_name_is_the_files_by_default() -> None:
    assert load(changed('name = "small"', "")).name == "study"
    Path("a b.toml").write_text(changed('name = "small"', ""), encoding="utf-8")
    with pytest.raises(StudyError, match="Give name at the top of the file"):
        load_study(Path("a b.toml"), allow_code=True)


def test_a_grid_has_a_largest_size() -> None:
    finite = changed('"random"', '"grid"').replace("[0.0, 0.5]", "[0.0, 0.5], step = 0.1")
    finite = finite.replace("[1e-4, 1e-1], log = true", "[0.1, 0.5], step = 0.1")
    assert load(finite).search.sampler.name == "grid"  # (6 * 2 * 3 + 25) * (5 + 5) points
    large = finite.replace("[1, 3]", "[1, 900]")
    said = "the grid has 108250 points, more than 100000. Search fewer values, or take another"
    assert problems(large) == [f"study.toml:31: error[E312]: {said} sampler."]


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("90", 90.0), ("0.5", 0.5), ("'90s'", 90.0), ("'10m'", 600.0), ("'1.5h'", 5400.0)],
)
def test_times(timeout: str, seconds: float) -> None:
    search = load(changed("trials = 4", f"timeout = {timeout}")).search
    assert (search.timeout, search.trials) == (seconds, None)


def test_a_table_of_a_known_source_chooses_it() -> None:
    text = changed('source = "parts.py:source"', "[data.npz]\npath = 'a.npz'\n[data]")
    study = load(text.replace("[data]\n[data.npz]", "[data.npz]"))
    assert study.source.name == "npz"
    assert study.source.options["path"] == "a.npz"


def test_a_table_of_a_transform_chooses_it_and_may_be_searched() -> None:
    listed = load(
        changed("\n[task]", 'transforms = ["parts.py:table"]\n[task]'),
        'data."parts.py:table".scale={ choice = ["standard", "none"] }',
    )
    assert listed.ranges()["data.parts.py:table.scale"] == Choice(("standard", "none"))
    assert [space.path for space in listed.transforms] == ["data.parts.py:table"]
    table = load(changed("\n[task]", "[data.table]\n[task]"))
    assert [space.path for space in table.transforms] == ["data.table"]


def test_components_in_short() -> None:
    short = changed('[task]\nname = "parts.py:task"\n', "").replace(
        "seed = 7", 'seed = 7\ntask = "parts.py:task"'
    )
    assert load(short).task == load(STUDY).task
    assert load(short, "task.smoothing=0.1").task.alternatives == {
        "parts.py:task": {"smoothing": 0.1}
    }


def test_overrides_take_the_place_of_what_the_file_says() -> None:
    study = load(
        STUDY,
        "optimizer.lr=0.01",
        "search.timeout=10m",
        "name=other",
        'model."parts.py:mlp".width={ choice = [1, 2] }',
    )
    assert study.optimizer.alternatives["parts.py:adam"]["lr"] == 0.01
    assert study.search.timeout == 600.0
    assert study.name == "other"
    assert study.ranges()["model.parts.py:mlp.width"] == Choice((1, 2))


def test_an_override_narrows_a_branch() -> None:
    one = load(STUDY, "model.name=parts.py:mlp")
    assert list(one.model.alternatives) == ["parts.py:mlp"]
    assert "model.width" in one.ranges()
    same = load(STUDY, 'model.one_of=["parts.py:mlp"]')
    assert same.model == one.model
    assert load(STUDY, 'optimizer.one_of=["parts.py:sgd", "parts.py:adam"]').optimizer.shared


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.lr=0", "lr: error[E201]: lr in [optimizer] = 0: must be greater than 0."),
        (
            "optimizer.lr",
            (
                "lr: error[E009]: 'optimizer.lr' is no path and value. "
                "Write --set optimizer.lr=0.01."
            ),
        ),
        ("optimizer.lr=[1", "lr: error[E009]: '[1' is not TOML: Unclosed array."),
        (
            "optimizer.lrr=1",
            ("lrr: error[E101]: unknown option 'lrr' in [optimizer]. Did you mean 'lr'?"),
        ),
    ],
)
def test_a_wrong_override_is_named(override: str, said: str) -> None:
    assert problems(STUDY, override) == [f"--set optimizer.{said}"]


# fmt: off
PIECES = st.sampled_from([
    "[", "]", "{", "}", "=", ".", ",", '"', "'", "#", "\n", " ", "inf", "nan", "-1", "1e400",
    "true", "1979-05-27", '"1"', "[[a]]", "name", "one_of", "split", "choice", "{ int = [1, 2] }",
    '"parts.py:mlp"', "parts.py:source", '["parts.py:mlp"]', "\ufeff", "\u2028", "\x1b[31m",
    "\0", r'"\n"', "'''", '"""', "0x" + "f" * 300, "k" * 700,
])
PATHS = st.sampled_from([
    "name", "seed", "data", "data.source", "data.split", "data.split.train", "data.transforms",
    "data.table.scale", "task", "task.name", "model", "model.one_of", "model.name",
    "model.'parts.py:mlp'", "model.'parts.py:mlp'.width", "training", "optimizer.lr",
    "optimizer.one_of", "schedule", "search", "search.trials", "search.sampler", "search.pruner",
    "search.random",
])
LITERALS = st.sampled_from([
    "1", "-1", "0.5", "nan", "inf", "true", "text", "[]", "{}", "[1, 'a', [2]]", "{ int = 3 }",
    "{ int = [1, 3] }", "{ float = [0, 1], step = 0.3 }", "{ choice = [1, 1] }", "1e400", "''",
    "['parts.py:mlp']", "parts.py:source", "grid", "1979-05-27", "{ a = { b = 1 } }",
    r'{ "\n" = "\u001b" }', "99" * 30, "k" * 700,
])
# fmt: on
EDITS = st.lists(
    st.tuples(st.integers(0, len(STUDY)), st.integers(0, 12), PIECES), min_size=1, max_size=4
)


def told(text: str, *overrides: str) -> bool:
    """Load a study; it is read, or a StudyError with places and known codes is raised."""
    try:
        load(text, *overrides)
    except StudyError as error:
        found, lines = error.problems, str(error).split("\n")
    else:
        return True
    assert found
    assert all(each.code in CODES and each.where for each in found)
    assert len(lines) == min(len(found), 21)
    assert all(len(line) < 1000 and line.isprintable() for line in lines)
    return False


@given(EDITS)
def test_no_damage_to_the_text_ends_in_a_traceback(edits: list[tuple[int, int, str]]) -> None:
    text = STUDY
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    told(text)


@given(st.lists(st.tuples(PATHS, LITERALS), min_size=1, max_size=3))
def test_no_value_anywhere_ends_in_a_traceback(pairs: list[tuple[str, str]]) -> None:
    told(STUDY, *(f"{path}={value}" for path, value in pairs))


def test_the_study_itself_is_told_to_be_right() -> None:
    assert told(STUDY)
    assert tomllib.loads(STUDY)


def test_reading_a_study_imports_no_heavy_library() -> None:
    heavy = {"torch", "optuna", "mlflow", "numpy", "pandas", "sklearn"}
    script = "import sys, nnsearch.study.load; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert heavy.isdisjoint(modules.stdout.split())


@pytest.mark.parametrize(
    ("overrides", "batch", "alike"),
    [
        ((), 8, 4),
        (("search.target=0.9",), 4, 2),
        (("search.target=0.9", "search.batch=16"), 16, 2),
        (("search.alike=1",), 8, 1),
    ],
)
def test_a_search_for_a_target_asks_for_fewer_trials_at_a_time(
    overrides: Sequence[str], batch: int, alike: int
) -> None:
    search = load(STUDY, *overrides).search
    assert (search.batch, search.alike) == (batch, alike)
