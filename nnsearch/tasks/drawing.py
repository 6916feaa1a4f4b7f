"""What surrounds a model that draws: its album, its pictures' units, and pictures on demand.

Knows no loss and no measure of quality.

Shapes: B examples of a batch, D numbers of a picture laid flat.
"""

from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnsearch.errors import DataError, Problem, UsageError
from nnsearch.signature import Column, Signature
from nnsearch.tasks.metrics import Array
from nnsearch.tasks.shown import NOTE, as_bytes
from nnsearch.tasks.task import Served

Floats = npt.NDArray[np.float64]

# How many epochs' pictures are kept: those of the first, second, fourth, eighth ...
NUM_PAGES, PER_PAGE = 10, 16
NUM_TRIED = 256


@runtime_checkable
class Drawing(Protocol):
    """A model that draws on demand."""

    def draw(self, seeds: Tensor, classes: Tensor) -> Tensor:
        """Standardised pictures [B, D] of seeds [B] and, if it knows any, of classes [B]."""


class Album(nn.Module):
    """A model with the pictures that it drew after the first, second, fourth, eighth ... epoch."""

    pages: Tensor
    epochs: Tensor

    def __init__(self, model: nn.Module, decode: nn.Module, num_numbers: int) -> None:
        super().__init__()
        self.model = model
        # In a tuple, for it is the task's and no part of the model.
        self.decode = (decode,)
        self.num_channels = getattr(decode, "num_channels", None)
        self.register_buffer("pages", torch.zeros(NUM_PAGES, PER_PAGE, num_numbers))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """As the model: the loss [B, 1] in training, else [B, 1 + D].

        Raises UsageError where the images have other channels than the task was told.
        """
        # Not in evaluation, where a tracer would take the number for one that may change.
        if self.training and self.num_channels not in {None, x.shape[1]}:
            message = f"the task draws pictures of {self.num_channels} channels, not {x.shape[1]}."
            raise UsageError(message, f"Set channels = {x.shape[1]} in [task].")
        made: Tensor = self.model(x)
        return made

    def settle(self, outputs: Tensor, targets: Array) -> Tensor:
        """Keep this epoch's pictures where they are wanted; the outputs as they came."""
        del targets
        self.epochs += 1
        epoch = int(self.epochs)
        number = epoch.bit_length() - 1
        if epoch == 1 << number and number < NUM_PAGES:
            drawn = self.pictures_of(outputs[:PER_PAGE])
            self.pages[number, : len(drawn)] = drawn
        return outputs

    def pictures_of(self, outputs: Tensor) -> Tensor:
        """A model's outputs as pictures [B, D] in the units of the data, without their classes."""
        drawn: Tensor = self.decode[0](outputs.cpu())
        return drawn[:, -self.pages.shape[2] :]


class Picture(nn.Module):
    """Standardised numbers as pictures [B, D] in the units of the data.

    They stand behind a loss, [B, 1 + D], or behind the losses of K classes and the class that is
    drawn, [B, 2 + K + D]; then the class comes first in what is returned, [B, 1 + D].
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, pictures: Floats, num_channels: int, num_classes: int = 0) -> None:
        super().__init__()
        self.num_channels, self.num_classes = num_channels, num_classes
        if pictures.shape[1] % num_channels:
            message = f"pictures of {pictures.shape[1]} numbers have no {num_channels} channels."
            raise DataError([Problem("E327", message, hint="Set channels in [task].")])
        of_channel = pictures.reshape(len(pictures), num_channels, -1)
        num_pixels = of_channel.shape[2]
        mean, deviation = of_channel.mean((0, 2)), of_channel.std((0, 2))
        self.register_buffer("mean", torch.tensor(mean).float().repeat_interleave(num_pixels))
        self.register_buffer(
            "deviation", torch.tensor(deviation).float().repeat_interleave(num_pixels)
        )
        self.low, self.high = float(pictures.min()), float(pictures.max())

    def forward(self, outputs: Tensor) -> Tensor:
        """A model's outputs as pictures, within the values that training saw."""
        start = 2 + self.num_classes if self.num_classes else 1
        drawn = self.in_units(outputs[:, start:])
        if not self.num_classes:
            return drawn
        return torch.cat([outputs[:, start - 1 : start], drawn], dim=1)

    def in_units(self, drawn: Tensor) -> Tensor:
        """Standardised pictures [B, D] as they are in the data, within the values seen there."""
        return (drawn * self.deviation + self.mean).clamp(self.low, self.high)


class OnDemand(nn.Module):
    """A trained model that draws what is asked for: a seed, and before it a class if it knows any.

    A row without a seed, or of a class that there is not, gives a picture of NaN.
    """

    def __init__(self, model: Drawing, picture: Picture) -> None:
        super().__init__()
        self.model = model
        self.picture = picture

    def forward(self, rows: Tensor) -> Tensor:
        """[B, 1] or [B, 2] to pictures [B, D] in the units of the data."""
        classes, seeds = rows[:, 0], rows[:, -1]
        is_known = seeds == seeds  # noqa: PLR0124 - only NaN differs from itself
        if self.picture.num_classes:
            is_known = is_known & (classes >= 0) & (classes < self.picture.num_classes)
        wanted = torch.where(is_known[:, None], rows, 0).to(torch.int64)
        drawn = self.picture.in_units(self.model.draw(wanted[:, -1], wanted[:, 0]))
        return torch.where(is_known[:, None], drawn, torch.nan)


def served(model: nn.Module, picture: Picture, signature: Signature) -> Served | None:
    """The model on demand, tried with all classes in turn; None where it cannot draw on demand."""
    drawing = model.model if isinstance(model, Album) else model
    if not isinstance(drawing, Drawing):
        return None
    names = signature.names or tuple(map(str, range(picture.num_classes)))
    columns = (Column("class", "categorical", names), Column("seed"))
    rows = np.stack([np.arange(NUM_TRIED) % max(picture.num_classes, 1), np.arange(NUM_TRIED)], 1)
    start = 0 if picture.num_classes else 1
    asked = Signature(
        "table",
        (len(columns[start:]),),
        "float64",
        signature.target,
        columns[start:],
        names=tuple(f"pixel_{place + 1}" for place in range(prod(signature.shape))),
    )
    return Served(OnDemand(drawing, picture).eval(), asked, rows[:, start:].astype(np.float64))


def show(model: nn.Module, inputs: Tensor, targets: Array) -> dict[str, Array]:
    """Real images, and the model's pictures after some epochs and now."""
    if not isinstance(model, Album):
        return {}
    shape = (-1, *inputs.shape[1:])
    num_epochs = int(model.epochs)
    pages = model.pages.cpu().numpy()
    shown = {"real": np.asarray(targets)[:PER_PAGE, 1:]}
    for number in range(min(num_epochs.bit_length(), NUM_PAGES)):
        shown[f"epoch {1 << number}"] = pages[number]
    drawn = model.pictures_of(model(inputs[: 4 * PER_PAGE])).numpy()
    # The model draws a picture of each class in turn, if it knows any.
    in_turn = ", classes in turn" if getattr(model.decode[0], "num_classes", 0) else ""
    shown[f"epoch {num_epochs}, kept{in_turn}"] = drawn
    picture = model.decode[0]
    ends = (picture.low, picture.high) if isinstance(picture, Picture) else (None, None)
    note = np.array("each column of drawn images is of one seed; all share a scale of grey")
    return {NOTE: note} | {
        name: as_bytes(each.reshape(shape), *ends) for name, each in shown.items()
    }
