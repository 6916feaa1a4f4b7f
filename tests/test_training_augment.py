"""Augmentation: what each option does to examples, and whose examples it is done to."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lessons import ACCURACY, Classroom, classroom, learned
from torch import Tensor

from nnsearch import components
from nnsearch.errors import UsageError
from nnsearch.training.augment import augmented, draws, mixed, refuse_misfits
from nnsearch.training.fit import Step, fit
from nnsearch.training.fuse import can_fuse, plan
from nnsearch.training.recipe import AUGMENTS, Augment, recipe

NOTHING = recipe().augment
IMAGES = torch.arange(2 * 3 * 4 * 6).float().view(2, 3, 4, 6)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("room"))


def only(**options: Any) -> Augment:
    return replace(NOTHING, **options)


def series() -> Tensor:
    values = torch.randn(300, 3, 8, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(8) < 5).float().expand(300, 1, 8)
    return torch.cat([values * mask, mask], 1)


def test_every_option_is_an_option_of_training_and_off() -> None:
    known = components.options(components.load("training", "recipe"))
    assert set(AUGMENTS) <= known.keys()
    assert not any(known[name].default for name in AUGMENTS)
    assert augmented(IMAGES, NOTHING, draws(0, 1)) is IMAGES
    assert mixed(IMAGES, 0.0, draws(0, 1)) == (IMAGES, None)


def test_half_of_the_images_are_flipped_exactly() -> None:
    images = IMAGES.repeat(100, 1, 1, 1)
    found = augmented(images, only(flip=True), draws(0, 1))
    is_flipped = (found == images.flip(3)).all((1, 2, 3))
    is_same = (found == images).all((1, 2, 3))
    assert bool((is_flipped ^ is_same).all())
    assert 70 < int(is_flipped.sum()) < 130


def test_a_shift_is_by_whole_pixels_and_no_further() -> None:
    images = IMAGES[:1].repeat(60, 1, 1, 1)
    found = augmented(images, only(shift=0.34), draws(0, 1))
    padded = torch.nn.functional.pad(images[:1], (2, 2, 1, 1), mode="replicate")[0]
    shifted = [padded[:, y : y + 4, x : x + 6] for y in range(3) for x in range(5)]
    seen = set()
    for image in found:
        fits = [k for k, each in enumerate(shifted) if torch.allclose(image, each, atol=1e-3)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 8


def test_a_crop_is_a_window_of_the_image_enlarged() -> None:
    ys, xs = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    images = torch.stack([ys, xs])[None].repeat(80, 1, 1, 1)
    found = augmented(images, only(crop=0.4), draws(0, 1))
    # A slope is as much flatter as the window is smaller, alike along both axes.
    steps = (found[:, 0, 11, 15] - found[:, 0, 8, 15]) / 3
    across = (found[:, 1, 10, 17] - found[:, 1, 10, 12]) / 5
    torch.testing.assert_close(steps, across, rtol=1e-3, atol=1e-3)
    assert 0.6 <= float(steps.min()) < 0.65
    assert 0.95 < float(steps.max()) <= 1
    for axis, side in ((0, 20), (1, 30)):
        places = found[:, axis].flatten(1)
        assert float(places.min()) >= 0
        assert float(places.max()) <= side - 1
        middle = places.mean(1)
        assert float(middle.max() - middle.min()) > 0.2 * side


def test_a_turn_keeps_the_middle_and_moves_the_rim() -> None:
    image = torch.zeros(40, 1, 9, 15)
    image[:, :, 4, 7], image[:, :, 4, 11] = 1.0, 2.0
    found = augmented(image, only(rotate=90.0), draws(0, 1))
    assert torch.allclose(found[:, 0, 4, 7], torch.ones(40), atol=1e-4)
    ys, xs = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(15.0) - 7, indexing="ij")
    rim = torch.where(ys.hypot(xs) > 2, found[:, 0], 0.0)
    weight = rim.sum((1, 2))
    centre = torch.stack([(rim * each).sum((1, 2)) / weight for each in (ys, xs)])
    # The dot stays 4 pixels away from the middle, though the image is no square.
    assert torch.allclose(centre.norm(dim=0), torch.full((40,), 4.0), atol=0.25)
    angles = torch.atan2(centre[0], centre[1]).rad2deg()
    assert float(angles.min()) < -45
    assert float(angles.max()) > 45
    assert float(angles.abs().max()) < 93


def test_a_cutout_is_one_box() -> None:
    found = augmented(torch.ones(50, 2, 8, 12), only(cutout=0.5), draws(0, 1))
    holes = found == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), rows * columns)
    assert int(rows.max()) <= 4
    assert int(columns.max()) <= 6
    assert int(rows.min()) >= 2


def test_noise_has_its_deviation_and_spares_the_end_of_a_series() -> None:
    x = series()
    added = augmented(x, only(noise=0.3), draws(0, 1)) - x
    assert float(added[:, :3, :5].std()) == pytest.approx(0.3, rel=0.05)
    assert float(added[:, :, 5:].abs().max()) == 0
    assert float(added[:, 3].abs().max()) == 0


def test_scaling_has_one_factor_for_a_channel_and_spares_the_mask() -> None:
    x = series()
    found = augmented(x, only(scaling=0.2), draws(0, 1))
    factors = found[:, :3, :5] / x[:, :3, :5]
    assert torch.allclose(factors, factors[:, :, :1].expand_as(factors), atol=1e-4)
    assert float(factors[:, :, 0].std()) == pytest.approx(0.2, rel=0.1)
    assert torch.equal(found[:, 3], x[:, 3])


def test_a_mixture_is_of_two_examples_with_their_share() -> None:
    found, mix = mixed(IMAGES, 1.0, draws(0, 1))
    assert mix is not None
    assert 0 <= mix.share <= 1
    wanted = mix.share * IMAGES + (1 - mix.share) * IMAGES[mix.partners]
    assert torch.equal(found, wanted)


def test_draws_depend_on_seed_and_epoch() -> None:
    kinds = [draws(1, 1), draws(1, 1), draws(1, 2), draws(2, 1)]
    first, again, later, other = (augmented(IMAGES, only(noise=1.0), each) for each in kinds)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("options", "train"),
    [
        ({"flip": True}, torch.zeros(2, 5)),
        ({"shift": 0.1, "noise": 0.1}, torch.zeros(2, 3, 8)),
        ({"scaling": 0.1}, torch.zeros(2, 1, 8, 8)),
        ({"noise": 0.1}, torch.zeros(2, 8, dtype=torch.int32)),
        ({"mixup": 0.1}, torch.zeros(2, 8, dtype=torch.int32)),
    ],
)
def test_what_does_not_fit_the_data_is_refused(options: dict[str, Any], train: Tensor) -> None:
    with pytest.raises(UsageError, match=rf"{next(iter(options))} in \[training\]"):
        refuse_misfits(only(**options), train)


def test_a_trial_that_changes_examples_is_alone(room: Classroom) -> None:
    for name in AUGMENTS:
        value = True if name == "flip" else 0.1
        trial = room.changed(**{f"training__{name}": value}).trial
        assert not can_fuse(trial)
        assert plan([trial, room.trial, trial]) == [[trial], [room.trial], [trial]]


def taught(room: Classroom, *, stop: int = 0) -> Sequence[Step]:
    """The steps of a trial; with `stop` it goes on from a snapshot after that epoch."""
    steps, run = [], fit(room.pupil(), ACCURACY, 0)
    step = next(run)
    while True:
        steps.append(step)
        if stop and step.event.epoch == stop:
            run = fit(room.pupil(), ACCURACY, 0, step.snapshot())
            step, stop = next(run), 0
            continue
        try:
            step = run.send(True)  # noqa: FBT003 - a generator takes no names
        except StopIteration:
            return steps


def test_a_trial_that_goes_on_sees_what_it_would_have_seen(room: Classroom) -> None:
    wild = room.changed(
        training__shift=0.1, training__noise=0.1, training__mixup=0.4, training__epochs=4
    )
    whole, broken = taught(wild), taught(wild, stop=2)
    assert [each.event.metrics for each in whole] == [each.event.metrics for each in broken]


def test_only_training_examples_are_changed(room: Classroom) -> None:
    pupil = room.changed(training__noise=50.0, training__epochs=1).pupil()
    train, valid = pupil.material.train.clone(), pupil.material.valid.clone()
    steps = list(taught(room.changed(training__noise=50.0, training__epochs=1)))
    learned(pupil, ACCURACY)
    assert torch.equal(pupil.material.train, train)
    assert torch.equal(pupil.material.valid, valid)
    # Noise that drowns the examples would drown the validation loss as well.
    clean = list(taught(room.changed(training__epochs=1)))
    seen = steps[0].event.metrics["train/loss"] / clean[0].event.metrics["train/loss"]
    judged = steps[0].event.metrics["valid/loss"] / clean[0].event.metrics["valid/loss"]
    assert seen > judged
    assert math.isfinite(seen)
    assert np.isfinite(judged)


def test_a_study_with_augmentation_trains(tmp_path: Path, room: Classroom) -> None:
    images = room.changed(
        training__shift=0.13, training__rotate=10.0, training__cutout=0.2, training__epochs=6
    )
    assert learned(images.pupil(), ACCURACY).metrics["valid/accuracy"] > 0.6
