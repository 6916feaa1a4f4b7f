"""Whether an exported model says what torch says. Knows no manifest and no study."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from nnsearch.errors import IntegrityError
from nnsearch.exporting import standalone
from nnsearch.exporting.onnx import require

TOLERANCE = 1e-5


def parity(
    predictor: nn.Module, model_path: Path, inputs: np.ndarray, *, tolerance: float = TOLERANCE
) -> float:
    """The largest absolute difference between ONNX Runtime and torch over raw rows [N, *shape].

    The rows go through both as one batch, and the first alone, for a batch of one is what a
    server sees most. Raises IntegrityError where a prediction of torch and the exported one differ
    by more than `tolerance` x the largest absolute prediction of its column, or 1, for rounding is
    relative to a target's scale and not to a value that is 0 by chance; or where one of them alone
    is not finite.
    """
    require("onnxruntime")
    session = standalone.open_session(model_path.read_bytes())
    scale = _scale(torch_predictions(predictor, inputs))
    largest = 0.0
    for rows in (inputs, inputs[:1]):
        wanted = torch_predictions(predictor, rows)
        exported = standalone.run(session, rows)
        if exported.shape != wanted.shape:
            raise IntegrityError(
                f"{model_path} returns shape {exported.shape} where torch returns {wanted.shape}."
            )
        difference = _differences(exported, wanted)
        is_far = difference > tolerance * scale
        if is_far.any():
            raise IntegrityError(
                f"{model_path} and torch differ by {np.max(difference[is_far]):.3g} "
                f"in {int(is_far.any(axis=1).sum())} of {len(rows)} rows.",
                f"At most {tolerance:g} is allowed; the model was not exported.",
            )
        largest = max(largest, float(np.max(difference, initial=0.0)))
    return largest


def torch_predictions(predictor: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """What the predictor itself says of raw rows: [N, P], on the device where it lies."""
    device = next((each.device for each in predictor.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        predictions = predictor(torch.from_numpy(np.array(inputs)).to(device))
    array: np.ndarray = predictions.cpu().numpy()
    return array


def _scale(predictions: np.ndarray) -> np.ndarray:
    """The largest finite absolute value of each column [P], at least 1."""
    sizes = np.where(np.isfinite(predictions), np.abs(predictions), 0.0)
    largest: np.ndarray = sizes.max(axis=0, initial=1.0)
    return largest


def _differences(exported: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Absolute differences [N, P] in float64: 0 where both are the same infinity or both NaN."""
    exported, wanted = exported.astype(np.float64), wanted.astype(np.float64)
    is_same = (exported == wanted) | (np.isnan(exported) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        difference = np.where(is_same, 0.0, np.abs(exported - wanted))
    return np.where(np.isnan(difference), np.inf, difference)
