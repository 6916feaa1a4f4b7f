"""The options of [training]: how a trial is trained. Knows no model, loss or data."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from nnsearch.components import Count, NonNegative, Unit

Precision = Literal["float32", "bfloat16"]


# The options of [training] that change training examples; a trial with any of them is alone.
AUGMENTS = ("flip", "shift", "rotate", "cutout", "noise", "scaling", "mixup")


@dataclass(frozen=True, slots=True)
class Augment:
    """How training examples are changed; 0 is not at all."""

    flip: bool
    shift: float
    rotate: float
    cutout: float
    noise: float
    scaling: float
    mixup: float


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
    augment: Augment


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
    flip: bool = False,
    shift: Unit = 0.0,
    rotate: Annotated[float, Ge(0), Le(180)] = 0.0,
    cutout: Unit = 0.0,
    noise: NonNegative = 0.0,
    scaling: NonNegative = 0.0,
    mixup: NonNegative = 0.0,
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

    Training examples, and no others, are changed anew in each step, such trials alone: images by
    `flip` from left to right (half of them), a `shift` of up to that share of each side, a turn of
    up to `rotate` degrees, and a `cutout` of that share of each side; series by `scaling` each
    channel with a factor of that deviation around 1; all but texts by `noise` of that deviation,
    in units of the transformed inputs, and by `mixup`, which trains on means of two examples with
    a weight from Beta(mixup, mixup). 0 is not at all.
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
        augment=Augment(
            flip=flip,
            shift=shift,
            rotate=rotate,
            cutout=cutout,
            noise=noise,
            scaling=scaling,
            mixup=mixup,
        ),
    )
