"""Sources of series: files in the format of the UCR and UEA archives (.ts). Knows no split."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.paths import find_files
from nnsearch.errors import DataError, Problem, UsageError
from nnsearch.signature import Signature

Floats = npt.NDArray[np.float32]
_CHANNEL, _VALUE, _MISSING = ":", ",", "?"


def ts(
    root: Path, *, path: str, test_path: str = "", data_root: str = "", dedupe: bool = False
) -> Examples:
    """Series [N, C, T] and their classes, of a file in the archives' format.

    Series shorter than the longest are filled up with NaN, which is how their length is kept; `?`
    is a missing value. The series of `test_path` are held out: they are the test split. Raises
    DataError with everything wrong in either file, each with its line.
    """
    files = find_files(root, data_root, path=path, test_path=test_path)
    shown = {"path": path, "test_path": test_path}
    parts = [_read(file, shown[key]) for key, file in files.items()]
    problems = [problem for part in parts for problem in part.problems]
    shapes = {len(series) for part in parts for series in part.series}
    if not problems and len(shapes) > 1:
        message = f"its series have {' or '.join(map(str, sorted(shapes)))} channels."
        problems.append(Problem("E333", message, path, "All series need the same ones."))
    if problems:
        raise DataError(problems)
    series = [each for part in parts for each in part.series]
    labels = [each for part in parts for each in part.labels]
    held_out = np.arange(len(series)) >= len(parts[0].series) if test_path else None
    examples = examples_of(series, np.array(labels, dtype=object), "class", held_out)
    return without_copies(examples) if dedupe else examples


def japanese_vowels(_root: Path) -> Examples:
    """640 utterances of two vowels by nine men: 12 channels of 7 to 29 steps. Who is it.

    The recording's own division is kept: 370 utterances are held out (Kudo et al., 1999). The
    files lie in the package aeon; raises UsageError where it is not installed.
    """
    folder = installed("aeon", "--no-deps aeon") / "datasets" / "data" / "JapaneseVowels"
    return ts(folder, path="JapaneseVowels_TRAIN.ts", test_path="JapaneseVowels_TEST.ts")


def installed(package: str, wanted: str) -> Path:
    """The folder of an installed package, found without its import.

    Raises UsageError where it is missing; `wanted` are the words behind `pip install`.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            f"the data lie in the package {package}, which is not installed.",
            f"Type: pip install {wanted}",
        )
    return Path(next(iter(found.submodule_search_locations)))


def examples_of(
    series: list[Floats],
    targets: Array,
    target: str,
    held_out: npt.NDArray[np.bool_] | None = None,
) -> Examples:
    """Series [C, T] of any lengths T as examples, NaN behind the end of the shorter ones."""
    longest = max(each.shape[1] for each in series)
    inputs = np.full((len(series), len(series[0]), longest), np.nan, np.float32)
    for row, each in enumerate(series):
        inputs[row, :, : each.shape[1]] = each
    signature = Signature("series", inputs.shape[1:], "float32", target)
    shortest = min(each.shape[1] for each in series)
    note = f"series of {shortest} to {longest} steps: NaN stands behind the end of the shorter ones"
    notes = (note,) if shortest < longest else ()
    return Examples(inputs, targets, signature, held_out=held_out, notes=notes)


class _Part(NamedTuple):
    """What a file holds."""

    series: list[Floats]
    labels: list[str]
    problems: list[Problem]


def _read(file: Path, shown: str) -> _Part:
    part = _Part([], [], [])
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start}."
        part.problems.append(Problem("E311", message, shown, "Save the file as UTF-8."))
        return part
    for line, content in _rows(text):
        *channels, label = content.split(_CHANNEL)
        try:
            part.series.append(_numbers(channels))
        except ValueError as error:
            where = f"{shown}:{line}"
            hint = "A line is: values, comma by comma : the next channel : the class."
            part.problems.append(Problem("E318", f"no series ({error}).", where, hint))
            continue
        part.labels.append(label.strip())
    if not part.series and not part.problems:
        part.problems.append(Problem("E304", "there is no series below @data.", shown))
    return part


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """The lines below @data, with their numbers."""
    is_data = False
    for line, content in enumerate(map(str.strip, text.splitlines()), start=1):
        if is_data and content and not content.startswith("#"):
            yield line, content
        is_data = is_data or content.lower() == "@data"


def _numbers(channels: list[str]) -> Floats:
    """Series [C, T] of the texts of C channels. Raises ValueError where they are none."""
    if not channels:
        raise ValueError("one part only")
    rows = [
        [np.nan if cell.strip() == _MISSING else float(cell) for cell in channel.split(_VALUE)]
        for channel in channels
    ]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("its channels have different lengths")
    values = np.array(rows, np.float32)
    if np.isinf(values).any():
        raise ValueError("a value is infinite")
    return values
