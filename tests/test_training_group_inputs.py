"""What a group's network is given: the rows of each trial, with the channels last in memory."""

from pathlib import Path

import pytest
import torch
from company import MODELS, Materials, trials_of
from lessons import Classroom, classroom
from torch import nn

from nnsearch.models.images import channels_last
from nnsearch.training.group import make_group
from nnsearch.training.group_inputs import gathered, spread

BATCHES = [slice(0, 8), slice(8, 16), slice(16, 19)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    folder: Path = tmp_path_factory.mktemp("digits")
    return classroom(folder, source="digits")


@pytest.mark.parametrize("num_channels", [1, 3])
def test_channels_last_is_said_of_one_channel_too(num_channels: int) -> None:
    images = torch.randn(5, num_channels, 6, 7)
    lying = channels_last(images)
    assert torch.equal(lying, images)
    assert lying.stride() == (42 * num_channels, 1, 7 * num_channels, num_channels)
    assert nn.Conv2d(num_channels, 4, 3)(lying).stride(1) == 1, "and a convolution goes on so"


@pytest.mark.parametrize("num_trials", [1, 2, 3])
def test_images_lie_as_grouped_convolutions_want_them(digits: Classroom, num_trials: int) -> None:
    """A lone trial's even batches, of 8 here, lie in two halves side by side; one of 3 does not."""
    trials = trials_of(digits, [{} for _ in range(num_trials)], model=MODELS["cnn"])
    group = make_group(trials, Materials(digits, torch.float32), digits.code)
    train, valid = group.material.train, group.material.valid
    rows = torch.stack([torch.randperm(len(train))[:19] for _ in trials])
    for each, (inputs, chosen) in zip(BATCHES, gathered(group, rows, BATCHES), strict=True):
        assert torch.equal(chosen, rows[:, each])
        folds = 2 if num_trials == 1 and chosen.shape[1] == 8 else 1
        parts = [part for some in chosen for part in train[some].chunk(folds)]
        assert torch.equal(inputs, torch.cat(parts, dim=1))
        assert inputs.stride(1) == 1
        assert group.net.forward(inputs).shape == (*chosen.shape, 10)
    whole = valid[: len(valid) // 2 * 2]
    parts = list(whole.chunk(2)) if num_trials == 1 else [whole] * num_trials
    assert torch.equal(spread(group, whole), torch.cat(parts, dim=1))
    assert spread(group, whole).stride(1) == 1


@pytest.mark.parametrize("model", ["cnn-residual", "cnn-group"])
def test_batches_that_norms_look_at_stay_whole(digits: Classroom, model: str) -> None:
    trials = trials_of(digits, [{}], model=MODELS[model])
    group = make_group(trials, Materials(digits, torch.float32), digits.code)
    rows = torch.arange(8)[None]
    inputs, _ = next(gathered(group, rows, [slice(0, 8)]))
    assert torch.equal(inputs, group.material.train[:8])
