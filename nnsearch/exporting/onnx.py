"""Predictors as one ONNX file. Knows no manifest, no signature and no study."""

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import nn

from nnsearch.errors import UsageError
from nnsearch.exporting.standalone import MODEL
from nnsearch.study.folder import write_whole

MIN_EXAMPLES = 2
TRACED_OPSET = 20  # the last that torch's older exporter writes
Opset = Annotated[int, Ge(18), Le(23)]

# What torch says here is about its own insides: torchvision is absent, a pytree is deprecated.
_TALKATIVE = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")


def onnx(predictor: nn.Module, example: np.ndarray, folder: Path, *, opset: Opset = 20) -> Path:
    """Write `folder/model.onnx`, weights inside, and return its path.

    `example` holds raw rows [B, *shape], two at least: torch takes an axis of length one for a
    constant. The input `inputs` and the output `predictions` have a free first axis. Nothing of
    this machine stays in the file, so that equal weights give equal bytes. Raises UsageError where
    a package is missing or the predictor holds something that ONNX cannot express.
    """
    require("onnx")
    if len(example) < MIN_EXAMPLES:
        raise UsageError("an export needs an example of two rows.", f"It has {len(example)}.")
    module = copy.deepcopy(predictor).to("cpu").eval()
    rows = torch.from_numpy(np.array(example))
    model = _without_traces(_traced(module, rows, opset) or _exported(module, rows, opset))
    path = folder / MODEL
    content: bytes = model.SerializeToString(deterministic=True)
    write_whole(path, lambda temporary: temporary.write_bytes(content))
    return path


def require(*packages: str) -> None:
    """Raise UsageError, with the command that helps, where a package is not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        message = f"{' and '.join(missing)} {verb} not installed."
        raise UsageError(message, "Type: pip install 'nnsearch[export]'")


def _traced(module: nn.Module, example: torch.Tensor, opset: int) -> Any:
    """The model by torch's older exporter, a twentieth of the newer one's time, or None.

    It records what one call does, so a branch or a batch size would be written down as this call
    took it. None is returned where torch warns of the first or other batches show the second.
    """
    import onnx as onnx_package

    if opset > TRACED_OPSET:
        return None
    with _quiet(), torch.no_grad(), tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        try:
            traced = _trace(module, example)
            if traced is None:
                return None
            torch.onnx.export(
                traced,
                (example,),
                file.name,
                input_names=["inputs"],
                output_names=["predictions"],
                dynamic_axes={"inputs": {0: "batch"}, "predictions": {0: "batch"}},
                opset_version=opset,
                dynamo=False,
            )
        except Exception:  # noqa: BLE001 - the newer exporter can do more, and says what is wrong
            return None
        return onnx_package.load(file.name)


def _trace(module: nn.Module, example: torch.Tensor) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # as an error it would come out of C++ as something else
        traced = torch.jit.trace(module, (example,), check_trace=False)
    if any(each.category.__name__ == "TracerWarning" for each in caught):
        return None
    batches = (example[:1], torch.cat([example, example[:1]]))
    is_free = all(_is_alike(traced(batch), module(batch)) for batch in batches)
    return traced if is_free else None


def _is_alike(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, equal_nan=True)


def _exported(module: nn.Module, example: torch.Tensor, opset: int) -> Any:
    require("onnxscript")
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                input_names=["inputs"],
                output_names=["predictions"],
                dynamic_shapes=({0: "batch"},),
                opset_version=opset,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise UsageError(
            f"this predictor cannot be exported to ONNX: {reason}",
            "Its transforms, model and decoding must be traceable by torch.export.",
        ) from error
    if program is None:
        raise UsageError("torch exported nothing.", "Upgrade torch and onnxscript.")
    return program.model_proto


def _without_traces(model: Any) -> Any:
    """Drop the notes on where each node comes from: they hold source lines and paths."""
    del model.metadata_props[:]
    graphs = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        del graph.metadata_props[:]
        graph.doc_string = ""
        values = [getattr(graph, name, ()) for name in ("input", "output", "initializer")]
        for part in [*graph.node, *graph.value_info, *(part for each in values for part in each)]:
            if hasattr(part, "metadata_props"):  # a function's inputs are plain text
                del part.metadata_props[:]
                part.doc_string = ""
        graphs += [each.g for node in graph.node for each in node.attribute if each.HasField("g")]
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
