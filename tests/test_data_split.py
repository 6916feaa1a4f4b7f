"""Splits: every row once, in proportion, by what was asked."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnsearch.data.examples import Examples
from nnsearch.data.split import PARTS, split, with_split_column
from nnsearch.errors import DataError
from nnsearch.signature import Column, Signature
from nnsearch.study.spec import Split


def examples_of(
    classes: list[int], *, columns: tuple[Column, ...] = (Column("a"),), cells: object = None
) -> Examples:
    labels = tuple(f"class {index}" for index in range(max(classes) + 1))
    signature = Signature("table", (len(columns),), "float64", "y", columns, labels)
    inputs = np.arange(len(classes), dtype=np.float64).reshape(-1, 1)
    table = inputs if cells is None else np.array(cells, dtype=np.float64)
    return Examples(table, np.array(classes, dtype=np.int64), signature)


def with_groups(groups: list[int]) -> Examples:
    plain = examples_of([row % 2 for row in range(len(groups))])
    return Examples(plain.inputs, plain.targets, plain.signature, groups=np.array(groups))


def with_times(times: list[float]) -> Examples:
    plain = examples_of([row % 2 for row in range(len(times))])
    return Examples(plain.inputs, plain.targets, plain.signature, times=np.array(times))


@given(
    classes=st.lists(st.integers(0, 4), min_size=12, max_size=200),
    by=st.sampled_from(["class", "random"]),
    seed=st.integers(0, 5),
)
def test_every_row_is_in_one_part(classes: list[int], by: str, seed: int) -> None:
    spec = Split(0.5, 0.25, 0.25, by="class" if by == "class" else "random")
    parts = split(examples_of(classes), spec, seed)
    assert sorted(np.concatenate([parts[part] for part in PARTS]).tolist()) == [
        *range(len(classes))
    ]
    for part in PARTS:
        assert np.all(np.diff(parts[part]) > 0)


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    shares=st.sampled_from(
        [(0.64, 0.16, 0.2), (0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (0.2, 0.2, 0.6)]
    ),
)
@example(counts=[3] * 6, shares=(0.2, 0.2, 0.6))
def test_classes_are_in_every_part_in_proportion(
    counts: list[int], shares: tuple[float, float, float]
) -> None:
    classes = [index for index, count in enumerate(counts) for _ in range(count)]
    parts = split(examples_of(classes), Split(*shares), seed=1)
    for part, share in zip(PARTS, shares, strict=True):
        found = np.bincount(np.array(classes)[parts[part]], minlength=len(counts))
        assert np.all(found >= 1)
        # The largest remainder is off by one at most; two parts may both take from train.
        assert np.all(np.abs(found - share * np.array(counts)) <= 2)


def test_the_seed_decides_and_nothing_else() -> None:
    examples = examples_of([0, 1] * 50)
    first, again, other = (split(examples, Split(), seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first[part], again[part]) for part in PARTS)
    assert not np.array_equal(first["test"], other["test"])


def test_sizes_are_those_of_an_unstratified_split() -> None:
    classes = np.random.default_rng(0).integers(0, 10, 1797).tolist()
    for by in ("class", "random"):
        parts = split(examples_of(classes), Split(by="class" if by == "class" else "random"), 0)
        assert [len(parts[part]) for part in PARTS] == [1150, 288, 359]


def test_held_out_rows_are_the_test_split() -> None:
    plain = examples_of([0, 1] * 50)
    held_out = np.arange(100) >= 90
    examples = Examples(plain.inputs, plain.targets, plain.signature, held_out=held_out)
    parts = split(examples, Split(0.64, 0.16, 0.2), 0)
    assert parts["test"].tolist() == [*range(90, 100)]
    assert (len(parts["train"]), len(parts["valid"])) == (72, 18)


@given(groups=st.lists(st.integers(0, 8), min_size=20, max_size=100), seed=st.integers(0, 3))
def test_groups_stay_together(groups: list[int], seed: int) -> None:
    spec = Split(0.6, 0.2, 0.2, by="group")
    examples = with_groups(groups)
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match="too few"):
            split(examples, spec, seed)
        return
    parts = split(examples, spec, seed)
    owned = [{groups[row] for row in parts[part].tolist()} for part in PARTS]
    assert owned[0] | owned[1] | owned[2] == set(groups)
    assert sum(map(len, owned)) == len(set(groups))


def test_group_shares_are_met_where_groups_are_small() -> None:
    parts = split(with_groups([row // 2 for row in range(1000)]), Split(by="group"), 0)
    assert [len(parts[part]) for part in PARTS] == [640, 160, 200]


def test_time_goes_from_train_to_test_and_ties_stay_together() -> None:
    times = [float(value) for value in [5, 1, 4, 4, 4, 2, 3, 0, 9, 8]]
    parts = split(with_times(times), Split(0.4, 0.3, 0.3, by="time"), 0)
    found = [sorted(times[row] for row in parts[part].tolist()) for part in PARTS]
    assert found == [[0, 1, 2, 3], [4, 4, 4], [5, 8, 9]]
    tied = split(with_times([0.0] * 3 + [1.0] * 4 + [2.0] * 3), Split(0.5, 0.2, 0.3, by="time"), 0)
    assert [len(tied[part]) for part in PARTS] == [3, 4, 3]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="valid and test would be empty"):
        split(examples_of([0, 1]), Split(by="random"), 0)


def test_the_column_of_the_split_is_no_input() -> None:
    columns = (Column("a"), Column("who", "categorical", ("ann", "bob")))
    cells = [[1, 0], [2, 1], [3, 0]]
    spec = Split(by="group", column="who")
    examples = with_split_column(examples_of([0, 1, 0], columns=columns, cells=cells), spec)
    assert examples.groups is not None
    assert examples.groups.tolist() == [0, 1, 0]
    assert examples.inputs.tolist() == [[1], [2], [3]]
    assert (examples.signature.columns, examples.signature.shape) == (columns[:1], (1,))
    with pytest.raises(DataError, match="Did you mean 'who'"):
        with_split_column(
            examples_of([0, 1, 0], columns=columns, cells=cells), Split(by="group", column="whom")
        )


def test_times_as_text_are_ordered_as_times() -> None:
    texts = ("2024-01-01T12:00+00:00", "2024-01-01T12:30+02:00", "2024-01-02")
    columns = (Column("a"), Column("when", "categorical", texts))
    examples = examples_of([0, 1, 0], columns=columns, cells=[[1, 0], [2, 1], [3, 2]])
    times = with_split_column(examples, Split(by="time", column="when")).times
    assert times is not None
    assert np.argsort(times).tolist() == [1, 0, 2]
    wrong = (Column("a"), Column("when", "categorical", ("1/31/2024",)))
    unreadable = examples_of([0, 1], columns=wrong, cells=[[1, 0], [2, 0]])
    with pytest.raises(DataError, match="is no time"):
        with_split_column(unreadable, Split(by="time", column="when"))
