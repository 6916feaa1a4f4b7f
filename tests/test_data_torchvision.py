"""Data sets as torchvision lays them on the disk, and pickles that want more than they may."""

import gzip
import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from scipy.io import savemat

from nnsearch.data.cifar import read_pickle
from nnsearch.data.torchvision_files import torchvision
from nnsearch.errors import DataError

DRAW = np.random.default_rng(0)


class OldPickler(pickle._Pickler):
    """Writes texts and bytes alike, as Python 2 did when the files of CIFAR were made."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def _old_string(self: Any, value: str | bytes) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _old_string


def old_pickle(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        OldPickler(file, protocol=2).dump(content)
    path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))


def pixels(num_rows: int) -> npt.NDArray[np.uint8]:
    return DRAW.integers(0, 256, (num_rows, 3072), dtype=np.uint8)


@pytest.fixture
def cifar10(tmp_path: Path) -> tuple[Path, npt.NDArray[np.uint8]]:
    """Six batches of four images; classes 0 to 3 of ten."""
    folder = tmp_path / "data" / "cifar-10-batches-py"
    batches = [pixels(4) for _ in range(6)]
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for name, batch in zip(names, batches, strict=True):
        content = {
            "batch_label": name,
            "labels": [0, 1, 2, 3],
            "data": batch,
            "filenames": ["a.png"] * 4,
        }
        old_pickle(folder / name, content)
    old_pickle(folder / "batches.meta", {"label_names": [f"class {k}" for k in range(10)]})
    return tmp_path, np.concatenate(batches)


def test_the_file_is_of_the_old_kind(cifar10: tuple[Path, Any]) -> None:
    content = (cifar10[0] / "data" / "cifar-10-batches-py" / "test_batch").read_bytes()
    names = {arg for code, arg, _ in pickletools.genops(content) if code.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    assert not any(code.name == "BINBYTES" for code, _, _ in pickletools.genops(content))


def test_cifar_10(cifar10: tuple[Path, npt.NDArray[np.uint8]]) -> None:
    root, images = cifar10
    examples = torchvision(root, name="CIFAR10")
    np.testing.assert_array_equal(examples.inputs, images.reshape(-1, 3, 32, 32))
    assert examples.targets.tolist() == [0, 1, 2, 3] * 6
    assert examples.signature.labels == tuple(f"class {k}" for k in range(10))
    assert examples.held_out is not None
    assert examples.held_out.tolist() == [False] * 20 + [True] * 4
    few = torchvision(root, name="CIFAR10", limit=7)
    assert few.num_rows == 11
    np.testing.assert_array_equal(few.inputs, torchvision(root, name="CIFAR10", limit=7).inputs)


def test_cifar_100_has_its_fine_classes(tmp_path: Path) -> None:
    folder = tmp_path / "sets" / "cifar-100-python"
    for part, count in (("train", 5), ("test", 2)):
        labels = {"fine_labels": list(range(count)), "coarse_labels": [0] * count}
        old_pickle(folder / part, {"data": pixels(count), **labels})
    old_pickle(folder / "meta", {"fine_label_names": [f"f{k}" for k in range(100)]})
    examples = torchvision(tmp_path, name="CIFAR100", path="sets")
    assert examples.targets.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert len(examples.signature.labels) == 100


@pytest.mark.parametrize("is_packed", [True, False])
def test_fashion_mnist_packed_or_not(tmp_path: Path, *, is_packed: bool) -> None:
    folder = tmp_path / "data" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images = DRAW.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    arrays = {
        "train-images-idx3-ubyte": images[:20],
        "train-labels-idx1-ubyte": (np.arange(20) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte": images[20:],
        "t10k-labels-idx1-ubyte": np.arange(10).astype(np.uint8),
    }
    for name, array in arrays.items():
        sizes = struct.pack(f">{array.ndim}I", *array.shape)
        content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
        if is_packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    examples = torchvision(tmp_path, name="FashionMNIST")
    np.testing.assert_array_equal(examples.inputs[:, 0], images)
    assert examples.signature.labels[9] == "Ankle boot"
    assert examples.held_out is not None
    assert examples.held_out.sum() == 10


@pytest.mark.parametrize("name", ["CIFAR10", "MNIST"])
def test_what_is_not_there_is_told_how_to_fetch(tmp_path: Path, name: Any) -> None:
    with pytest.raises(DataError) as caught:
        torchvision(tmp_path, name=name)
    assert f"torchvision has not laid {name} there" in str(caught.value)
    assert f"torchvision.datasets.{name}('data', download=True)" in str(caught.value)


def svhn(folder: Path, part: str, images: npt.NDArray[np.uint8], digits: list[int]) -> None:
    """A file as Stanford's: MATLAB's axes, and a 10 for the digit 0."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.array([each or 10 for each in digits], np.uint8)[:, None]
    savemat(folder / f"{part}_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": labels})


