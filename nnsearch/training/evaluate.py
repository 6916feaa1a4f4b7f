"""Predictions of a model on a whole split. Knows nothing of training."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.tasks.task import Settling
from nnsearch.training.material import Material

ROWS_AT_ONCE = 2048
PIXELS_AT_ONCE = 2**18  # of images, of which a convolution makes many times as many values
SHOWN = "shown/"


def predict(
    model: nn.Module, material: Material, precision: str = "float32"
) -> tuple[np.ndarray[Any, Any], float]:
    """Predictions [N, P] on the validation split, float32, and the mean loss over it.

    What a model settles on that split, it settles here.
    """
    outputs = forward(model, material.valid, precision)
    if isinstance(model, Settling):
        outputs = model.settle(outputs, material.valid_raw)
    loss = material.task.losses(outputs, material.valid_targets).mean()
    with torch.no_grad():
        decoded = material.task.decode(outputs.cpu())
    return np.ascontiguousarray(decoded.float().numpy()), float(loss)


def forward(model: nn.Module, inputs: Tensor, precision: str = "float32") -> Tensor:
    """The model's raw outputs [N, O], in evaluation mode, without gradients."""
    model.eval()
    is_mixed = precision == "bfloat16"
    with torch.no_grad(), torch.autocast(inputs.device.type, torch.bfloat16, enabled=is_mixed):
        chunks = [model(chunk) for chunk in inputs.split(_rows_at_once(inputs))]
    outputs = torch.cat(chunks)
    return outputs.float() if is_mixed else outputs


def _rows_at_once(inputs: Tensor) -> int:
    is_image = inputs.dim() == 4  # noqa: PLR2004 - [N, C, H, W]
    return max(1, PIXELS_AT_ONCE // inputs[0].numel()) if is_image else ROWS_AT_ONCE


def show(model: nn.Module, material: Material) -> dict[str, np.ndarray[Any, Any]]:
    """What the task has to show of a trained model, if it has anything."""
    if material.task.show is None:
        return {}
    model.eval()
    with torch.no_grad():
        return material.task.show(model, material.valid, material.valid_raw)


def save_predictions(
    path: Path,
    predictions: np.ndarray[Any, Any],
    targets: np.ndarray[Any, Any],
    shown: Mapping[str, np.ndarray[Any, Any]] = MappingProxyType({}),
    *,
    groups: np.ndarray[Any, Any] | None = None,
) -> None:
    """Write predictions [N, P] and raw targets [N] as npz, and under `shown/` what `show` gave.

    `groups` [N] are those of the rows, where they come in groups.
    """
    named = {f"{SHOWN}{name}": images for name, images in shown.items()}
    named |= {} if groups is None else {"groups": np.asarray(groups)}
    with path.open("wb") as file:
        np.savez(file, predictions=predictions, targets=targets, **named)  # type: ignore[arg-type]
