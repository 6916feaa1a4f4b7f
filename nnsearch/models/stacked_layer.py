"""What a stacked layer is, and where the weights of K trials lie. Knows no layer in particular.

The weights of a trial are one row of a [K, P] tensor, so that an optimizer sees K rows and a trial
leaves the group as a row. Each array begins at a multiple of 64 bytes: matrix products then give
the same bits in whichever row a trial stands.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor

ALIGNED = 16  # float32 numbers in 64 bytes

Shape = tuple[int, ...]


class NotStackableError(Exception):
    """A module has no stacked form; its trial is trained alone."""


class Layer(NamedTuple):
    """`forward(x)`, then at most once `backward(gradient of the output)`.

    `backward` writes the gradients of the layer's weights and returns the input's.
    """

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each named array of one trial lies in its row of P numbers."""

    shapes: dict[str, Shape]
    offsets: dict[str, int]
    size: int

    def view(self, rows: Tensor, name: str) -> Tensor:
        """The array of every row of [K, P], as [K, *shape]."""
        shape, start = self.shapes[name], self.offsets[name]
        return rows[:, start : start + prod(shape)].view(-1, *shape)

    def pack(self, arrays: Iterable[dict[str, Tensor]], like: Tensor) -> Tensor:
        """Named arrays of K trials as rows [K, P]; what lies between is 0."""
        given = list(arrays)
        rows = like.new_zeros((len(given), self.size))
        for name in self.shapes:
            self.view(rows, name).copy_(torch.stack([each[name] for each in given]))
        return rows

    def unpack(self, row: Tensor) -> dict[str, Tensor]:
        """The named arrays of one row [P], copied."""
        return {name: self.view(row[None], name)[0].clone() for name in self.shapes}


def lay_out(arrays: Iterable[tuple[str, Tensor]]) -> Layout:
    """A layout of named arrays, in their order."""
    shapes: dict[str, Shape] = {}
    offsets: dict[str, int] = {}
    size = 0
    for name, each in arrays:
        shapes[name], offsets[name] = tuple(each.shape), size
        size += -(-each.numel() // ALIGNED) * ALIGNED
    return Layout(shapes, offsets, size)


class Weights(NamedTuple):
    """Weights and gradients [K, P], buffers [K, Q], and their layouts."""

    layout: Layout
    values: Tensor
    grads: Tensor
    buffer_layout: Layout
    buffers: Tensor

    @overload
    def pair(self, name: str) -> tuple[Tensor, Tensor]: ...
    @overload
    def pair(
        self, name: str, *, is_optional: Literal[True]
    ) -> tuple[Tensor, Tensor] | tuple[None, None]: ...
    def pair(
        self, name: str, *, is_optional: bool = False
    ) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """A weight's values and gradients, [K, *shape] each; None where it may be none."""
        if is_optional and name not in self.layout.shapes:
            return None, None
        return self.layout.view(self.values, name), self.layout.view(self.grads, name)

    def buffer(self, name: str) -> Tensor:
        """A buffer's values [K, *shape]."""
        return self.buffer_layout.view(self.buffers, name)


@dataclass(slots=True)
class Mode:
    """Whether the layers that care are training.

    `measuring` is what a batch counts, outside of training, in what batch norms take for the mean
    and variance of all; 0 is not at all. `folds` is into how many equal parts a batch of images is
    cut that lie side by side, as those of so many trials would; norms know nothing of it.
    """

    is_training: bool = True
    measuring: float = 0.0
    folds: int = 1


class Means(NamedTuple):
    """What layers are built of: weights by name, and `mask(layer, count)` for the next step.

    A mask is float [K, count] or None for no dropout; layers are numbered in the order of the
    model's modules.
    """

    weights: Weights
    mask: Callable[[int, int], Tensor | None]
    mode: Mode
    num_trials: int


class Place(NamedTuple):
    """Where a layer stands: its dotted name, and whether no weights come before it.

    The gradient of the input of such a layer is not asked for. `dropouts` numbers the dropouts.
    """

    means: Means
    dropouts: Iterator[int]
    name: str = ""
    is_first: bool = True
