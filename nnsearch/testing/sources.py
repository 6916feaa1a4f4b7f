"""The contracts of a source and of a transform. Know no file format, no split and no model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.data.examples import Examples
from nnsearch.testing.conformance import (
    copied_state,
    draws_nothing,
    is_finite,
    require,
    same_bits,
    same_tensors,
    stored,
    title,
)

Options = Mapping[str, Any]
# What the inputs of each kind of data may be; texts are objects until they are prepared.
DTYPES = {
    "table": ("float64",),
    "image": ("uint8", "float32"),
    "series": ("float32",),
    "text": ("object", "int32"),
}
CLOSE = 1e-5


def check_source(
    source: Callable[..., Examples], root: Path, *, options: Options | None = None
) -> None:
    """Raise ConformanceError where `source(root, **options)` gives no examples as they should be.

    Inputs, targets and what else there is of each row are equally many and of the type and shape
    that the signature promises; a category and a class are numbers of one that is named; a second
    reading gives the same bits; and nothing below `root` is written.
    """
    name, options = title(source), options or {}
    before = _files(root)
    with draws_nothing(name):
        examples = source(root, **options)
        again = source(root, **options)
    require(_files(root) == before, name, "it writes into the study's folder.")
    require(isinstance(examples, Examples), name, f"it returns {type(examples).__name__}.")
    require(_digest(examples) == _digest(again), name, "a second reading gives other examples.")
    require(examples.num_rows, name, "it has no row.")
    _check_lengths(examples, name)
    _check_inputs(examples, name)
    _check_targets(examples, name)


def check_transform(
    make: Callable[..., nn.Module],
    train: Examples,
    other: Examples,
    *,
    options: Options | None = None,
) -> None:
    """Raise ConformanceError where `make(train, **options)` is no transform as it should be.

    It is fitted on `train` alone: rows of `other`, such as a valid split's, change nothing of it,
    and each row is transformed by itself, whatever stands beside it. It is a module with buffers
    and no parameters, gives finite float32 numbers, leaves the examples as they were, fits the
    same twice, and a checkpoint holds all of it.
    """
    name, options = title(make), options or {}
    before = _digest(train)
    with draws_nothing(name):
        transform, again = make(train, **options), make(train, **options)
    require(_digest(train) == before, name, "it changes the examples that it is fitted on.")
    require(isinstance(transform, nn.Module), name, f"it returns {type(transform).__name__}.")
    require(not list(transform.parameters()), name, "it has parameters; they should be buffers.")
    fitted = copied_state(transform.eval())
    require(same_tensors(fitted, again.state_dict()), name, "fitted twice, it differs.")
    ours, theirs = _rows(train), _rows(other)
    alone = _applied(transform, ours, name)
    mixed = _applied(transform, torch.cat([theirs, ours]), name)[len(theirs) :]
    require(same_tensors(fitted, transform.state_dict()), name, "rows of another split change it.")
    require(
        torch.allclose(alone, mixed, rtol=CLOSE, atol=CLOSE, equal_nan=True),
        name,
        "what becomes of a row depends on the rows beside it.",
    )
    later = _applied(make(train, **options).eval(), ours, name)
    require(same_bits(alone, later), name, "what it has seen since changes how it is fitted.")
    _check_restored(make, train, options, wanted=(fitted, alone), name=name)


def _check_restored(
    make: Callable[..., nn.Module],
    train: Examples,
    options: Options,
    *,
    wanted: tuple[dict[str, Tensor], Tensor],
    name: str,
) -> None:
    """Its buffers are all that is fitted: with others loaded over, it does what it did."""
    fitted, outputs = wanted
    restored = make(train, **options).eval()
    for buffer in restored.buffers():
        buffer.copy_(~buffer if buffer.dtype == torch.bool else buffer + 1)
    restored.load_state_dict(stored(fitted, name))
    require(
        same_bits(outputs, _applied(restored, _rows(train), name)),
        name,
        "a checkpoint does not hold all of it.",
    )


def _applied(transform: nn.Module, rows: Tensor, name: str) -> Tensor:
    with torch.no_grad():
        outputs = transform(rows)
    require(isinstance(outputs, Tensor), name, f"it gives {type(outputs).__name__}, no tensor.")
    require(len(outputs) == len(rows), name, f"it makes {len(outputs)} rows of {len(rows)}.")
    is_real = not outputs.is_floating_point() or outputs.dtype == torch.float32
    require(is_real, name, f"it gives {outputs.dtype}, not float32.")
    is_ok = not outputs.is_floating_point() or is_finite(outputs)
    require(is_ok, name, "it gives numbers that are not finite.")
    result: Tensor = outputs
    return result


def _rows(examples: Examples) -> Tensor:
    return torch.from_numpy(np.array(examples.inputs))


def _check_lengths(examples: Examples, name: str) -> None:
    for what in ("inputs", "groups", "times", "held_out"):
        values = getattr(examples, what)
        if values is not None:
            message = f"{len(values)} {what}, but {examples.num_rows} targets."
            require(len(values) == examples.num_rows, name, message)
    if examples.held_out is not None:
        require(not examples.held_out.all(), name, "every row is held out: nothing is to train on.")


def _check_inputs(examples: Examples, name: str) -> None:
    signature, inputs = examples.signature, examples.inputs
    if inputs.dtype == object:
        return  # texts, which become tokens when they are prepared
    message = f"inputs of shape {inputs.shape[1:]}, but its signature says {signature.shape}."
    require(tuple(inputs.shape[1:]) == tuple(signature.shape), name, message)
    allowed = DTYPES.get(signature.kind, (str(inputs.dtype),))
    message = f"inputs of {inputs.dtype}, which {signature.kind} data are not."
    require(str(inputs.dtype) in allowed, name, message)
    require(str(inputs.dtype) == signature.dtype, name, f"its signature says {signature.dtype}.")
    if signature.kind in {"table", "image"}:
        is_bad = np.isinf(inputs) if signature.kind == "table" else ~np.isfinite(inputs)
        require(not is_bad.any(), name, "inputs are not finite.")
    if signature.columns:
        message = f"{len(signature.columns)} columns, but {signature.shape} numbers."
        require(len(signature.columns) == signature.shape[0], name, message)
    for place, column in enumerate(signature.columns):
        if column.kind == "categorical":
            codes = inputs[:, place]
            codes = codes[~np.isnan(codes)]
            is_code = np.isin(codes, np.arange(len(column.categories)))
            require(is_code.all(), name, f"column '{column.name}' has a cell of no category.")


def _check_targets(examples: Examples, name: str) -> None:
    labels, targets = examples.signature.labels, examples.targets
    if labels:
        require(targets.dtype.kind in "iu", name, f"it names labels, but targets {targets.dtype}.")
        is_class = np.isin(targets, np.arange(len(labels)))
        require(is_class.all(), name, "a target is of no class.")
    elif targets.dtype.kind == "f":
        require(np.isfinite(targets).all(), name, "targets are not finite.")


def _digest(examples: Examples) -> object:
    """All of the examples in a form that can be compared."""
    arrays = {
        key: None if value is None else (value.dtype.str, value.shape, _bytes(value))
        for key in ("inputs", "targets", "groups", "times", "held_out")
        for value in [getattr(examples, key)]
    }
    rest = replace(examples, inputs=np.empty(0), targets=np.empty(0))
    return arrays, rest.signature, rest.notes


def _bytes(array: Any) -> bytes:
    return repr(array.tolist()).encode() if array.dtype == object else array.tobytes()


def _files(root: Path) -> dict[str, tuple[int, int]]:
    found = sorted(root.rglob("*")) if root.is_dir() else []
    return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in found}
