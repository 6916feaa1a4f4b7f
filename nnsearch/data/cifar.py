"""The files of CIFAR-10 and CIFAR-100, which are pickles, read without running what they ask for.

Knows no folder and no split. A pickle may name any function to be called. Here only three names
are known, those with which NumPy writes an array, and each stands for a class of our own.
"""

import io
import pickle
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array
from nnsearch.errors import DataError, Problem

SHAPE = (3, 32, 32)
# A batch of CIFAR has 31 MB, the training split of CIFAR-100 155 MB.
MOST_BYTES = 2**28

_BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError),
    *(AttributeError, OverflowError, MemoryError, ImportError),
)


def read_batch(file: Path, shown: str, key: str) -> tuple[npt.NDArray[np.uint8], Array]:
    """Images uint8 [N, 3, 32, 32] and, below `key`, their labels int64 [N].

    Raises DataError where the file holds something else, or asks for anything to be called.
    """
    content = read_pickle(file, shown)
    pixels, labels = content.get("data"), content.get(key)
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list):
        message = f"holds no images and '{key}'."
        raise DataError([Problem("E331", message, shown, "Fetch it again.")])
    is_whole = pixels.ndim == 2 and pixels.shape[1] == prod(SHAPE)  # noqa: PLR2004 - [N, D]
    if not is_whole or len(labels) != len(pixels) or not _are_whole_numbers(labels):
        message = f"holds pixels of shape {pixels.shape} and {len(labels)} labels."
        raise DataError([Problem("E331", message, shown, "Fetch it again.")])
    return pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64)


def read_names(file: Path, shown: str, key: str) -> tuple[str, ...]:
    """What the classes are called."""
    names = read_pickle(file, shown).get(key)
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        message = f"holds no names of classes, '{key}'."
        raise DataError([Problem("E331", message, shown, "Fetch it again.")])
    return tuple(names)


def read_pickle(file: Path, shown: str) -> dict[str, Any]:
    """The dictionary in a file: lists, texts, numbers and arrays of bytes, and nothing else.

    Raises DataError for all that a pickle may hold besides, before it is made or called.
    """
    size = file.stat().st_size
    if size > MOST_BYTES:
        message = f"has {size:,} bytes: no file of CIFAR."
        raise DataError([Problem("E331", message, shown, "Is it the right one?")])
    try:
        found = _Reader(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except _BROKEN as error:
        message = f"is no file of CIFAR ({str(error)[:120]})."
        raise DataError([Problem("E331", message, shown, "Fetch it again.")]) from error
    if not isinstance(found, dict):
        message = f"is no file of CIFAR (it holds a {type(found).__name__})."
        raise DataError([Problem("E331", message, shown, "Fetch it again.")])
    return {str(key): _plain(value) for key, value in found.items()}


class _Kind:
    """The dtype of a pickled array: bytes alone are allowed."""

    def __init__(self, name: object, *_: object) -> None:
        if name != "u1":
            raise pickle.UnpicklingError(f"it has an array of {str(name)[:20]!r}, not of bytes")

    def __setstate__(self, state: object) -> None:
        """The order of bytes and the like, of which single bytes have none."""


class _Bytes:
    """A pickled array of bytes; `values` once its state has been read."""

    values: npt.NDArray[np.uint8] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != len(("version", "shape", "", "", "raw")):
            raise pickle.UnpicklingError("it has an array of a form that is not known")
        _, shape, kind, is_by_columns, raw = state
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(kind, _Kind) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it has an array of something else than bytes")
        sizes = tuple(int(each) for each in shape)
        flat = np.frombuffer(content, np.uint8)
        self.values = flat.reshape(sizes[::-1]).T if is_by_columns else flat.reshape(sizes)


def _reconstruct(*_: object) -> _Bytes:
    return _Bytes()


class _Reader(pickle.Unpickler):
    """Knows the names with which NumPy writes an array, and refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        """One of our own classes, by the name that NumPy's have; raises UnpicklingError."""
        if module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            module = "numpy"
        known = {"ndarray": _Bytes, "dtype": _Kind, "_reconstruct": _reconstruct}
        if module != "numpy" or name not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return known[name]


def _plain(value: object) -> object:
    return value.values if isinstance(value, _Bytes) else value


def _are_whole_numbers(labels: list[object]) -> bool:
    return all(isinstance(each, int) and 0 <= each < 100 for each in labels)  # noqa: PLR2004
