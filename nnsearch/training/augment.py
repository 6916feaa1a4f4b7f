"""Changed copies of training examples, drawn anew in each step. Sees no other split.

What is drawn depends on the trial's seed and the epoch alone, so that a trial that goes on from a
checkpoint sees what it would have seen.

Shape suffixes: B examples, C channels, H height, W width, T steps.
"""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nnsearch.errors import UsageError
from nnsearch.study.spec import derived_seed
from nnsearch.training.recipe import Augment

Draws = np.random.Generator

SERIES_AXES, IMAGE_AXES = 3, 4
OF_IMAGES = frozenset({"flip", "crop", "shift", "rotate", "cutout"})
OF_SERIES = frozenset({"scaling"})
MOVING = frozenset({"flip", "crop", "shift", "rotate"})


class Mix(NamedTuple):
    """Each example's place in the batch is shared with that of `partners` [B], who get the rest."""

    share: float
    partners: Tensor


def draws(seed: int, epoch: int) -> Draws:
    """The random numbers of an epoch of a trial."""
    return np.random.default_rng(derived_seed("augment", seed, epoch))


def refuse_misfits(augment: Augment, train: Tensor, targets: Tensor | None = None) -> None:
    """Raise UsageError where the training split [N, ...] cannot be changed as is wanted.

    Targets of an image that are more than one number are of its pixels, and do not move with them.
    """
    wanted = {name for name, value in asdict(augment).items() if value}
    for names, axes, what in (
        (OF_IMAGES, IMAGE_AXES, "images"),
        (OF_SERIES, SERIES_AXES, "series"),
    ):
        if (wanted & names) and train.dim() != axes:
            found = ", ".join(sorted(wanted & names))
            raise UsageError(f"{found} in [training] is for {what}.", "Leave it out.")
    is_of_pixels = targets is not None and targets.dim() > 1 and train.dim() == IMAGE_AXES
    if is_of_pixels and wanted & MOVING:
        found = ", ".join(sorted(wanted & MOVING))
        raise UsageError(f"{found} in [training] would leave the masks behind.", "Leave it out.")
    if wanted and not train.is_floating_point():
        found = ", ".join(sorted(wanted))
        raise UsageError(f"{found} in [training] is not for texts.", "Leave it out.")


def augmented(inputs: Tensor, augment: Augment, random: Draws) -> Tensor:
    """Changed copies of images [B, C, H, W], series [B, C, T] or rows [B, F], of the same shape.

    The last channel of a series, its mask, stays as it is, and so does what lies behind its end.
    """
    x = inputs
    if augment.flip:
        is_turned = _to(random.random(len(x)) < 1 / 2, x).view(-1, 1, 1, 1) > 0
        x = torch.where(is_turned, x.flip(3), x)
    if augment.crop or augment.shift or augment.rotate:
        x = _moved(x, augment, random)
    if augment.cutout:
        x = x * _holes(x, augment.cutout, random)
    if augment.scaling:
        factors = random.normal(1.0, augment.scaling, (len(x), x.shape[1] - 1, 1))
        x = torch.cat([x[:, :-1] * _to(factors, x), x[:, -1:]], 1)
    if augment.noise:
        x = _noisy(x, augment.noise, random)
    return x


def mixed(inputs: Tensor, mixup: float, random: Draws) -> tuple[Tensor, Mix | None]:
    """Weighted means of examples and their partners (Zhang et al., mixup, 2018), and who they are.

    The weight of a batch is drawn from Beta(mixup, mixup); 0 mixes nothing. The mask of a series
    is mixed as well: a step that one of the two lacks is real to that share.
    """
    if not mixup:
        return inputs, None
    share = float(random.beta(mixup, mixup))
    partners = torch.from_numpy(random.permutation(len(inputs))).to(inputs.device)
    return share * inputs + (1 - share) * inputs[partners], Mix(share, partners)


def _moved(x_BCHW: Tensor, augment: Augment, random: Draws) -> Tensor:
    """Turned by up to `rotate` degrees and shifted by up to `shift` of each side, whole pixels.

    Of these as much as `crop` leaves of each side, at a random place, fills the image. What comes
    in from outside is the pixel at the edge.
    """
    num_images, _, height, width = x_BCHW.shape
    angles = np.deg2rad(random.uniform(-augment.rotate, augment.rotate, num_images))
    sides = np.array([width, height])
    away = np.rint(random.uniform(-augment.shift, augment.shift, (num_images, 2)) * sides) / sides
    theta = np.empty((num_images, 2, 3))
    theta[:, 0, 0] = theta[:, 1, 1] = np.cos(angles)
    # Both axes go from -1 to 1 whatever their lengths: a rotation has to know them.
    theta[:, 0, 1] = -np.sin(angles) * height / width
    theta[:, 1, 0] = np.sin(angles) * width / height
    theta[:, :, 2] = 2 * away
    if augment.crop:
        kept = 1 - random.uniform(0, augment.crop, (num_images, 1))
        theta[:, :, 2] += (1 - kept) * random.uniform(-1, 1, (num_images, 2))
        theta[:, :, :2] *= kept[:, :, None]
    size = list(x_BCHW.shape)
    grid = F.affine_grid(_to(theta, x_BCHW), size, align_corners=False)
    return F.grid_sample(x_BCHW, grid, padding_mode="border", align_corners=False)


def _holes(x_BCHW: Tensor, cutout: float, random: Draws) -> Tensor:
    """0 in a box of `cutout` of each side around a random pixel, 1 elsewhere: [B, 1, H, W]."""
    is_within = []
    for side in x_BCHW.shape[2:]:
        middles = random.integers(0, side, len(x_BCHW))[:, None]
        is_within.append(np.abs(np.arange(side) - middles) < cutout * side / 2)
    rows_BH, columns_BW = is_within
    return _to(~(rows_BH[:, :, None] & columns_BW[:, None, :])[:, None], x_BCHW)


def _noisy(x: Tensor, noise: float, random: Draws) -> Tensor:
    added = _to(noise * random.standard_normal(tuple(x.shape), np.float32), x)
    if x.dim() != SERIES_AXES:
        return x + added
    mask_B1T = x[:, -1:]
    return torch.cat([x[:, :-1] + added[:, :-1] * mask_B1T, mask_B1T], 1)


def _to(values: npt.NDArray[np.generic], like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)
