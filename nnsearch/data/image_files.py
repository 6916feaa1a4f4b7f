"""Many image files as one array. Knows no folder's layout, no target and no split."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from nnsearch.data.decoding import GREY_MODES, ImageError, Source, TooLargeError, decode, look
from nnsearch.errors import DataError, Problem

Side = Annotated[int, Ge(1), Le(4096)]
Fit = Literal["stretch", "crop", "pad"]
Channels = Literal["auto", "grey", "rgb"]
Broken = Literal["refuse", "leave_out"]

_LISTED = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What images are to become; a `size` of None is that which all have."""

    size: tuple[int, int] | None
    fit: Fit
    channels: Channels
    broken: Broken


@dataclass(frozen=True, slots=True)
class Read:
    """Pixels uint8 [M, C, H, W] of those `kept` among the files [N], and what was done to them."""

    pixels: npt.NDArray[np.uint8]
    kept: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def wanted(
    size: Side | None, width: Side | None, fit: Fit, *, channels: Channels, broken: Broken
) -> Wanted:
    """The options of a source of images; raises DataError for a width without a height."""
    if width is not None and size is None:
        raise DataError([Problem("E333", "width is given, but no size.", hint="Give both.")])
    sides = None if size is None else (size, size if width is None else width)
    return Wanted(sides, fit, channels, broken)


def read_images(files: Sequence[Source], names: Sequence[str], how: Wanted) -> Read:
    """The pixels of all files in their order; `names` are what messages call them.

    Raises DataError for images that are too large, are of several sizes where none is wanted, or
    need more memory than there is, and for broken ones unless they are to be left out.
    """
    heads: dict[int, tuple[str, tuple[int, int]]] = {}
    faults: dict[int, ImageError] = {}
    for place, file in enumerate(files):
        try:
            heads[place] = look(file)
        except ImageError as error:
            faults[place] = error
    # Those that break later are to be counted as well: only what stops here is told here.
    _refuse(faults, names, "leave_out")
    modes = Counter(mode for mode, _ in heads.values())
    is_grey = modes.keys() <= GREY_MODES if how.channels == "auto" else how.channels == "grey"
    num_channels = 1 if is_grey else 3
    sizes = {how.size} if how.size else {size for _, size in heads.values()}
    _refuse_sizes(sizes, len(heads) * num_channels)
    pixels = np.empty((len(heads), num_channels, *next(iter(sizes))), np.uint8)
    kept: list[int] = []
    for place in heads:
        try:
            made = decode(files[place], num_channels, how.size, how.fit)
        except ImageError as error:
            faults[place] = error
            continue
        if made.shape == pixels.shape[1:]:
            pixels[len(kept)] = made
            kept.append(place)
        else:
            faults[place] = ImageError("it is turned on its side, which its head does not say")
    _refuse(faults, names, how.broken)
    mask = np.zeros(len(files), dtype=bool)
    mask[kept] = True
    notes = [*_converted(modes, "L" if is_grey else "RGB"), *_left_out(faults, names)]
    return Read(pixels[: len(kept)], mask, tuple(notes))


def _refuse(faults: dict[int, ImageError], names: Sequence[str], broken: Broken) -> None:
    """Raise DataError for the first image of each kind of fault, with how many there are."""
    kinds: dict[str, tuple[str, type[ImageError], str]] = {
        "E346": ("have too many pixels", TooLargeError, "Make them smaller."),
        "E345": (
            "cannot be read",
            ImageError,
            'Replace them, or set broken = "leave_out".',
        ),
    }
    left, problems = dict(faults), []
    for code, (what, kind, hint) in kinds.items():
        found = sorted(place for place, error in left.items() if isinstance(error, kind))
        is_let_through = code == "E345" and broken == "leave_out" and len(found) < len(names)
        if found and not is_let_through:
            message = f"{len(found)} of {len(names)} images {what}, the first here: "
            problems.append(Problem(code, f"{message}{left[found[0]]}.", names[found[0]], hint))
        left = {place: error for place, error in left.items() if place not in found}
    if problems:
        raise DataError(problems)


def _refuse_sizes(sizes: set[tuple[int, int]], num_planes: int) -> None:
    if len(sizes) > 1:
        low, high = min(sizes), max(sizes)
        message = (
            f"the images are of {len(sizes)} sizes, such as {low[0]} x {low[1]} and "
            f"{high[0]} x {high[1]} pixels (height x width)."
        )
        raise DataError([Problem("E333", message, hint="Set size, such as size = 64.")])
    height, width = next(iter(sizes))
    num_bytes = num_planes * height * width
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > memory // 2:
        message = f"the images take {num_bytes / 1e9:.1f} GB, over half of this machine's memory."
        raise DataError([Problem("E346", message, hint="Set a smaller size.")])


def _converted(modes: Counter[str], mode: str) -> list[str]:
    others = [f"{count} of mode {each}" for each, count in sorted(modes.items()) if each != mode]
    return [f"images are read as {mode}: {', '.join(others)}"] if others else []


def _left_out(faults: dict[int, ImageError], names: Sequence[str]) -> list[str]:
    if not faults:
        return []
    places = sorted(faults)
    listed = ", ".join(f"{names[place]} ({faults[place]})" for place in places[:_LISTED])
    more = ", ..." if len(places) > _LISTED else ""
    return [f"{len(places)} images cannot be read: left out, as broken asks: {listed}{more}"]
