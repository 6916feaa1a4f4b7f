"""Autoencoders: shapes, gradients, noise and the divergence of a variational one."""

import pytest
import torch
from torch import nn

from nnsearch.errors import UsageError
from nnsearch.models.autoencoder import Autoencoder, autoencoder, conv_autoencoder
from nnsearch.models.constant import constant


@pytest.mark.parametrize("kl", [0.0, 1.0])
@pytest.mark.parametrize("inputs", [(5,), (1, 8, 8), (3, 9, 13)])
def test_a_dense_one_gives_back_as_many_numbers_as_it_takes(
    inputs: tuple[int, ...], kl: float
) -> None:
    num = torch.Size(inputs).numel()
    model = autoencoder(inputs, num, code=3, width=7, depth=2, kl=kl)
    assert model(torch.randn(4, *inputs)).shape == (4, num + bool(kl))


@pytest.mark.parametrize("kl", [0.0, 1.0])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("inputs", [(1, 8, 8), (3, 9, 13)])
def test_a_convolutional_one_gives_back_every_pixel(
    inputs: tuple[int, ...], depth: int, kl: float
) -> None:
    num = torch.Size(inputs).numel()
    model = conv_autoencoder(inputs, num, code=3, channels=2, depth=depth, kl=kl)
    assert model(torch.randn(4, *inputs)).shape == (4, num + bool(kl))


@pytest.mark.parametrize("make", [autoencoder, conv_autoencoder])
@pytest.mark.parametrize("options", [{}, {"kl": 0.5}, {"noise": 0.2}, {"norm": "batch"}])
def test_gradients_reach_every_parameter(make: type, options: dict[str, float]) -> None:
    torch.manual_seed(0)
    model = make((1, 8, 8), 64, **options).double()
    model(torch.randn(16, 1, 8, 8).double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-9, name


def test_noise_is_added_in_training_alone() -> None:
    model = Autoencoder(nn.Flatten(), nn.Identity(), noise=0.5, kl=0.0)
    x = torch.zeros(2000, 5)
    assert model(x).std() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(model.eval()(x), x)


def test_the_penalty_is_the_divergence_from_a_standard_normal() -> None:
    mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, -0.3]])
    model = Autoencoder(nn.Identity(), nn.Linear(2, 8), noise=0.0, kl=0.7).eval()
    wanted = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, torch.exp(log_variance / 2)),
        torch.distributions.Normal(torch.zeros(1, 2), torch.ones(1, 2)),
    ).sum()
    with torch.no_grad():
        penalty = model(torch.cat([mean, log_variance], dim=1))[0, -1]
    assert float(penalty) == pytest.approx(2 * 0.7 / 8 * float(wanted), rel=1e-5)


def test_images_that_are_too_small_or_none_are_refused() -> None:
    with pytest.raises(UsageError, match="until nothing is left") as told:
        conv_autoencoder((1, 8, 8), 64, depth=5)
    assert "Set depth to 3 at the most." in str(told.value.hint)
    conv_autoencoder((1, 8, 8), 64, depth=3)
    with pytest.raises(UsageError, match="needs images"):
        conv_autoencoder((30,), 30)
    with pytest.raises(UsageError, match="gives back its 64 inputs, not 10"):
        conv_autoencoder((1, 8, 8), 10)


def test_a_constant_says_the_same_of_every_example() -> None:
    model = constant((1, 8, 8), 3)
    said = model(torch.randn(5, 1, 8, 8))
    assert said.shape == (5, 3)
    assert torch.equal(said, said[:1].expand(5, 3))
    said.sum().backward()
    assert all(each.grad is not None for each in model.parameters())
