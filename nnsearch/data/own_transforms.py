"""Transforms of the user's own that see more than train. Trains nothing and changes no data.

A transform is given the rows of train, and what it returns is applied to any rows. Statistics of
other rows come in by two ways: the module computes them of what it is applied to, or the function
reads the study's data itself.
"""

import importlib.util
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nnsearch.data.examples import Array, Examples
from nnsearch.data.findings import Finding
from nnsearch.data.watch import opened_files

Numbers = npt.NDArray[np.float64]

_MOST_ROWS, _MOST_VALUES = 2000, 20_000_000
_FEWEST_ROWS = 24
_LOOKED = 8
_SAME = 1e-3


class Chosen(NamedTuple):
    """A transform of the study: its name, its function and what the function is called with."""

    name: str
    function: Callable[..., nn.Module]
    options: Mapping[str, Any]

    @property
    def is_own(self) -> bool:
        """Whether it is code of the user's own."""
        return ".py:" in self.name


def named_files(root: Path, options: Mapping[str, Any]) -> set[str]:
    """The real paths of the files that a source's options name, by the rules of `find_files`."""
    base = root / str(options.get("data_root", ""))
    named = [base / each for each in options.values() if isinstance(each, str) and each]
    return {str(each.resolve()) for each in named if each.is_file()}


def leaky_transforms(
    chosen: Sequence[Chosen], train: Examples, *, root: Path, data: Collection[str]
) -> Iterator[Finding]:
    """An error for each transform of the user's own that uses other rows than those of train.

    `data` are the real paths of the study's data. At most 2,000 rows of train are fitted, drawn
    with a fixed seed, and the file of such a transform is run once more, for it may read where it
    is imported. One that fails here cannot be judged, which is a warning.
    """
    if not any(each.is_own for each in chosen):
        return
    size = max(1, int(np.prod(train.inputs.shape[1:])))
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // size))
    drawn = np.random.default_rng(0).permutation(train.num_rows)[:most]
    seen = train.take(np.sort(drawn))
    for each in chosen:
        code = (root / each.name.rpartition(":")[0]).resolve()
        with opened_files(code) as opened:
            outputs, found = _tried(each, seen, code)
        if each.is_own:
            yield from (_reads(each.name, path, at) for path, at in opened.items() if path in data)
        yield from found
        if outputs is None:
            return
        seen = replace(seen, inputs=outputs)


def _tried(chosen: Chosen, seen: Examples, code: Path) -> tuple[Array | None, list[Finding]]:
    """The rows as a transform leaves them, None where it fails, and what was found."""
    function = (_anew(code, chosen) if chosen.is_own else None) or chosen.function
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            module = function(seen, **chosen.options).eval()
            differs = _differing(module, np.asarray(seen.inputs)) if chosen.is_own else None
            outputs = _applied(module, np.asarray(seen.inputs))
    except Exception as error:  # noqa: BLE001 - code of the user's own may raise anything
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        message = f"the transform '{chosen.name}' fails on rows of train: {reason}."
        return None, [Finding("warning", "W393", message, "Trials that fit it so will fail.")]
    if differs is None:
        return outputs, []
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", None)
    file = chosen.name.rpartition(":")[0]
    return outputs, [_depends(chosen.name, differs, f"{file}:{line}" if line else file)]


def _reads(name: str, path: str, at: str) -> Finding:
    message = (
        f"the transform '{name}' reads {Path(path).name} itself, in which are the rows of valid and"
        " test."
    )
    hint = "Fit it on the examples that it is given: they are those of train. Or set allow_leaky."
    return Finding("error", "E359", message, hint, where=at)


def _depends(name: str, values: tuple[float, float], at: str) -> Finding:
    message = (
        f"the transform '{name}' gives a row other values beside other rows ({values[0]:.4g} and"
        f" {values[1]:.4g}): it is fitted on whatever it is applied to, test rows too."
    )
    hint = (
        "Compute statistics once, in the function, of the examples that it is given, and keep them"
        " as buffers of the module. Or set allow_leaky."
    )
    return Finding("error", "E359", message, hint, where=at)


def _anew(code: Path, chosen: Chosen) -> Callable[..., nn.Module] | None:
    """The function of a file that is run again; None where it cannot be run twice."""
    spec = importlib.util.spec_from_file_location(f"nnsearch_watched_{code.stem}", code)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception:  # noqa: BLE001 - it ran before, so this is no fault of the study
        return None
    found: Callable[..., nn.Module] | None = getattr(module, chosen.name.rpartition(":")[2], None)
    return found


def _differing(module: nn.Module, inputs: Array) -> tuple[float, float] | None:
    """Two values of one cell of a few rows, beside some rows and beside others; None if equal."""
    if len(inputs) < _FEWEST_ROWS:
        return None
    few, rest = inputs[:_LOOKED], inputs[_LOOKED:]
    half = len(rest) // 2
    beside = [np.concatenate([few, each]) for each in (rest[:half], rest[:half], rest[half:])]
    found = [_applied(module, each)[:_LOOKED].astype(np.float64) for each in beside]
    if any(each.shape != found[0].shape for each in found) or not _is_same(*found[:2]).all():
        return None  # it is drawn by chance, which is another matter
    others = np.argwhere(~_is_same(found[0], found[2]))
    if not len(others):
        return None
    cell = tuple(others[0].tolist())
    return float(found[0][cell]), float(found[2][cell])


def _is_same(one: Numbers, other: Numbers) -> npt.NDArray[np.bool_]:
    # Sums of many numbers depend a little on how they are divided.
    scale = float(np.nanmax(np.abs(one), initial=0.0))
    return np.isclose(one, other, rtol=_SAME, atol=_SAME * min(1.0, scale), equal_nan=True)


def _applied(module: nn.Module, inputs: Array) -> Array:
    found: torch.Tensor = module(torch.from_numpy(np.array(inputs)))
    return found.numpy()
