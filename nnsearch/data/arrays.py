"""Sources of arrays: IDX files (as MNIST's) and NPZ archives. Knows no split and no task."""

import gzip
import math
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from nnsearch.components import Count, nearest
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.paths import MOST_EXPANSION, SMALL_BYTES, find_files
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Column, Signature

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_TABLE_AXES = 2
_GREY_AXES = 3
_MOST_CHANNELS = 4

Kind = Literal["auto", "series"]
_AXES: dict[Kind, tuple[int, ...]] = {"auto": (2, 3, 4), "series": (2, 3)}


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
    read = {key: _read_idx(file, options[key]) for key, file in files.items()}
    problems = [each for each in read.values() if isinstance(each, Problem)]
    arrays = {key: each for key, each in read.items() if not isinstance(each, Problem)}
    problems += _idx_problems(arrays, options)
    if problems:
        raise DataError(problems)
    parts = [(arrays["images"], arrays["labels"])]
    parts[0] = _drawn(*parts[0], limit)
    if "test_images" in arrays:
        parts.append((arrays["test_images"], arrays["test_labels"]))
    examples = _joined(parts, "label")
    return without_copies(examples) if dedupe else examples


def npz(
    root: Path,
    *,
    path: str,
    inputs: str = "x",
    targets: str = "y",
    test_inputs: str = "",
    test_targets: str = "",
    groups: str = "",
    times: str = "",
    kind: Kind = "auto",
    data_root: str = "",
    dedupe: bool = False,
) -> Examples:
    """The arrays of an NPZ archive under these names.

    Inputs [N, F] are a table, [N, H, W] images of one channel, and of four axes images with the
    channels first or last. Of the kind "series" they are [N, T] or [N, channels, T], where NaN is
    a missing value and stands behind the end of those that are shorter. `test_inputs` are held
    out: they are the test split. Archives with pickled objects are refused. Raises DataError with
    everything wrong.
    """
    file = find_files(root, data_root, path=path)["path"]
    options = {"inputs": inputs, "targets": targets, "groups": groups, "times": times}
    tests = {"test_inputs": test_inputs, "test_targets": test_targets}
    arrays = _read_npz(file, path, {key: name for key, name in (options | tests).items() if name})
    if problems := _npz_problems(arrays, path, kind):
        raise DataError(problems)
    parts = [(arrays["inputs"], arrays["targets"])]
    if "test_inputs" in arrays:
        parts.append((arrays["test_inputs"], arrays["test_targets"]))
    examples = _joined(parts, targets, kind)
    examples = Examples(
        examples.inputs,
        examples.targets,
        examples.signature,
        groups=arrays.get("groups"),
        times=_times(arrays["times"]) if times else None,
        held_out=examples.held_out,
        notes=examples.notes,
    )
    return without_copies(examples) if dedupe else examples


def _read_idx(file: Path, shown: str) -> Array | Problem:
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


def _idx_problems(arrays: dict[str, Array], options: dict[str, str]) -> list[Problem]:
    problems = []
    for key, array in arrays.items():
        axes = (3, 4) if key.endswith("images") else (1,)
        if array.ndim not in axes:
            message = f"{key} has {array.ndim} axes, not {' or '.join(map(str, axes))}."
            hint = "Are images and labels exchanged?"
            problems.append(Problem("E333", message, options[key], hint))
    for images, labels in (("images", "labels"), ("test_images", "test_labels")):
        if images in arrays and labels in arrays and not problems:
            problems += _count_problem(arrays, images, labels, options[labels])
    if not problems and {"images", "test_images"} <= arrays.keys():
        problems += _shape_problem(arrays["images"], arrays["test_images"], options["test_images"])
    return problems


def _count_problem(arrays: dict[str, Array], many: str, other: str, shown: str) -> list[Problem]:
    counts = len(arrays[many]), len(arrays[other])
    if counts[0] == counts[1] > 0:
        return []
    message = f"{counts[0]} {many}, but {counts[1]} {other}."
    return [Problem("E332", message, shown, "Each needs one.")]


def _shape_problem(ours: Array, test: Array, shown: str) -> list[Problem]:
    if ours.shape[1:] == test.shape[1:]:
        return []
    message = f"test examples of shape {test.shape[1:]}, but others of {ours.shape[1:]}."
    return [Problem("E333", message, shown, "They have to agree.")]


def _drawn(images: Array, labels: Array, limit: int | None) -> tuple[Array, Array]:
    if limit is None or limit >= len(labels):
        return images, labels
    rows = np.sort(np.random.default_rng(0).choice(len(labels), limit, replace=False))
    return images[rows], labels[rows]


def _read_npz(file: Path, shown: str, options: dict[str, str]) -> dict[str, Array]:
    problems: list[Problem] = []
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > max(SMALL_BYTES, MOST_EXPANSION * file.stat().st_size):
            message = f"unpacks to {unpacked:,} bytes, over 100 times its size."
            raise DataError([Problem("E332", message, shown, "Store it without compression.")])
        with np.load(file, allow_pickle=False) as loaded:
            for option, name in options.items():
                if name in loaded.files:
                    arrays[option] = loaded[name]
                    continue
                message = f"{option}: there is no array '{name}'."
                problems.append(Problem("E317", message, shown, nearest(name, loaded.files)))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        message = f"cannot be read as NPZ ({str(error)[:120]})."
        raise DataError([Problem("E331", message, shown, "Write it with numpy.savez.")]) from error
    if problems:
        raise DataError(problems)
    return arrays