def test_svhn(tmp_path: Path) -> None:
    images = DRAW.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    svhn(tmp_path / "data", "train", images[:4], [0, 9, 1, 0])
    svhn(tmp_path / "data", "test", images[4:], [5, 0])
    examples = torchvision(tmp_path, name="SVHN")
    np.testing.assert_array_equal(examples.inputs, images)
    assert examples.targets.tolist() == [0, 9, 1, 0, 5, 0]
    assert examples.signature.labels == tuple("0123456789")
    assert examples.held_out is not None
    assert examples.held_out.tolist() == [False] * 4 + [True] * 2
    svhn(tmp_path / "data", "test", images[4:5], [7])
    assert torchvision(tmp_path, name="SVHN", limit=2).targets.tolist()[-1] == 7
    path = tmp_path / "data" / "test_32x32.mat"
    for broken in (b"", b"no MATLAB at all" * 20, path.read_bytes()[:300]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"test_32x32\.mat"):
            torchvision(tmp_path, name="SVHN")


def test_stl10_is_written_column_by_column(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "stl10_binary"
    folder.mkdir(parents=True)
    images = DRAW.integers(0, 256, (5, 3, 96, 96), dtype=np.uint8)
    for part, rows, classes in (("train", images[:3], [1, 10, 4]), ("test", images[3:], [2, 2])):
        rows.transpose(0, 1, 3, 2).tofile(folder / f"{part}_X.bin")
        np.array(classes, np.uint8).tofile(folder / f"{part}_y.bin")
    examples = torchvision(tmp_path, name="STL10")
    np.testing.assert_array_equal(examples.inputs, images)
    assert examples.targets.tolist() == [0, 9, 3, 1, 1]
    assert examples.signature.labels[9] == "truck"
    np.array([1, 11, 4], np.uint8).tofile(folder / "train_y.bin")
    with pytest.raises(DataError, match="a label that is not 1 to 10"):
        torchvision(tmp_path, name="STL10")
    np.array([1, 2], np.uint8).tofile(folder / "train_y.bin")
    with pytest.raises(DataError, match="but there are 2 labels"):
        torchvision(tmp_path, name="STL10")


@pytest.mark.parametrize("name", ["SVHN", "STL10"])
def test_both_parts_are_fetched(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        torchvision(tmp_path, name=name)  # type: ignore[arg-type]
    assert f"[torchvision.datasets.{name}('data', download=True, split=each)" in str(caught.value)


class Calls:
    """Pickled as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_pickle(path, "batch")
    return str(caught.value)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_a_pickle_calls_nothing(tmp_path: Path, protocol: int) -> None:
    path, made = tmp_path / "batch", tmp_path / "made by the pickle"
    evil = [
        Calls(os.mkdir, str(made)),
        Calls(eval, f"__import__('os').mkdir({str(made)!r})"),
        Calls(np.save, str(made), np.zeros(1)),
        Calls(getattr, int, "from_bytes"),
        np.float64(1.0),
        np.dtype("O"),
        np.array(["text"]),
        np.array([Calls(os.mkdir, str(made))], dtype=object),
        np.zeros(3),
        b"".__class__,
    ]
    for each in evil:
        message = refused(path, pickle.dumps({"data": each, "labels": []}, protocol))
        assert "is no file of CIFAR (" in message
    assert not made.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["batch"]


def test_a_file_that_is_cut_or_changed_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    old_pickle(path, {"labels": [0, 1], "data": pixels(2)[:, :50], "batch_label": "one"})
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        for content in (whole[:place], bytes(changed)):
            path.write_bytes(content)
            try:
                assert isinstance(read_pickle(path, "batch"), dict)
            except DataError as error:
                assert "batch" in str(error)  # noqa: PT017 - some changes do no harm


def test_labels_that_are_too_few_or_no_numbers(
    cifar10: tuple[Path, npt.NDArray[np.uint8]],
) -> None:
    root = cifar10[0]
    path = root / "data" / "cifar-10-batches-py" / "data_batch_3"
    for wrong in ([0, 1], ["a", "b", "c", "d"], "0123"):
        old_pickle(path, {"labels": wrong, "data": pixels(4)})
        with pytest.raises(DataError, match="data_batch_3"):
            torchvision(root, name="CIFAR10")
    old_pickle(path, {"labels": [0, 1, 2, 12], "data": pixels(4)})
    with pytest.raises(DataError, match="names 10 classes, but there is a label 12"):
        torchvision(root, name="CIFAR10")
