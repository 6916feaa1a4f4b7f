"""Orders that a resumed trial repeats, and batches that lose no row."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.data.batches import batches, order


def test_an_order_depends_on_its_arguments_alone() -> None:
    first = order(100, 1, 2)
    torch.manual_seed(5)
    assert torch.equal(first, order(100, 1, 2))
    assert first.dtype == torch.int64
    assert torch.equal(first.sort().values, torch.arange(100))
    assert not torch.equal(first, order(100, 1, 3))
    assert not torch.equal(first, order(100, 2, 2))


def test_an_order_is_the_same_in_every_release() -> None:
    assert order(8, 0, 1).tolist() == [0, 3, 2, 1, 4, 6, 7, 5]


@given(num_rows=st.integers(1, 300), batch_size=st.integers(1, 70))
def test_batches_cover_every_row_once_and_none_is_alone(num_rows: int, batch_size: int) -> None:
    rows = [row for part in batches(num_rows, batch_size) for row in range(num_rows)[part]]
    assert rows == [*range(num_rows)]
    if batch_size > 1 and num_rows > 1:
        assert all(part.stop - part.start > 1 for part in batches(num_rows, batch_size))


@pytest.mark.parametrize(
    ("num_rows", "batch_size", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (1, 4, [1]), (3, 1, [1, 1, 1])],
)
def test_sizes_of_batches(num_rows: int, batch_size: int, sizes: list[int]) -> None:
    assert [part.stop - part.start for part in batches(num_rows, batch_size)] == sizes
