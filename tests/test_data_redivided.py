"""Other divisions of what a study has for training and validation."""

from pathlib import Path

import numpy as np
import pytest

from nnsearch.data.bundled import iris
from nnsearch.data.examples import Array, Examples
from nnsearch.data.prepare import Prepared, open_part, open_prepared, prepare
from nnsearch.data.redivided import folds, redivide, refuse
from nnsearch.errors import DataError, IntegrityError
from nnsearch.signature import Signature
from nnsearch.study.spec import Split


def prepared_iris(folder: Path, split: Split) -> Prepared:
    return prepare(iris, "class", split, 0, root=folder, options={}, folder=folder / "data")


def rows(folder: Path, *parts: str) -> list[bytes]:
    arrays = [open_part(folder, part).inputs for part in parts]  # type: ignore[arg-type]
    return sorted(each.tobytes() for array in arrays for each in np.asarray(array))


def of_valid(folder: Path) -> Array:
    return np.asarray(open_part(folder, "valid").targets)


def test_each_division_has_the_same_rows_and_none_of_the_test_split(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path, Split())
    made = redivide(first.folder, Split(), seed=0, count=5)
    assert len(set(made)) == 5
    for folder in made:
        assert rows(folder, "train", "valid") == rows(first.folder, "train", "valid")
        assert open_prepared(folder).num_rows == {**first.num_rows, "test": 0}
        assert not (folder / "test").exists()
        with pytest.raises(IntegrityError, match="sealed"):
            open_part(folder, "test")  # type: ignore[arg-type]


def test_no_row_is_validated_twice_where_the_rows_are_enough(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path, Split(0.6, 0.2, 0.2))
    whole = rows(first.folder, "train", "valid")
    judged = [each for folder in redivide(first.folder, Split(), seed=0, count=4)
              for each in rows(folder, "valid")]  # fmt: skip
    assert sorted(judged) == whole, "four times a quarter is the whole"


def test_rows_are_judged_equally_often_where_they_are_not_enough(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path, Split(0.4, 0.4, 0.2))
    judged = [each for folder in redivide(first.folder, Split(), seed=0, count=4)
              for each in rows(folder, "valid")]  # fmt: skip
    assert {judged.count(each) for each in set(judged)} <= {2, 4, 6}  # equal rows of iris too
    assert set(judged) == set(rows(first.folder, "train", "valid"))


def test_each_class_is_in_each_division_as_often(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path, Split())
    for folder in redivide(first.folder, Split(), seed=0, count=5):
        counts = np.bincount(of_valid(folder), minlength=3)
        assert counts.sum() == 24
        assert counts.min() >= 7


def test_a_group_is_never_torn(tmp_path: Path) -> None:
    def source(_: Path) -> Examples:
        inputs = np.arange(60.0)[:, None]
        signature = Signature("table", (1,), "float64", "y", labels=("a", "b"))
        return Examples(inputs, np.arange(60) % 2, signature, groups=np.arange(60) // 3)

    by_group = Split(by="group")
    first = prepare(source, "raw", by_group, 0, root=tmp_path, options={}, folder=tmp_path / "data")
    for folder in redivide(first.folder, by_group, seed=0, count=3):
        train, valid = (open_part(folder, part).groups for part in ("train", "valid"))
        assert train is not None
        assert valid is not None
        assert set(train.tolist()).isdisjoint(valid.tolist())
        assert len(valid) >= first.num_rows["valid"]


def test_the_seed_decides_and_what_is_there_is_used(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path, Split())
    made = redivide(first.folder, Split(), seed=0, count=2)
    before = [of_valid(folder) for folder in made]
    times = [(folder / "prepared.json").stat().st_mtime_ns for folder in made]
    assert redivide(first.folder, Split(), seed=0, count=2) == made
    assert [(folder / "prepared.json").stat().st_mtime_ns for folder in made] == times
    assert not np.array_equal(before[0], before[1])


@pytest.mark.parametrize(
    ("kind", "by", "target"),
    [("text", "class", "class"), ("table", "time", "class"), ("table", "class", "anomaly")],
)
def test_divisions_that_would_not_be_like_the_first_are_refused(
    kind: str, by: str, target: str
) -> None:
    plain = Signature("table", (1,), "float64", "y")
    refuse("search.folds", plain, Split(), "class")
    with pytest.raises(DataError, match=r"search\.folds"):
        refuse("search.folds", Signature(kind, (1,), "float64", "y"), Split(by=by), target)  # type: ignore[arg-type]


def test_folds_begin_with_the_first_division_and_judge_each_row_once(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path, Split())
    made = folds(first.folder, Split(), seed=0, count=5)
    assert made[0] == first.folder
    judged = [each for folder in made for each in rows(folder, "valid")]
    assert sorted(judged) == rows(first.folder, "train", "valid")
