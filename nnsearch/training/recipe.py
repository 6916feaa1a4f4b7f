"""The options of [training]: how a trial is trained. Knows no model, loss or data."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from nnsearch.components import Count, NonNegative, Unit

Precision = Literal["float32", "bfloat16"]
Average = Literal["none", "ema", "swa"]


# The options of [training] that change training examples.
AUGMENTS = ("flip", "crop", "shift", "rotate", "cutout", "noise", "scaling", "mixup")

# What each option says that only a trial by itself can do, where it does not ask for it.
ALONE: dict[str, Any] = {
    "fuse": True,
    "precision": "float32",
    **dict.fromkeys(AUGMENTS, 0),
    "start": "",
    "freeze": False,
    "rate_by_depth": 1.0,
}


@dataclass(frozen=True, slots=True)
class Augment:
    """How training examples are changed; 0 is not at all."""

    flip: bool
    crop: float
    shift: float
    rotate: float
    cutout: float
    noise: float
    scaling: float
    mixup: float


@dataclass(frozen=True, slots=True)
class Averaging:
    """Which mean of the weights takes their place: of all steps, or of the last epochs."""

    kind: Average
    ema_decay: float
    swa_start: float


@dataclass(frozen=True, slots=True)
class Start:
    """What a trial begins with, which of its layers learn when, and how fast."""

    path: str
    new_head: bool
    freeze: bool
    unfreeze_after: int
    rate_by_depth: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one trial is trained; the options of `recipe`, checked."""

    epochs: int
    batch_size: int
    accumulate: int
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
    averaging: Averaging
    start: Start
    augment: Augment


def recipe(
    *,
    epochs: Count = 20,
    batch_size: Count = 64,
    accumulate: Count = 1,
    patience: Annotated[int, Ge(0)] = 0,
    min_delta: NonNegative = 0.0,
    restore_best: bool = True,
    clip_norm: NonNegative = 0.0,
    clip_value: NonNegative = 0.0,
    l1: NonNegative = 0.0,
    average: Average = "none",
    ema_decay: Unit = 0.99,
    swa_start: Unit = 0.75,
    precision: Precision = "float32",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    checkpoint_seconds: NonNegative = 30.0,
    fuse: bool = True,
    start: str = "",
    new_head: bool = False,
    freeze: bool = False,
    unfreeze_after: Annotated[int, Ge(0)] = 0,
    rate_by_depth: Annotated[float, Gt(0), Le(1)] = 1.0,
    flip: bool = False,
    crop: Unit = 0.0,
    shift: Unit = 0.0,
    rotate: Annotated[float, Ge(0), Le(180)] = 0.0,
    cutout: Unit = 0.0,
    noise: NonNegative = 0.0,
    scaling: NonNegative = 0.0,
    mixup: NonNegative = 0.0,
) -> Recipe:
    """At most `epochs` passes over the training split in shuffled batches.

    The optimizer makes a step after each `accumulate` batches of `batch_size` examples, by the mean
    gradient of all of them: without batch norm, the step of one larger batch in the memory of a
    small one. Training stops early after `patience` epochs in which the objective did not improve
    by more than `min_delta` (0: never), and the weights of the best epoch are restored. Gradients
    are clipped to a total norm of `clip_norm` and to single values of `clip_value` (0: not). `l1`
    is the weight of the sum of absolute weights in the loss; with the optimizer's `weight_decay` it
    makes an elastic net. With `precision = "bfloat16"` the forward pass runs in mixed precision.
    `device = "auto"` takes a GPU where there is one. A checkpoint is due `checkpoint_seconds` after
    the last. Trials of one shape train together, in one batched program; with `fuse = false` each
    trains alone, which is slower and gives the same numbers but for rounding.

    With `average` a mean of the weights is judged, kept and exported in place of the weights, which
    go on as they would. "ema" is the exponential moving average over all steps, corrected for its
    beginning as Adam's means are: the weights of a step count `ema_decay` times those of the next.
    "swa" is the mean over the ends of the epochs behind the share `swa_start` of all (Izmailov et
    al., Averaging Weights Leads to Wider Optima, 2018). What batch norms have measured in training
    is not true of the mean, nor is its own mean, so it is measured anew on up to 4096 examples of
    the training split.

    A trial begins with weights that it draws, or with those in `start`: the folder of a predictor
    that another study exported, or a file of a state dict (`torch.save`) in the study's folder, by
    its path from there. What has the same name and shape is taken over, layer by layer; other
    layers stay as they were drawn, and `check` and `run` name them. The head is the last layer of
    all; with `new_head` it stays as it was drawn though it would fit, as other classes want it.
    With `freeze` only the head learns, and the batch norms before it keep what they measured; after
    `unfreeze_after` epochs all layers learn (0: never). `rate_by_depth` is the learning rate's
    factor from layer to layer, counted from the head. A layer is a linear one, a convolution, an
    embedding or a recurrent one with the norm behind it. Such trials are alone.

        [training]
        start = "../mlruns/studies/letters/exports/trial-00012"
        new_head = true
        freeze = true
        unfreeze_after = { int = [2, 10] }
        rate_by_depth = { choice = [1.0, 0.5, 0.2] }

    Training examples, and no others, are changed anew in each step, such trials alone: images by
    `flip` from left to right (half of them), a `crop` that takes away up to that share of each side
    and enlarges the rest, a `shift` of up to that share of each side, a turn of up to `rotate`
    degrees, and a `cutout` of that share of each side; series by `scaling` each channel with a
    factor of that deviation around 1; all but texts by `noise` (jitter) of that deviation, in units
    of the transformed inputs, and by `mixup`, which trains on means of two examples with a weight
    from Beta(mixup, mixup). 0 is not at all.
    """
    return Recipe(
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
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
        averaging=Averaging(average, ema_decay, swa_start),
        start=Start(start, new_head, freeze, unfreeze_after, rate_by_depth),
        augment=Augment(
            flip=flip,
            crop=crop,
            shift=shift,
            rotate=rotate,
            cutout=cutout,
            noise=noise,
            scaling=scaling,
            mixup=mixup,
        ),
    )
