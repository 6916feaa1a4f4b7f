"""Ratings: files of users and items, doubles, times, ids that training has not seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nnsearch.data.bundled import iris
from nnsearch.data.examples import Examples
from nnsearch.data.ratings import IdsTransform, ids, ratings
from nnsearch.data.targets import encode_pairs
from nnsearch.errors import DataError

ROWS = """user,item,rating,when
ann,007,5,2024-01-03
bob,007,3,2024-01-01
ann,x,1,2024-01-02
ann,007,2,2024-01-01
cy,y,4,2024-01-05
"""


@pytest.fixture
def read(tmp_path: Path) -> Examples:
    (tmp_path / "stars.csv").write_text(ROWS)
    return ratings(tmp_path, path="stars.csv")


def test_ids_are_texts_and_the_last_of_two_ratings_counts(read: Examples) -> None:
    users, items = read.signature.columns
    assert (users.name, users.categories) == ("user", ("ann", "bob", "cy"))
    assert items.categories == ("007", "x", "y")
    assert read.inputs.tolist() == [[1, 0], [0, 1], [0, 0], [2, 2]]
    assert read.targets.tolist() == [3, 1, 2, 4]
    assert read.groups is not None
    assert read.groups.tolist() == [1, 0, 0, 2]
    assert read.notes == ("1 rows are rated too low, or again: left out",)


def test_with_times_the_latest_rating_counts_and_rows_may_be_split_by_time(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame([line.split(",") for line in ROWS.split()[1:]])
    frame.columns = pd.Index(ROWS.split(maxsplit=1)[0].split(","))
    frame["rating"] = frame["rating"].astype(float)
    frame["when"] = pd.to_datetime(frame["when"])
    frame.to_parquet(tmp_path / "stars.parquet")
    read = ratings(tmp_path, path="stars.parquet", time="when")
    assert read.targets.tolist() == [5, 3, 1, 4]
    assert read.times is not None
    assert (read.times[0] - read.times[1]) / 86400 == 2


def test_times_of_a_csv_file_are_times_and_no_texts(tmp_path: Path) -> None:
    stars = "user,item,rating,when\na,x,1,2024-01-02T00:00+02:00\na,y,2,2024-01-01T23:00\n"
    (tmp_path / "stars.csv").write_text(stars)
    times = ratings(tmp_path, path="stars.csv", time="when").times
    assert times is not None
    assert times[1] - times[0] == 3600
    for cell in ("", "2/1/2024"):
        (tmp_path / "stars.csv").write_text(f"{stars}b,x,3,{cell}\n")
        with pytest.raises(DataError, match=r"stars.csv:4: .* no time in 1 rows"):
            ratings(tmp_path, path="stars.csv", time="when")


def test_low_ratings_are_left_out_and_a_file_may_have_none(tmp_path: Path) -> None:
    (tmp_path / "stars.csv").write_text(ROWS)
    liked = ratings(tmp_path, path="stars.csv", at_least=4)
    assert liked.targets.tolist() == [5, 4]
    with pytest.raises(DataError, match="rated 9 or higher"):
        ratings(tmp_path, path="stars.csv", at_least=9)
    (tmp_path / "clicks.csv").write_text("user,item\na,x\nb,x\n")
    clicks = ratings(tmp_path, path="clicks.csv", rating="")
    assert clicks.targets.tolist() == [1, 1]
    assert encode_pairs(clicks).targets.tolist() == [[0, 0], [1, 0]]
    with pytest.raises(DataError, match="wants users and items"):
        encode_pairs(iris(Path()))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user,item,stars\na,x,1\n", "no column 'rating'"),
        ("user,item,rating\na,,1\n", "'item' is missing in 1 rows"),
        ("user,item,rating\na,x,\nb,x,2\n", "missing in 1 rows"),
        ("user,item,rating\na,x,good\nb,x,bad\n", "are text, such as 'good'"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "wrong.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        ratings(tmp_path, path="wrong.csv")


def test_ids_that_training_has_not_seen_are_0(read: Examples) -> None:
    transform = ids(read.take(np.array([0, 1])))  # bob, 007; ann, x
    assert isinstance(transform, IdsTransform)
    assert transform.sizes == (3, 3)
    numbers = transform(torch.from_numpy(np.vstack([read.inputs, [[np.nan, 9]]])))
    assert numbers.tolist() == [[2, 1], [1, 2], [1, 1], [0, 0], [0, 0]]
    with pytest.raises(DataError, match="wants users and items"):
        ids(iris(Path()))
