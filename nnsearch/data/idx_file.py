"""A source of IDX files, the format of MNIST. Knows no split and no task."""

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nnsearch.components import Count
from nnsearch.data.arrays import count_problem, joined, shape_problem
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.paths import MOST_EXPANSION, SMALL_BYTES, find_files
from nnsearch.errors import DataError, Problem

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(
    root: Path,
    *,
    images: str,
    labels: str,
    test_images: str = "",
    test_labels: str = "",
    data_root: str = "",
    limit: Count | None = None,
    dedupe: bool = False,
) -> Examples:
    """Images [N, 1, H, W] of IDX files, packed with gzip or not, and their labels.

    `test_images` are held out: they are the test split. `limit` draws that many of the others,
    always the same ones. Raises DataError with everything wrong in any of the files.
    """
    options = {
        "images": images,
        "labels": labels,
        "test_images": test_images,
        "test_labels": test_labels,
    }
    if bool(test_images) != bool(test_labels):
        hint = "Give both or neither."
        raise DataError(
            [Problem("E301", "test_images and test_labels belong together.", hint=hint)]
        )
    files = find_files(root, data_root, **options)
    read = {key: read_idx(file, options[key]) for key, file in files.items()}
    problems = [each for each in read.values() if isinstance(each, Problem)]
    arrays = {key: each for key, each in read.items() if not isinstance(each, Problem)}
    problems += idx_problems(arrays, options)
    if problems:
        raise DataError(problems)
    parts = [(arrays["images"], arrays["labels"])]
    parts[0] = drawn(*parts[0], limit)
    if "test_images" in arrays:
        parts.append((arrays["test_images"], arrays["test_labels"]))
    examples = joined(parts, "label")
    return without_copies(examples) if dedupe else examples


def read_idx(file: Path, shown: str) -> Array | Problem:
    """The array of one file, or what is wrong with it; gzip is known by content, not by name."""
    with file.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        packed_bytes = file.stat().st_size
        if not is_packed:
            return _parse_idx(raw, shown, packed_bytes)
        try:
            with gzip.open(raw) as content:
                return _parse_idx(content, shown, max(SMALL_BYTES, MOST_EXPANSION * packed_bytes))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            return Problem("E331", f"is a broken gzip file ({error}).", shown, "Fetch it again.")


def idx_problems(arrays: dict[str, Array], options: dict[str, str]) -> list[Problem]:
    """What is wrong with `images`, `labels`, `test_images` and `test_labels` together."""
    problems = []
    for key, array in arrays.items():
        axes = (3, 4) if key.endswith("images") else (1,)
        if array.ndim not in axes:
            message = f"{key} has {array.ndim} axes, not {' or '.join(map(str, axes))}."
            hint = "Are images and labels exchanged?"
            problems.append(Problem("E333", message, options[key], hint))
    for images, labels in (("images", "labels"), ("test_images", "test_labels")):
        if images in arrays and labels in arrays and not problems:
            problems += count_problem(arrays, images, labels, options[labels])
    if not problems and {"images", "test_images"} <= arrays.keys():
        problems += shape_problem(arrays["images"], arrays["test_images"], options["test_images"])
    return problems


def drawn(images: Array, labels: Array, limit: int | None) -> tuple[Array, Array]:
    """That many rows in their order, always the same ones; all where there are no more."""
    if limit is None or limit >= len(labels):
        return images, labels
    rows = np.sort(np.random.default_rng(0).choice(len(labels), limit, replace=False))
    return images[rows], labels[rows]


def _parse_idx(content: BinaryIO | gzip.GzipFile, shown: str, most_bytes: int) -> Array | Problem:
    """The array of an IDX stream: type and axes, the size of each axis, the values."""
    head = content.read(4)
    if len(head) != len(b"00ta") or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
        hint = "Its first four bytes say so: is it the right file?"
        return Problem("E331", "is not an IDX file.", shown, hint)
    dtype = np.dtype(_IDX_TYPES[head[2]])
    shape = tuple(map(int, np.frombuffer(content.read(4 * head[3]), ">u4")))
    num_bytes = math.prod(shape) * dtype.itemsize
    size = " x ".join(map(str, shape))
    if num_bytes > most_bytes:
        message = f"promises {size} values, more than a file of its size can hold."
        return Problem("E331", message, shown, "Fetch it again, or unpack it if you trust it.")
    data = content.read(num_bytes + 1)
    if len(shape) != head[3] or len(data) != num_bytes:
        message = f"does not hold exactly the {size} values that its header promises."
        return Problem("E331", message, shown, "Fetch it again.")
    return np.frombuffer(data, dtype).reshape(shape)
