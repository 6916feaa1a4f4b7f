"""Linear models and perceptrons: shapes, gradients, state, options."""

from typing import Any, get_args

import pytest
import torch
from torch import nn

from nnsearch import components
from nnsearch.models.layers import ACTIVATIONS, Activation, Initialiser, Norm
from nnsearch.models.mlp import linear, mlp


@pytest.mark.parametrize("inputs", [(7,), (1, 8, 8), (3, 5)])
def test_inputs_of_any_shape_are_flattened(inputs: tuple[int, ...]) -> None:
    for model in (linear(inputs, 3), mlp(inputs, 3, width=9, depth=2)):
        assert model(torch.randn(4, *inputs)).shape == (4, 3)


def test_depth_and_width_make_the_layers_they_name() -> None:
    model = mlp((6,), 2, width=5, depth=3)
    layers = [each for each in model.modules() if isinstance(each, nn.Linear)]
    assert [tuple(each.weight.shape) for each in layers] == [(5, 6), (5, 5), (5, 5), (2, 5)]


def test_linear_is_linear() -> None:
    model = linear((4,), 2)
    one, two = torch.randn(3, 4), torch.randn(3, 4)
    zero = model(torch.zeros(1, 4))
    assert torch.allclose(model(one + two) + zero, model(one) + model(two), atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", get_args(Norm))
def test_gradients_reach_every_parameter(activation: Activation, norm: Norm) -> None:
    torch.manual_seed(0)
    model = mlp((5,), 3, width=8, depth=3, activation=activation, norm=norm, dropout=0.1)
    # In float64 the rounding of a gradient that is truly 0 stays below the limit.
    model.double()(torch.randn(32, 5).double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-9, name


def test_a_state_dict_carries_the_whole_model() -> None:
    options = {"width": 8, "depth": 2, "norm": "batch", "dropout": 0.2}
    build: Any = mlp
    old, new = build((5,), 3, **options), build((5,), 3, **options)
    inputs = torch.randn(16, 5)
    old(inputs)  # moves the running means of the batch norms
    new.load_state_dict(old.state_dict())
    assert torch.equal(old.eval()(inputs), new.eval()(inputs))


def test_the_plain_model_is_what_it_says() -> None:
    model = mlp((2,), 1, width=3, depth=1, activation="tanh")
    first, last = (each for each in model.modules() if isinstance(each, nn.Linear))
    inputs = torch.randn(4, 2)
    assert torch.allclose(model(inputs), last(torch.tanh(first(inputs))))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("width", 2.5),
        ("depth", 0),
        ("depth", True),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("activation", "relux"),
        ("norm", "instance"),
        ("initialiser", "zeros"),
    ],
)
def test_options_out_of_their_range_are_complained_of(option: str, value: object) -> None:
    known = components.options(components.load("models", "mlp"))
    assert known[option].complaint(value)
    assert not known[option].complaint(known[option].default)


@pytest.mark.parametrize("initialiser", get_args(Initialiser))
def test_an_initialiser_draws_the_hidden_layers_and_not_the_head(initialiser: Initialiser) -> None:
    def weights(*, chosen: Initialiser) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = mlp((30,), 30, width=30, depth=2, activation="elu", initialiser=chosen)
        return [each.weight.detach() for each in model.modules() if isinstance(each, nn.Linear)]

    *hidden, head = weights(chosen=initialiser)
    *plain, _ = weights(chosen="auto")
    is_plain = initialiser in {"auto", "he_uniform"}
    assert all(torch.equal(*pair) == is_plain for pair in zip(hidden, plain, strict=True))
    assert float(head.abs().max()) == pytest.approx((6 / 60) ** 0.5, rel=0.01)
