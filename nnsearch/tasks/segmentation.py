"""A class for each pixel of an image. Knows no model and no class's name.

Shapes: N examples, C classes, H height, W width, S = H * W pixels; `...` any leading axes.
"""

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.components import Share
from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, confusion
from nnsearch.tasks.shown import NOTE
from nnsearch.tasks.task import Masks, Task

DIRECTIONS: dict[str, Direction] = {
    "iou": "maximize",
    "iou_of_things": "maximize",
    "dice": "maximize",
    "dice_of_things": "maximize",
    "pixel_accuracy": "maximize",
}
NUM_SHOWN = 10
IMAGE_AXES = 4
SMOOTH = 1.0
# Vermilion, blue, green and purple of Okabe and Ito, which the colour-blind tell apart as well.
TINT_NAMES = ("orange", "blue", "green", "purple")
TINTS = ((0.84, 0.37, 0.0), (0.0, 0.45, 0.7), (0.0, 0.62, 0.45), (0.8, 0.47, 0.65))
OPAQUE = 0.65


class Pixels(nn.Module):
    """Each pixel's probabilities: outputs [B, C * S], class by class, to the same shape."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, outputs: Tensor) -> Tensor:
        """[B, C * S] to [B, C * S]."""
        shares: Tensor = outputs.unflatten(1, (self.num_classes, -1)).softmax(1).flatten(1)
        return shares


def segmentation(targets: Masks, *, dice: Share = 0.0) -> Annotated[Task, DIRECTIONS]:
    """The mean cross-entropy over pixels [N, H, W]; predictions are C * H * W probabilities.

    With `dice` that share of the loss is 1 - the mean soft Dice coefficient of the classes in an
    image (Milletari et al., V-Net, 2016), which does not drown small things in background. IoU and
    Dice are of all pixels of a split together, and means over the classes that are there; "of
    things" leaves out class 0, the background. Raises DataError where the training split has one
    class only.
    """
    num_classes = int(targets.max()) + 1
    if num_classes == 1:
        message = "the masks of the training split have one class only."
        raise DataError([Problem("E301", message, hint="Is it the right array?")])

    def losses(outputs: Tensor, encoded: Tensor) -> Tensor:
        logs = torch.log_softmax(outputs.unflatten(-1, (num_classes, -1)), dim=-2)
        wanted = encoded.expand(*logs.shape[:-2], -1)
        found = -logs.gather(-2, wanted.unsqueeze(-2)).squeeze(-2).mean(-1)
        if not dice:
            return found
        truth = F.one_hot(wanted, num_classes).transpose(-1, -2).to(logs)
        shares = logs.exp()
        both = (shares * truth).sum(-1)
        coefficients = (2 * both + SMOOTH) / (shares.sum(-1) + truth.sum(-1) + SMOOTH)
        return (1 - dice) * found + dice * (1 - coefficients.mean(-1))

    return Task(
        outputs=num_classes * targets[0].size,
        encode=lambda raw: _encode(raw, num_classes),
        losses=losses,
        decode=Pixels(num_classes),
        metrics=segmentation_metrics,
        directions=DIRECTIONS,
        baseline="constant",
        show=_show,
    )


def segmentation_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Metrics of probabilities [N, C * S] against classes [N, H, W].

    A class that is neither in the truth nor in the prediction does not count.
    """
    truth = np.asarray(targets, np.int64).reshape(len(targets), -1)
    predicted = _classes(predictions, truth.shape[1])
    # A class that train lacks is in no prediction: its pixels are missed.
    num_classes = max(predictions.shape[1] // truth.shape[1], int(truth.max()) + 1)
    counts = confusion(predicted.ravel(), truth.ravel(), num_classes)
    hits = np.diagonal(counts).astype(np.float64)
    both = counts.sum(axis=0) + counts.sum(axis=1)
    there = both > 0
    iou, dice = hits / np.maximum(both - hits, 1), 2 * hits / np.maximum(both, 1)
    things = there & (np.arange(num_classes) > 0)
    return {
        "iou": float(iou[there].mean()),
        "iou_of_things": float(iou[things].mean()) if things.any() else 1.0,
        "dice": float(dice[there].mean()),
        "dice_of_things": float(dice[things].mean()) if things.any() else 1.0,
        "pixel_accuracy": float(hits.sum() / max(counts.sum(), 1)),
    }


def _classes(predictions: Array, num_pixels: int) -> npt.NDArray[np.int64]:
    """The most probable class of each pixel, [N, S]."""
    shares = np.asarray(predictions, np.float32).reshape(len(predictions), -1, num_pixels)
    found: npt.NDArray[np.int64] = shares.argmax(axis=1).astype(np.int64)
    return found


def _encode(targets: Array, num_classes: int) -> Tensor:
    classes = np.array(targets, np.int64).reshape(len(targets), -1)
    if classes.size and int(classes.max()) >= num_classes:
        message = f"class {classes.max()} is in a mask but in none of the training split."
        raise DataError([Problem("E303", message, hint="Leave its rows out, or add some.")])
    return torch.from_numpy(classes)


def _show(model: nn.Module, inputs: Tensor, targets: Array) -> dict[str, Array]:
    """Some images, their masks and the model's."""
    if inputs.dim() != IMAGE_AXES:
        return {}
    masks = np.asarray(targets[:NUM_SHOWN], np.int64)
    outputs = model(inputs[: len(masks)]).cpu().numpy()
    predicted = _classes(outputs, masks[0].size).reshape(masks.shape)
    images = inputs[: len(masks)].cpu().numpy()
    num_classes = outputs.shape[1] // masks[0].size
    legend = [f"{each} is class {place}" for place, each in enumerate(TINT_NAMES, 1)]
    again = "; then the colours begin again" if num_classes > len(TINTS) + 1 else ""
    return {
        NOTE: np.array(f"validation rows; {', '.join(legend[: num_classes - 1])}{again}"),
        "image": images,
        "mask": _over(images, masks),
        "predicted": _over(images, predicted),
        "wrong pixels": predicted != masks,
    }


def _over(images: Array, masks: npt.NDArray[np.int64]) -> Array:
    """Each mask [H, W] over its image in grey, [3, H, W]: a colour for each class but class 0."""
    grey = np.asarray(images, np.float64).mean(axis=1)
    low, high = grey.min(axis=(1, 2), keepdims=True), grey.max(axis=(1, 2), keepdims=True)
    grey = (grey - low) / np.maximum(high - low, 1e-12)
    tints = np.array(TINTS)[np.maximum(masks - 1, 0) % len(TINTS)]
    share = np.where(masks > 0, OPAQUE, 0.0)[..., None]
    return np.moveaxis((1 - share) * grey[..., None] + share * tints, -1, 1)
