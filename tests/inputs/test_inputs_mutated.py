"""Damaged study files and tables, drawn at random, through `nnsearch check`.

Whatever is drawn, the study is read or refused in lines as they should be: no traceback, no hang,
no other exit code, nothing made. By default some hundred cases; all 2,000 and more are `slow`.
"""

import time
from pathlib import Path

import pytest
from bad_data import STUDY, rows, table
from cases import SMALL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typed import LINE, MOST_LINES, contents, typed

MOST_SECONDS = 20.0  # of this process alone; the slowest case takes one
CSV_STUDY = STUDY.format(
    source="csv", task="classification", options='csv = { path = "table.csv", target = "y" }'
)
TABLE = table(rows()).encode()
CODES = {0, 2, 3}

# fmt: off
PIECES = st.sampled_from([
    "[", "]", "{", "}", "=", ".", ",", '"', "'", "#", "\n", " ", "\t", "\r", "\0", "\x1b[31m", "\\",
    "inf", "-inf", "nan", "-1", "0", "1e400", "1e-400", "0.1", "3", "true", "false", "null", '""',
    "1979-05-27", "07:32:00", '"1"', "[]", "{}", "[[a]]", "[search]", "[model.mlp]", "name = 1\n",
    "{ int = [1, 3] }", "{ float = [0, 1], log = true }", "{ choice = [1, 'a', true] }", "one_of",
    '"mlp"', '"cnn"', '"parts.py:net"', '["mlp", "cnn"]', '"time"', '"group"', "transforms = []\n",
    "\ufeff", "\u2028", "é", "日本", "\U0001f600", "9" * 400, "0x" + "f" * 300, "k" * 700, '"""',
    "[a" + ".a" * 150 + "]\n", "\n[data.csv]\n", "dedupe = true", "allow_leaky = true",
])
PATHS = st.sampled_from([
    "name", "seed", "description", "data", "data.source", "data.split", "data.split.train",
    "data.split.test", "data.split.by", "data.split.column", "data.transforms", "data.allow_leaky",
    "data.csv", "data.csv.path", "data.csv.target", "data.csv.drop", "data.csv.numeric",
    "data.csv.categorical", "data.csv.missing", "data.csv.delimiter", "data.csv.decimal",
    "data.csv.dedupe", "data.csv.data_root", "data.table.scale", "data.table.max_categories",
    "task", "task.name", "model", "model.one_of", "model.name", "model.mlp", "model.mlp.width",
    "model.mlp.depth", "model.mlp.dropout", "model.mlp.activation", "model.cnn.depth",
    "model.width",
    "optimizer", "optimizer.name", "optimizer.lr", "optimizer.one_of", "schedule", "schedule.name",
    "training", "training.epochs", "training.batch_size", "training.device", "training.precision",
    "search", "search.trials", "search.timeout", "search.sampler", "search.pruner", "search.batch",
    "search.objective", "search.direction", "search.target", "search.grid", "search.tpe",
])
LITERALS = st.sampled_from([
    "1", "0", "-1", "2", "0.5", "1e-9", "1e300", "nan", "inf", "true", "text", "[]", "{}", "''",
    "[1, 'a', [2]]", "{ int = 3 }", "{ int = [1, 3] }", "{ float = [0, 1], step = 0.3 }",
    "{ choice = [1, 1] }", "{ choice = [1, 2] }", "1e400", "1979-05-27", "{ a = { b = 1 } }",
    "9007199254740992", "1000000000", "100000", "{ int = [1, 9007199254740992] }",
    "{ int = [1, 1000000], log = true }", "mlp", "cnn", "linear", "['mlp', 'cnn']", "csv", "iris",
    "digits", "npz", "grid", "qmc", "gp", "median", "hyperband", "cosine", "regression", "time",
    "group", "random", "a", "b", "y", "['a']", "['a', 'b']", "['y']", "table.csv", "../table.csv",
    "/dev/zero", ".", ";", "\\t", "\\u0000", "99" * 30, "k" * 700, "maximize", "f1_macro", "rmse",
])
CELLS = st.sampled_from([
    b",", b";", b"\t", b'"', b"'", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"nan", b"NaN", b"inf", b"-inf",
    b"1e999",
    b"1e-400", b"-0", b"0x10", b"1_000", b"1,5", b" ", b"true", b"FALSE", b"None", b"?", b"NA",
    b"y",
    b"9" * 400, b"k" * 200_000, b'""', b'","', b"=1+1", b"2024-01-31", b"\x1b[31m", b"a,b,y\n",
    b"#",
])
# fmt: on


