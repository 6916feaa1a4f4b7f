"""IDX and NPZ: shapes, the held out split, and files that are not what they say."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nnsearch.data.idx_file import idx
from nnsearch.data.npz_file import npz
from nnsearch.errors import DataError


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def images() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (20, 4, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, images: npt.NDArray[np.uint8]) -> Path:
    labels = np.arange(20, dtype=np.uint8) % 5
    (tmp_path / "images").write_bytes(gzip.compress(idx_bytes(images)))
    (tmp_path / "labels").write_bytes(idx_bytes(labels))
    (tmp_path / "test-images").write_bytes(idx_bytes(images[:6]))
    (tmp_path / "test-labels").write_bytes(gzip.compress(idx_bytes(labels[:6])))
    return tmp_path


def test_idx_is_read_packed_or_not(folder: Path, images: npt.NDArray[np.uint8]) -> None:
    examples = idx(folder, images="images", labels="labels")
    np.testing.assert_array_equal(examples.inputs[:, 0], images)
    assert str(examples.inputs.dtype) == examples.signature.dtype == "uint8"
    assert examples.signature.shape == (1, 4, 3)
    assert examples.targets.tolist() == [place % 5 for place in range(20)]
    assert examples.held_out is None


def test_idx_test_files_are_held_out_and_limit_spares_them(
    folder: Path, images: npt.NDArray[np.uint8]
) -> None:
    options: dict[str, Any] = {"test_images": "test-images", "test_labels": "test-labels"}
    drawn = idx(folder, images="images", labels="labels", limit=8, **options)
    again = idx(folder, images="images", labels="labels", limit=8, **options)
    assert drawn.held_out is not None
    assert drawn.held_out.tolist() == [False] * 8 + [True] * 6
    np.testing.assert_array_equal(drawn.inputs, again.inputs)
    np.testing.assert_array_equal(drawn.inputs[8:, 0], images[:6])


def test_idx_paths_are_relative_to_data_root(folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    absolute = str(folder / "images")
    examples = idx(study, images=absolute, labels="labels", data_root=str(folder))
    assert examples.num_rows == 20
    with pytest.raises(DataError, match="outside"):
        idx(study, images=absolute, labels="labels")


def test_idx_dedupe_keeps_the_held_out_rows(folder: Path, images: npt.NDArray[np.uint8]) -> None:
    (folder / "test-images").write_bytes(idx_bytes(images[[0, 1, 2, 3, 4, 0]]))
    (folder / "test-labels").write_bytes(idx_bytes(np.array([0, 1, 2, 3, 4, 0], np.uint8)))
    options: dict[str, Any] = {"test_images": "test-images", "test_labels": "test-labels"}
    examples = idx(folder, images="images", labels="labels", dedupe=True, **options)
    assert examples.held_out is not None
    assert examples.num_rows == 15 + 6
    assert examples.held_out.sum() == 6


def test_idx_problems_of_all_files_come_together(folder: Path) -> None:
    whole = gzip.decompress((folder / "images").read_bytes())
    (folder / "images").write_bytes(gzip.compress(whole[:-1]))
    (folder / "labels").write_bytes(b"label\n1\n2\n")
    packed = (folder / "test-labels").read_bytes()
    (folder / "test-labels").write_bytes(packed[:-12])
    options: dict[str, Any] = {"test_images": "test-images", "test_labels": "test-labels"}
    with pytest.raises(DataError) as caught:
        idx(folder, images="images", labels="labels", **options)
    assert [problem.where for problem in caught.value.problems] == [
        "images",
        "labels",
        "test-labels",
    ]
    assert "20 x 4 x 3" in caught.value.problems[0].message


def test_idx_counts_have_to_agree(folder: Path) -> None:
    with pytest.raises(DataError, match="20 images, but 6 labels"):
        idx(folder, images="images", labels="test-labels")
    with pytest.raises(DataError, match="exchanged"):
        idx(folder, images="labels", labels="images")


def test_idx_that_expands_too_far_is_not_unpacked(folder: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 60000, 2000, 2000)
    (folder / "images").write_bytes(gzip.compress(header))
    with pytest.raises(DataError, match="more than a file of its size can hold"):
        idx(folder, images="images", labels="labels")


def test_npz_tables_and_images(tmp_path: Path) -> None:
    table, last = np.ones((4, 2), np.float32), np.zeros((4, 8, 9, 3), np.uint8)
    np.savez(tmp_path / "x.npz", table=table, last=last, grey=last[..., 0], y=np.arange(4))
    assert npz(tmp_path, path="x.npz", inputs="table").inputs.dtype == np.float64
    moved = npz(tmp_path, path="x.npz", inputs="last")
    assert moved.signature.shape == (3, 8, 9)
    assert "moved to the front" in moved.notes[0]
    assert npz(tmp_path, path="x.npz", inputs="grey").signature.shape == (1, 8, 9)


def test_npz_groups_and_times(tmp_path: Path) -> None:
    days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")
    np.savez(tmp_path / "x.npz", x=np.ones((2, 1)), y=[0, 1], g=["a", "b"], t=days)
    examples = npz(tmp_path, path="x.npz", groups="g", times="t")
    assert examples.groups is not None
    assert examples.times is not None
    assert examples.groups.tolist() == ["a", "b"]
    assert np.diff(examples.times).tolist() == [24 * 3600.0]


@pytest.mark.parametrize("times", [[0.5, np.nan], np.array(["2024-01-01", "NaT"], "M8[s]")])
def test_a_time_that_is_missing_is_refused(tmp_path: Path, times: Any) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((2, 1)), y=[0, 1], t=times)
    with pytest.raises(DataError, match="times is missing in 1 rows, the first is row 2"):
        npz(tmp_path, path="x.npz", times="t")


def test_npz_that_cannot_be_used(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", x=np.array([{}], dtype=object), y=[0])
    with pytest.raises(DataError, match="cannot be read as NPZ"):
        npz(tmp_path, path="pickled.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="cannot be read as NPZ"):
        npz(tmp_path, path="text.npz")
    np.savez(tmp_path / "x.npz", inputs=np.full((3, 2, 2), np.nan), y=np.arange(2))
    with pytest.raises(DataError, match="inputs: there is no array 'x'"):
        npz(tmp_path, path="x.npz")
    with pytest.raises(DataError, match="not finite in 12 places, the first in row 1"):
        npz(tmp_path, path="x.npz", inputs="inputs")
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((40, 2**20), np.uint8), y=np.arange(40))
    with pytest.raises(DataError, match="over 100 times its size"):
        npz(tmp_path, path="bomb.npz")