def _npz_problems(arrays: dict[str, Array], shown: str, kind: Kind) -> list[Problem]:
    problems = []
    if ("test_inputs" in arrays) != ("test_targets" in arrays):
        problems.append(Problem("E317", "test_inputs and test_targets belong together.", shown))
    if "test_inputs" in arrays and {"groups", "times"} & arrays.keys():
        problems.append(Problem("E317", "groups and times exclude test_inputs.", shown))
    for key, array in arrays.items():
        problems += _array_problems(key, array, shown, kind)
    if problems:
        return problems
    for key in arrays.keys() - {"inputs", "test_inputs"}:
        inputs = "test_inputs" if key.startswith("test") else "inputs"
        problems += _count_problem(arrays, inputs, key, shown)
    if "test_inputs" in arrays:
        problems += _shape_problem(arrays["inputs"], arrays["test_inputs"], shown)
    return problems


def _array_problems(key: str, array: Array, shown: str, kind: Kind) -> list[Problem]:
    is_input = key.endswith("inputs")
    problems = []
    # Targets of three axes are masks: the class of each pixel.
    others = (1, 3) if key.endswith("targets") else (1,)
    axes = _AXES[kind] if is_input else others
    if array.ndim not in axes:
        message = f"{key} has shape {array.shape}: {' or '.join(map(str, axes))} axes wanted."
        problems.append(Problem("E333", message, shown, "Reshape it."))
    if is_input and array.dtype.kind not in "buif":
        problems.append(Problem("E333", f"{key} holds {array.dtype}, not numbers.", shown))
    if key == "times" and array.dtype.kind not in "buifM":
        hint = "Store numbers or datetime64."
        problems.append(Problem("E333", f"times holds {array.dtype}, no times.", shown, hint))
    if is_input and array.dtype.kind == "f":
        problems += _value_problem(key, array, shown, kind)
    return problems


def _value_problem(key: str, array: Array, shown: str, kind: Kind) -> list[Problem]:
    """A table or a series may lack a value; an image may not, and nothing may be infinite."""
    is_image = kind == "auto" and array.ndim > _TABLE_AXES
    wrong = ~np.isfinite(array) if is_image else np.isinf(array)
    if not wrong.any():
        return []
    row = int(np.flatnonzero(wrong.reshape(len(array), -1).any(axis=1))[0])
    message = f"{key} is not finite in {int(wrong.sum())} places, the first in row {row + 1}."
    return [Problem("E319", message, shown, "Replace them.")]


def _joined(parts: list[tuple[Array, Array]], target: str, kind: Kind = "auto") -> Examples:
    """One set of examples of all parts; the second part is held out."""
    inputs = np.concatenate([each for each, _ in parts]) if len(parts) > 1 else parts[0][0]
    targets = np.concatenate([_plain(each) for _, each in parts])
    held_out = None
    if len(parts) > 1:
        held_out = np.arange(len(targets)) >= len(parts[0][1])
    if kind == "series":
        steps = (inputs[:, np.newaxis] if inputs.ndim == _TABLE_AXES else inputs).astype(np.float32)
        signature = Signature("series", steps.shape[1:], "float32", target)
        return Examples(steps, targets, signature, held_out=held_out)
    if inputs.ndim == _TABLE_AXES:
        columns = tuple(Column(f"x{place}") for place in range(inputs.shape[1]))
        signature = Signature("table", (len(columns),), "float64", target, columns)
        return Examples(inputs.astype(np.float64), targets, signature, held_out=held_out)
    pixels, notes = _channels_first(inputs)
    dtype: Literal["uint8", "float32"] = "uint8" if pixels.dtype == np.uint8 else "float32"
    signature = Signature("image", pixels.shape[1:], dtype, target)
    return Examples(
        pixels.astype(dtype, copy=False), targets, signature, held_out=held_out, notes=notes
    )


def _channels_first(images: Array) -> tuple[Array, tuple[str, ...]]:
    if images.ndim == _GREY_AXES:
        return images[:, np.newaxis], ()
    if images.shape[3] <= _MOST_CHANNELS < images.shape[1]:
        return np.moveaxis(images, 3, 1), ("the last axis holds the channels: moved to the front",)
    return images, ()


def _times(times: Array) -> npt.NDArray[np.float64]:
    """Numbers as they are, moments as seconds since 1970."""
    if times.dtype.kind == "M":
        return times.astype("datetime64[us]").astype(np.int64) / 1e6
    return times.astype(np.float64)


def _plain(targets: Array) -> Array:
    if targets.dtype.kind in "bui":
        return targets.astype(np.int64)
    return targets.astype(np.float64 if targets.dtype.kind == "f" else object)
