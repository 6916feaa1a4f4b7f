"""CSV and Parquet: what comes out, and one clear line for everything that is wrong."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnsearch.data.tables import csv, parquet
from nnsearch.errors import DataError
from nnsearch.signature import Column


def problems_of(folder: Path, content: str | bytes, **options: Any) -> list[str]:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "x.csv").write_bytes(data)
    with pytest.raises(DataError) as caught:
        csv(folder, **{"path": "x.csv", "target": "y", **options})
    return [str(problem) for problem in caught.value.problems]


def test_cells_become_numbers_and_category_indices(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n,c,y\n1.5,red,no\n,blue,yes\n-2e3,,no\n")
    examples = csv(tmp_path, path="x.csv", target="y")
    assert examples.signature.columns == (
        Column("n"),
        Column("c", "categorical", ("blue", "red")),
    )
    expected = [[1.5, 1.0], [np.nan, 0.0], [-2000.0, np.nan]]
    np.testing.assert_array_equal(examples.inputs, expected)
    assert examples.inputs.dtype == np.float64
    assert examples.targets.tolist() == ["no", "yes", "no"]
    assert (examples.signature.target, examples.signature.shape) == ("y", (2,))


def test_numbers_are_read_to_the_last_bit(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=200) * 1e-7
    text = "".join(f"{number!r},{place % 2}\n" for place, number in enumerate(numbers.tolist()))
    (tmp_path / "x.csv").write_text("n,y\n" + text)
    examples = csv(tmp_path, path="x.csv", target="y")
    np.testing.assert_array_equal(examples.inputs[:, 0], numbers)


def test_truth_values_keep_their_spelling(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("b,n,y\ntrue,1,TRUE\nfalse,2,FALSE\n,3,TRUE\n")
    examples = csv(tmp_path, path="x.csv", target="y")
    assert examples.signature.columns[0].categories == ("false", "true")
    assert examples.targets.tolist() == ["TRUE", "FALSE", "TRUE"]


def test_byte_order_mark_quotes_and_blank_lines(tmp_path: Path) -> None:
    content = '\ufeffa,b,y\r\n"1",x,0\r\n\r\n2,"two, ""2""\nlines",1\r\n'
    (tmp_path / "x.csv").write_bytes(content.encode())
    examples = csv(tmp_path, path="x.csv", target="y")
    assert examples.signature.columns[0] == Column("a")
    assert examples.signature.columns[1].categories == ('two, "2"\nlines', "x")
    assert examples.targets.tolist() == [0, 1]


def test_a_cell_may_be_a_long_text(tmp_path: Path) -> None:
    limit = 131_072  # what Python's reader takes by itself
    (tmp_path / "x.csv").write_text(f"n,y\n{'a' * (limit + 1)},0\nb,1\n")
    (column,) = csv(tmp_path, path="x.csv", target="y").signature.columns
    assert [len(each) for each in column.categories] == [limit + 1, 1]
    (problem,) = problems_of(tmp_path, 'n,y\nb,0\n"a,1\n' + "b,1\n" * limit)
    assert problem.startswith("x.csv:3: error[E313]: a quote is opened here and never closed.")


def test_overrides_drop_and_missing_words(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("zip,size,id,y\n01234,1,a,0\n99999,unknown,b,1\n01234,3,c,1\n")
    options: dict[str, Any] = {"categorical": ("zip",), "missing": ("unknown",), "drop": ("id",)}
    examples = csv(tmp_path, path="x.csv", target="y", **options)
    assert examples.signature.columns == (
        Column("zip", "categorical", ("01234", "99999")),
        Column("size"),
    )
    assert np.isnan(examples.inputs[1, 1])


def test_semicolons_and_decimal_commas_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a;y\n1,5;0\n2,5;1\n")
    examples = csv(tmp_path, path="x.csv", target="y", delimiter=";", decimal=",")
    assert examples.inputs[:, 0].tolist() == [1.5, 2.5]


def test_a_point_is_no_decimal_sign_where_a_comma_is(tmp_path: Path) -> None:
    options = {"delimiter": ";", "decimal": ","}
    (problem,) = problems_of(tmp_path, "a;y\n999;0\n1.234;1\n0,5;1\n", **options)
    assert problem.startswith("x.csv:3: error[E318]: column 'a' holds numbers, but '1.234' here")
    (problem,) = problems_of(tmp_path, "a;y\n1.234;0\n1.5;1\n", **options)
    assert "decimal points (1.234). Did you mean decimal = '.'?" in problem


def test_silent_columns_are_dropped_and_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,same,none,,y\n1,7,,4,0\n2,7,NA,5,1\n")
    examples = csv(tmp_path, path="x.csv", target="y")
    assert [column.name for column in examples.signature.columns] == ["a", "column_4"]
    assert "column 'same' is constant: dropped" in examples.notes
    assert "column 'none' has no value: dropped" in examples.notes
    assert any("column_4" in note for note in examples.notes)


def test_dedupe_drops_equal_rows_only(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,y\n1,,0\n2,1,1\n1,,0\n1,,1\n")
    examples = csv(tmp_path, path="x.csv", target="y", dedupe=True)
    assert examples.inputs[:, 0].tolist() == [1, 2, 1]
    assert examples.targets.tolist() == [0, 1, 1]
    assert examples.notes == ("1 rows are equal to another row: dropped, as dedupe asks",)


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        ("a,y\n1,0\n2,1,9\n", "x.csv:3", "3 cells where the header has 2"),
        ("a,b,y\n1,2,0\n\n2,1\n", "x.csv:4", "2 cells where the header has 3"),
        ('a,y\n1,0\n"2,1\n3,1\n', "x.csv:3", "never closed"),
        (b"a,y\n1,0\n2,\x00\n", "x.csv:3", "a NUL at byte 10"),
        ("a,y\n1,0\nKöln,1\n".encode("latin-1"), "x.csv:3", "not UTF-8 at byte 9 (0xf6)"),
        ("a;y\n1;0\n2;1\n", "x.csv:1", "delimiter = ';'"),
        ("a,a,y\n1,2,0\n", "x.csv:1", "column 'a' stands there twice"),
        ("", "x.csv", "the file is empty"),
        ("a,y\n", "x.csv:1", "no row below the header"),
        ("a,y\n1,0\n2,1\nabc,1\n4,0\n", "x.csv:4", "but 'abc' here"),
        ("a,y\n1,0\n,1\n3,\n4,\n", "x.csv:4", "the target 'y' is missing in 2 rows"),
        ("a,y\n1,0\ninf,1\n", "x.csv:3", "infinite"),
        ('a,y\n"1,5",0\n"2,5",1\n', "x.csv:2", "decimal = ','"),
        ("a,Y\n1,0\n2,1\n", "x.csv", "There is: a, Y."),
        ("a,y\n1,0\n1,1\n", "x.csv", "no column is left"),
    ],
)
def test_bad_content_is_named_with_its_line(
    tmp_path: Path, content: str | bytes, where: str, message: str
) -> None:
    (problem,) = problems_of(tmp_path, content)
    assert problem.startswith(f"{where}: error[E3")
    assert message in problem


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    content = "a,b,y\n1,1,0\n2,x,1\nthree,3,1\n4,4,\n"
    found = problems_of(tmp_path, content, drop=("bb",), numeric=("a",), categorical=("a",))
    assert len(found) == 4
    assert any("'bb'" in each and "Did you mean 'b'?" in each for each in found)
    assert any("both numeric and categorical" in each for each in found)
    assert any(each.startswith("x.csv:3") and "'x'" in each for each in found)
    assert any(each.startswith("x.csv:5") and "missing" in each for each in found)


def test_missing_file_names_a_similar_one(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text("a,y\n1,2\n")
    with pytest.raises(DataError, match=r"Did you mean 'houses\.csv'\?"):
        csv(tmp_path, path="house.csv", target="y")


def test_outside_the_folder_only_with_data_root(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (tmp_path / "x.csv").write_text("a,y\n1,2\n2,3\n")
    (study / "link.csv").symlink_to(tmp_path / "x.csv")
    for path in ("../x.csv", str(tmp_path / "x.csv"), "link.csv"):
        with pytest.raises(DataError, match="lies outside the study's folder"):
            csv(study, path=path, target="y")
    assert csv(study, path="x.csv", data_root="..", target="y").num_rows == 2
    assert csv(study, path="x.csv", data_root=str(tmp_path), target="y").num_rows == 2
    with pytest.raises(DataError, match="data_root is no folder"):
        csv(study, path="x.csv", data_root="../nowhere", target="y")


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a device or pipe"):
        csv(tmp_path, path="pipe.csv", target="y")
    with pytest.raises(DataError, match="is a folder"):
        csv(tmp_path, path="folder.csv", target="y")


def test_parquet_types_are_kept(tmp_path: Path) -> None:
    moments = pd.to_datetime(["2024-01-01", "2024-01-02", "NaT"])
    columns = {"n": [1, None, 3], "b": [True, False, True], "t": moments, "c": ["u", None, "v"]}
    pd.DataFrame({**columns, "y": [0.5, 1.5, 2.5]}).to_parquet(tmp_path / "x.parquet")
    examples = parquet(tmp_path, path="x.parquet", target="y")
    assert [column.kind for column in examples.signature.columns] == [
        "numeric",
        "numeric",
        "numeric",
        "categorical",
    ]
    day = 24 * 3600
    assert examples.inputs[1, 2] - examples.inputs[0, 2] == day
    assert np.isnan(examples.inputs[[1, 2, 1], [0, 2, 3]]).all()
    assert examples.targets.tolist() == [0.5, 1.5, 2.5]


def test_whole_numbers_as_categories_need_no_point_where_one_is_missing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zip": [10, 20, None], "size": [1.5, 2.0, 1.5], "y": [0, 1, 1]})
    frame.to_parquet(tmp_path / "x.parquet")
    examples = parquet(tmp_path, path="x.parquet", target="y", categorical=("zip", "size"))
    assert [each.categories for each in examples.signature.columns] == [("10", "20"), ("1.5", "2")]


def test_parquet_cut_short_or_nested_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "list": [[1], [2, 3]], "y": [0, 1]})
    frame.to_parquet(tmp_path / "nested.parquet")
    with pytest.raises(DataError, match="column 'list' is nested"):
        parquet(tmp_path, path="nested.parquet", target="y")
    content = (tmp_path / "nested.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cut short"):
        parquet(tmp_path, path="cut.parquet", target="y")
