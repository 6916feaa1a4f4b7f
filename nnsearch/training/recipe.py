"""The options of [training]: how a trial is trained. Knows no model, loss or data."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from nnsearch.components import Count, NonNegative

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one trial is trained; the options of `recipe`, checked."""

    epochs: int
    batch_size: int
    patience: int
    min_delta: float
    restore_best: bool
    clip_norm: float
    clip_value: float
    l1: float
    precision: Precision
    device: str
    checkpoint_seconds: float
    fuse: bool


def recipe(
    *,
    epochs: Count = 20,
    batch_size: Count = 64,
    patience: Annotated[int, Ge(0)] = 0,
    min_delta: NonNegative = 0.0,
    restore_best: bool = True,
    clip_norm: NonNegative = 0.0,
    clip_value: NonNegative = 0.0,
    l1: NonNegative = 0.0,
    precision: Precision = "float32",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    checkpoint_seconds: NonNegative = 30.0,
    fuse: bool = True,
) -> Recipe:
    """At most `epochs` passes over the training split in shuffled batches.

    Training stops early after `patience` epochs in which the objective did not improve by more
    than `min_delta` (0: never), and the weights of the best epoch are restored. Gradients are
    clipped to a total norm of `clip_norm` and to single values of `clip_value` (0: not). `l1` is
    the weight of the sum of absolute weights in the loss. With `precision = "bfloat16"` the
    forward pass runs in mixed precision. `device = "auto"` takes a GPU where there is one. A
    checkpoint is due `checkpoint_seconds` after the last. Trials of one shape train together, in
    one batched program; with `fuse = false` each trains alone, which is slower and gives the same
    numbers but for rounding.
    """
    return Recipe(
        epochs=epochs,
        batch_size=batch_size,
        patience=patience,
        min_delta=min_delta,
        restore_best=restore_best,
        clip_norm=clip_norm,
        clip_value=clip_value,
        l1=l1,
        precision=precision,
        device=device,
        checkpoint_seconds=checkpoint_seconds,
        fuse=fuse,
    )
