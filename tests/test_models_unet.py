"""The U-Net: shapes, gradients, and that pixels stay where they are."""

import pytest
import torch

from nnsearch.errors import UsageError
from nnsearch.models.unet import unet


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("inputs", [(1, 8, 8), (3, 9, 13), (1, 20, 20)])
def test_each_pixel_gets_its_numbers(inputs: tuple[int, int, int], depth: int) -> None:
    num_pixels = inputs[1] * inputs[2]
    model = unet(inputs, 3 * num_pixels, channels=2, depth=depth)
    assert model(torch.randn(2, *inputs)).shape == (2, 3 * num_pixels)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group"])
def test_gradients_reach_every_parameter(norm: str) -> None:
    torch.manual_seed(0)
    model = unet((1, 8, 8), 128, channels=4, norm=norm, dropout=0.1).double()  # type: ignore[arg-type]
    model(torch.randn(8, 1, 8, 8).double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-9, name


def test_what_is_far_away_does_not_count() -> None:
    model = unet((1, 24, 24), 24 * 24, channels=4, depth=1, norm="none").eval()
    image = torch.zeros(1, 1, 24, 24)
    before = model(image)
    image[0, 0, 0, 0] = 9.0
    changed = (model(image) != before).view(24, 24)
    assert changed[0, 0]
    assert not changed[16:].any()
    assert not changed[:, 16:].any()


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(UsageError, match="needs images"):
        unet((64,), 64)
    with pytest.raises(UsageError, match="until nothing is left") as told:
        unet((1, 8, 8), 64, depth=4)
    assert "Set depth to 3 at the most." in str(told.value.hint)
    with pytest.raises(UsageError, match="no whole number for each of 64 pixels"):
        unet((1, 8, 8), 10)
