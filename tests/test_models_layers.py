"""First weights, norms and blocks."""

from math import prod, sqrt
from typing import get_args

import pytest
import torch
from torch import nn

from nnsearch.models.layers import (
    ACTIVATIONS,
    Activation,
    Initialiser,
    Norm,
    activate,
    block,
    initialise,
    normalise_image,
)

RELU_FAMILY = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hardswish", "softplus")


def test_every_activation_of_the_type_has_a_module() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_first_weights_have_the_variance_their_activation_asks_for(activation: Activation) -> None:
    layer = initialise(nn.Linear(400, 200), activation)
    variance = 2 / 400 if activation in RELU_FAMILY else 2 / 600
    variance = 1 / 400 if activation == "selu" else variance
    assert float(layer.weight.detach().std()) == pytest.approx(sqrt(variance), rel=0.03)
    assert float(layer.bias.detach().abs().max()) == 0


@pytest.mark.parametrize(
    ("initialiser", "variance"),
    [
        ("he_normal", 2 / 400),
        ("he_uniform", 2 / 400),
        ("xavier_normal", 2 / 600),
        ("xavier_uniform", 2 / 600),
        ("lecun_normal", 1 / 400),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_an_initialiser_that_is_named_is_taken(
    initialiser: Initialiser, variance: float, activation: Activation
) -> None:
    weight = initialise(nn.Linear(400, 200), activation, initialiser).weight.detach()
    assert float(weight.std()) == pytest.approx(sqrt(variance), rel=0.03)
    widest = float(weight.abs().max()) / sqrt(variance)
    assert (widest < sqrt(3) + 1e-3) == initialiser.endswith("uniform")


@pytest.mark.parametrize(("activation", "size"), [("relu", 2.0), ("tanh", 1.0)])
def test_orthogonal_rows_are_of_one_length(activation: Activation, size: float) -> None:
    weight = initialise(nn.Linear(40, 20), activation, "orthogonal").weight.detach()
    assert torch.allclose(weight @ weight.T, size * torch.eye(20), atol=1e-5)


def test_first_weights_that_nothing_was_said_of_are_those_they_always_were() -> None:
    def drawn(*initialiser: Initialiser) -> torch.Tensor:
        torch.manual_seed(5)
        return initialise(nn.Linear(3, 2), "relu", *initialiser).weight.detach()

    torch.manual_seed(5)
    expected = nn.init.kaiming_uniform_(nn.Linear(3, 2).weight, nonlinearity="relu").detach()
    assert torch.equal(drawn(), expected)
    assert torch.equal(drawn("he_uniform"), expected)


def test_deep_selu_keeps_the_spread_of_what_it_is_given() -> None:
    torch.manual_seed(0)
    layers = [
        block(100, 100, activation="selu", norm="none", dropout=0.0).requires_grad_(
            requires_grad=False
        )
        for _ in range(20)
    ]
    outputs = nn.Sequential(*layers)(torch.randn(500, 100))
    assert float(outputs.std()) == pytest.approx(1, abs=0.15)
    assert float(outputs.mean()) == pytest.approx(0, abs=0.15)


def test_a_head_and_a_convolution_are_initialised_too() -> None:
    inner = nn.Sequential(nn.Conv2d(20, 40, 3), nn.Linear(400, 200))
    convolution, head = initialise(inner, "none")
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(head, nn.Linear)
    fans = prod((20, 3, 3)) + prod((40, 3, 3))
    assert float(convolution.weight.detach().std()) == pytest.approx(sqrt(2 / fans), rel=0.05)
    assert float(head.weight.detach().std()) == pytest.approx(sqrt(2 / 600), rel=0.03)


def test_first_weights_follow_the_global_seed() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return next(block(4, 5, activation="relu", norm="none", dropout=0.0).parameters()).detach()

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", get_args(Norm))
def test_a_block_keeps_its_modules_whatever_its_dropout(activation: Activation, norm: Norm) -> None:
    dry = block(3, 4, activation=activation, norm=norm, dropout=0.0)
    wet = block(3, 4, activation=activation, norm=norm, dropout=0.4)
    assert [type(each) for each in dry] == [type(each) for each in wet]
    assert list(dry.state_dict()) == list(wet.state_dict())
    assert wet(torch.randn(6, 3)).shape == (6, 4)


def test_dropout_zeroes_its_share_in_training_and_nothing_in_evaluation() -> None:
    layers = block(8, 4000, activation="sigmoid", norm="none", dropout=0.3)
    inputs = torch.randn(2, 8)
    assert float((layers(inputs) == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert int((layers.eval()(inputs) == 0).sum()) == 0


@pytest.mark.parametrize("norm", ["batch", "layer", "group"])
@pytest.mark.parametrize("channels", [2, 3, 8, 9, 10, 16, 48])
def test_image_norms_take_any_number_of_channels(norm: Norm, channels: int) -> None:
    (module,) = normalise_image(norm, channels)
    images = 5 + 3 * torch.randn(4, channels, 1, 1)
    normed = module(images).detach()
    assert normed.shape == images.shape
    assert float(normed.abs().max()) > 0.1  # a group of a single value would be all zeros


def test_a_group_holds_at_least_two_channels_and_there_are_eight_at_most() -> None:
    for channels in range(2, 130):
        (norm,) = normalise_image("group", channels)
        assert isinstance(norm, nn.GroupNorm)
        assert norm.num_groups <= 8
        assert channels // norm.num_groups >= 2


def test_elu_is_torchs_own() -> None:
    values = torch.linspace(-3, 3, 13)
    assert torch.equal(activate("elu")(values), nn.functional.elu(values))
