"""From arrays to examples: which axes are what, and counts that agree. Reads no file."""

from typing import Literal

import numpy as np

from nnsearch.data.examples import Array, Examples
from nnsearch.errors import Problem
from nnsearch.signature import Column, Signature

Kind = Literal["auto", "series"]
TABLE_AXES = 2
_GREY_AXES = 3
_MOST_CHANNELS = 4


def joined(parts: list[tuple[Array, Array]], target: str, kind: Kind = "auto") -> Examples:
    """One set of examples of the parts' inputs and targets; the second part is held out.

    Inputs of two axes are a table, of three images of one channel or, of the kind "series",
    channels; images of four axes have their channels first or last.
    """
    inputs = np.concatenate([each for each, _ in parts]) if len(parts) > 1 else parts[0][0]
    targets = np.concatenate([_plain(each) for _, each in parts])
    held_out = None
    if len(parts) > 1:
        held_out = np.arange(len(targets)) >= len(parts[0][1])
    if kind == "series":
        steps = (inputs[:, np.newaxis] if inputs.ndim == TABLE_AXES else inputs).astype(np.float32)
        signature = Signature("series", steps.shape[1:], "float32", target)
        return Examples(steps, targets, signature, held_out=held_out)
    if inputs.ndim == TABLE_AXES:
        columns = tuple(Column(f"x{place}") for place in range(inputs.shape[1]))
        signature = Signature("table", (len(columns),), "float64", target, columns)
        return Examples(inputs.astype(np.float64), targets, signature, held_out=held_out)
    pixels, notes = _channels_first(inputs)
    dtype: Literal["uint8", "float32"] = "uint8" if pixels.dtype == np.uint8 else "float32"
    signature = Signature("image", pixels.shape[1:], dtype, target)
    return Examples(
        pixels.astype(dtype, copy=False), targets, signature, held_out=held_out, notes=notes
    )


def count_problem(arrays: dict[str, Array], many: str, other: str, shown: str) -> list[Problem]:
    """A problem where two arrays that belong together are not equally long, or are empty."""
    counts = len(arrays[many]), len(arrays[other])
    if counts[0] == counts[1] > 0:
        return []
    message = f"{counts[0]} {many}, but {counts[1]} {other}."
    return [Problem("E332", message, shown, "Each needs one.")]


def shape_problem(ours: Array, test: Array, shown: str) -> list[Problem]:
    """A problem where examples of the test split are of another shape than the others."""
    if ours.shape[1:] == test.shape[1:]:
        return []
    message = f"test examples of shape {test.shape[1:]}, but others of {ours.shape[1:]}."
    return [Problem("E333", message, shown, "They have to agree.")]


def _channels_first(images: Array) -> tuple[Array, tuple[str, ...]]:
    if images.ndim == _GREY_AXES:
        return images[:, np.newaxis], ()
    if images.shape[3] <= _MOST_CHANNELS < images.shape[1]:
        return np.moveaxis(images, 3, 1), ("the last axis holds the channels: moved to the front",)
    return images, ()


def _plain(targets: Array) -> Array:
    if targets.dtype.kind in "bui":
        return targets.astype(np.int64)
    return targets.astype(np.float64 if targets.dtype.kind == "f" else object)