def edits(length: int) -> st.SearchStrategy[list[tuple[int, int, str]]]:
    """Where to cut how much out of a text of this length, and what to put there."""
    return st.lists(
        st.tuples(st.integers(0, length), st.integers(0, 30), PIECES), min_size=1, max_size=4
    )


def damaged(text: str, cuts: list[tuple[int, int, str]]) -> str:
    """The text after these edits."""
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]
    return text


def survives(*words: str) -> int:
    """Check small.toml of the current folder; its exit code, where all is as it should be."""
    before, began = contents(Path()), time.process_time()
    said = typed("check", "small.toml", *words)
    assert time.process_time() - began < MOST_SECONDS
    assert said.code in CODES, said
    lines = said.err.split("\n")[:-1]
    if said.code:
        assert said.out == ""
        assert 1 <= len(lines) <= MOST_LINES
        assert all(LINE.fullmatch(each) for each in lines[: MOST_LINES - 1]), lines
        assert all(each.isprintable() and len(each) < 1200 for each in lines), lines
    else:
        assert "sound" in said.out or "allow_leaky" in said.out
        assert lines == []
    assert contents(Path()) == before
    return said.code


def study_text(base: str, cuts: list[tuple[int, int, str]]) -> None:
    Path("table.csv").write_bytes(TABLE)
    Path("small.toml").write_bytes(damaged(base, cuts).encode())
    survives()


def study_values(base: str, pairs: list[tuple[str, str]]) -> None:
    Path("table.csv").write_bytes(TABLE)
    Path("small.toml").write_text(base)
    survives(*(word for path, value in pairs for word in ("--set", f"{path}={value}")))


def table_bytes(
    cuts: list[tuple[int, int, bytes]], keep: float, pairs: list[tuple[str, str]]
) -> None:
    data = TABLE
    for start, length, piece in cuts:
        data = data[:start] + piece + data[start + length :]
    Path("table.csv").write_bytes(data[: int(len(data) * keep)])
    Path("small.toml").write_text(CSV_STUDY)
    survives(*(word for path, value in pairs for word in ("--set", f"{path}={value}")))


BASES = st.sampled_from([SMALL, CSV_STUDY])
TEXTS = (BASES, edits(len(SMALL)))
VALUES = (BASES, st.lists(st.tuples(PATHS, LITERALS), min_size=1, max_size=3))
OPTIONS = st.tuples(PATHS.filter(lambda path: path.startswith("data.")), LITERALS)
TABLES = (
    st.lists(
        st.tuples(st.integers(0, len(TABLE)), st.integers(0, 60), CELLS), min_size=1, max_size=4
    ),
    st.sampled_from([1.0, 1.0, 1.0, 0.99, 0.5, 0.02, 0.0]),
    st.lists(OPTIONS, max_size=1),
)
# A folder of its own is made for each test, not for each case: every case writes both files.
ALLOWED = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
FEW = settings(max_examples=50, suppress_health_check=ALLOWED)
MANY = settings(max_examples=700, derandomize=False, suppress_health_check=ALLOWED)
ALL_SECONDS = 1800


@FEW
@given(*TEXTS)
def test_a_damaged_study_file_is_read_or_refused(
    base: str, cuts: list[tuple[int, int, str]]
) -> None:
    study_text(base, cuts)


@FEW
@given(*VALUES)
def test_a_study_with_other_values_is_read_or_refused(
    base: str, pairs: list[tuple[str, str]]
) -> None:
    study_values(base, pairs)


@FEW
@given(*TABLES)
def test_a_damaged_table_is_read_or_refused(
    cuts: list[tuple[int, int, bytes]], keep: float, pairs: list[tuple[str, str]]
) -> None:
    table_bytes(cuts, keep, pairs)


@pytest.mark.slow
@pytest.mark.timeout(ALL_SECONDS)
@MANY
@given(*TEXTS)
def test_700_damaged_study_files(base: str, cuts: list[tuple[int, int, str]]) -> None:
    study_text(base, cuts)


@pytest.mark.slow
@pytest.mark.timeout(ALL_SECONDS)
@MANY
@given(*VALUES)
def test_700_studies_with_other_values(base: str, pairs: list[tuple[str, str]]) -> None:
    study_values(base, pairs)


@pytest.mark.slow
@pytest.mark.timeout(ALL_SECONDS)
@MANY
@given(*TABLES)
def test_700_damaged_tables(
    cuts: list[tuple[int, int, bytes]], keep: float, pairs: list[tuple[str, str]]
) -> None:
    table_bytes(cuts, keep, pairs)
