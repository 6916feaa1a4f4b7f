"""Predictions of a model on a whole split. Knows nothing of training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.training.material import Material

ROWS_AT_ONCE = 2048


def predict(
    model: nn.Module, material: Material, precision: str = "float32"
) -> tuple[np.ndarray[Any, Any], float]:
    """Predictions [N, P] on the validation split, float32, and the mean loss over it."""
    outputs = forward(model, material.valid, precision)
    loss = material.task.losses(outputs, material.valid_targets).mean()
    with torch.no_grad():
        decoded = material.task.decode(outputs.cpu())
    return np.ascontiguousarray(decoded.float().numpy()), float(loss)


def forward(model: nn.Module, inputs: Tensor, precision: str = "float32") -> Tensor:
    """The model's raw outputs [N, O], in evaluation mode, without gradients."""
    model.eval()
    is_mixed = precision == "bfloat16"
    with torch.no_grad(), torch.autocast(inputs.device.type, torch.bfloat16, enabled=is_mixed):
        chunks = [model(chunk) for chunk in inputs.split(ROWS_AT_ONCE)]
    outputs = torch.cat(chunks)
    return outputs.float() if is_mixed else outputs


def save_predictions(
    path: Path, predictions: np.ndarray[Any, Any], targets: np.ndarray[Any, Any]
) -> None:
    """Write predictions [N, P] and raw targets [N] as npz."""
    with path.open("wb") as file:
        np.savez(file, predictions=predictions, targets=targets)
