"""A source of NPZ archives. Knows no split and no task."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnsearch.components import nearest
from nnsearch.data.arrays import TABLE_AXES, Kind, count_problem, joined, shape_problem
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.paths import MOST_EXPANSION, SMALL_BYTES, find_files
from nnsearch.errors import DataError, Problem

_AXES: dict[Kind, tuple[int, ...]] = {"auto": (2, 3, 4), "series": (2, 3)}


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
    examples = joined(parts, targets, kind)
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
        problems += count_problem(arrays, inputs, key, shown)
    if "test_inputs" in arrays:
        problems += shape_problem(arrays["inputs"], arrays["test_inputs"], shown)
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
    elif key == "times" and np.isnan(array).any():
        missing = np.flatnonzero(np.isnan(array))
        message = f"times is missing in {len(missing)} rows, the first is row {missing[0] + 1}."
        problems.append(Problem("E321", message, shown, "Fill it in or remove the rows."))
    if is_input and array.dtype.kind == "f":
        problems += _value_problem(key, array, shown, kind)
    return problems


def _value_problem(key: str, array: Array, shown: str, kind: Kind) -> list[Problem]:
    """A table or a series may lack a value; an image may not, and nothing may be infinite."""
    is_image = kind == "auto" and array.ndim > TABLE_AXES
    wrong = ~np.isfinite(array) if is_image else np.isinf(array)
    if not wrong.any():
        return []
    row = int(np.flatnonzero(wrong.reshape(len(array), -1).any(axis=1))[0])
    message = f"{key} is not finite in {int(wrong.sum())} places, the first in row {row + 1}."
    return [Problem("E319", message, shown, "Replace them.")]


def _times(times: Array) -> npt.NDArray[np.float64]:
    """Numbers as they are, moments as seconds since 1970."""
    if times.dtype.kind == "M":
        return times.astype("datetime64[us]").astype(np.int64) / 1e6
    return times.astype(np.float64)
