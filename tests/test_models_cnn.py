"""Convolutional networks: shapes, gradients, state, and images that do not fit."""

from itertools import product
from typing import get_args

import pytest
import torch
from torch import nn

from nnsearch import components
from nnsearch.errors import UsageError
from nnsearch.models.cnn import Block, Head, Kernel, Pool, Residual, cnn
from nnsearch.models.layers import ACTIVATIONS, Activation, Norm

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 9, 13)]


@pytest.mark.parametrize("inputs", SHAPES)
@pytest.mark.parametrize("block", get_args(Block))
def test_every_combination_fits_every_image(inputs: tuple[int, int, int], block: Block) -> None:
    pools: tuple[Pool, ...] = get_args(Pool)
    heads: tuple[Head, ...] = get_args(Head)
    kernels: tuple[Kernel, ...] = get_args(Kernel)
    images = torch.randn(2, *inputs)
    for pool, head, kernel, depth in product(pools, heads, kernels, (1, 2, 3)):
        model = cnn(
            inputs, 5, channels=2, depth=depth, kernel=kernel, block=block, pool=pool, head=head
        )
        assert model(images).shape == (2, 5), (pool, head, kernel, depth)


def test_channels_double_from_block_to_block() -> None:
    model = cnn((1, 28, 28), 10, channels=4, depth=3)
    widths = [each.out_channels for each in model.modules() if isinstance(each, nn.Conv2d)]
    assert widths == [4, 8, 16]
    head = list(model.modules())[-1]
    assert isinstance(head, nn.Linear)
    assert head.in_features == 16 * 3 * 3


@pytest.mark.parametrize("block", get_args(Block))
@pytest.mark.parametrize("norm", get_args(Norm))
@pytest.mark.parametrize("pool", get_args(Pool))
def test_gradients_reach_every_parameter(block: Block, norm: Norm, pool: Pool) -> None:
    torch.manual_seed(0)
    model = cnn((1, 8, 8), 4, channels=4, block=block, norm=norm, pool=pool, dropout=0.1)
    # In float64 the rounding of a gradient that is truly 0 stays below the limit.
    model.double()(torch.randn(16, 1, 8, 8).double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-9, name


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "tanh", "sigmoid"])
def test_pooling_the_maximum_first_changes_nothing(activation: Activation) -> None:
    model = cnn((1, 8, 8), 3, channels=4, depth=1, activation=activation)
    assert isinstance(model, nn.Sequential)
    first, *rest = model
    assert isinstance(first, nn.Sequential)
    convolution, pool, active = first
    images = torch.randn(5, 1, 8, 8)
    usual = nn.Sequential(convolution, active, pool, *rest)
    assert torch.allclose(model(images), usual(images), atol=1e-6)


def test_a_residual_block_goes_round_by_identity_where_it_can() -> None:
    model = cnn((4, 8, 8), 2, channels=4, depth=2, block="residual")
    first, second = (each for each in model.modules() if isinstance(each, Residual))
    assert isinstance(first.skip, nn.Identity)
    images = torch.randn(2, 4, 8, 8)
    assert torch.equal(first(images), first.body(images) + images)
    assert second(images).shape == (2, 8, 8, 8)


def test_a_state_dict_carries_the_whole_model() -> None:
    images = torch.randn(8, 1, 8, 8)
    old = cnn((1, 8, 8), 3, channels=4, block="residual", norm="batch")
    new = cnn((1, 8, 8), 3, channels=4, block="residual", norm="batch")
    old(images)  # moves the running means of the batch norms
    new.load_state_dict(old.state_dict())
    assert torch.equal(old.eval()(images), new.eval()(images))


def test_dropout_changes_no_module_and_no_key() -> None:
    dry, wet = (cnn((1, 8, 8), 3, dropout=rate) for rate in (0.0, 0.5))
    assert [type(each) for each in dry.modules()] == [type(each) for each in wet.modules()]
    assert list(dry.state_dict()) == list(wet.state_dict())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gives_finite_outputs(activation: Activation) -> None:
    model = cnn((1, 8, 8), 3, activation=activation, norm="group", head="average")
    assert bool(torch.isfinite(model(torch.randn(4, 1, 8, 8))).all())


def test_channels_last_gives_the_same_outputs() -> None:
    model = cnn((3, 8, 8), 3, norm="batch").eval()
    images = torch.randn(4, 3, 8, 8)
    usual = model(images)
    last = torch.channels_last
    model.to(memory_format=last)  # type: ignore[call-overload]
    assert torch.allclose(model(images.contiguous(memory_format=last)), usual, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "pool", "most"),
    [
        ((1, 8, 8), "max", 3),
        ((1, 28, 28), "max", 4),
        ((1, 7, 64), "average", 2),
        ((1, 8, 8), "stride", 3),
        ((1, 9, 9), "stride", 4),
        ((1, 2, 2), "max", 1),
    ],
)
def test_too_deep_for_the_image_says_how_deep_it_may_be(
    inputs: tuple[int, int, int], pool: Pool, most: int
) -> None:
    images = torch.randn(2, *inputs)
    assert cnn(inputs, 2, channels=2, depth=most, pool=pool)(images).shape == (2, 2)
    with pytest.raises(UsageError, match=f"Set depth to {most} at the most"):
        cnn(inputs, 2, channels=2, depth=most + 1, pool=pool)


@pytest.mark.parametrize("inputs", [(30,), (28, 28), (1, 1, 1), (3, 1, 20)])
def test_what_is_no_image_is_refused_with_another_model_named(inputs: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="Use 'mlp' or 'linear'"):
        cnn(inputs, 2, depth=1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("channels", 0),
        ("depth", 0),
        ("kernel", 4),
        ("block", "dense"),
        ("dropout", 1.0),
        ("pool", "min"),
        ("head", "none"),
        ("norm", "instance"),
        ("initialiser", "zeros"),
    ],
)
def test_options_out_of_their_range_are_complained_of(option: str, value: object) -> None:
    known = components.options(components.load("models", "cnn"))
    assert known[option].complaint(value)
    assert not known[option].complaint(known[option].default)


def test_an_initialiser_draws_every_convolution_of_a_block() -> None:
    model = cnn((1, 8, 8), 3, channels=4, block="residual", initialiser="orthogonal")
    for each in model.modules():
        if isinstance(each, nn.Conv2d) and each.kernel_size == (3, 3):
            rows = each.weight.detach().flatten(1)
            rows = rows if len(rows) <= rows.shape[1] else rows.T
            assert torch.allclose(rows @ rows.T, 2 * torch.eye(len(rows)), atol=1e-5)
