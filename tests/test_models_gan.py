"""Adversaries and other models that draw: whose slope is whose, and that noise is fixed."""

import pytest
import torch
import torch.nn.functional as F

from nnsearch.errors import UsageError
from nnsearch.models.gan import Adversaries, gan
from nnsearch.models.generators import Variational, independent, vae

IMAGES = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", [gan, vae, independent])
def test_training_gives_losses_and_evaluation_pictures_too(make: type) -> None:
    model = make((1, 8, 8), 64)
    assert model.train()(IMAGES).shape == (12, 1)
    with torch.no_grad():
        drawn = model.eval()(IMAGES)
    assert drawn.shape == (12, 65)
    assert drawn[:, 1:].std(0).min() > 0
    with torch.no_grad():
        again = model(torch.randn(5, 1, 8, 8))
    torch.testing.assert_close(again[:, 1:], drawn[:5, 1:])


@pytest.mark.parametrize("make", [gan, vae, independent])
def test_gradients_reach_every_parameter(make: type) -> None:
    torch.manual_seed(0)
    model = make((1, 8, 8), 64).double().train()
    model(IMAGES.double()).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-12, name


def grads(model: torch.nn.Module) -> list[torch.Tensor]:
    return [each.grad.clone() for each in model.parameters() if each.grad is not None]


def test_each_network_learns_by_its_own_loss_alone() -> None:
    torch.manual_seed(0)
    model = gan((1, 8, 8), 64, channels=4, penalty=0.0).double().train()
    assert isinstance(model, Adversaries)
    images = IMAGES.double()
    torch.manual_seed(5)
    model(images).mean().backward()
    generator, discriminator = grads(model.generator), grads(model.discriminator)

    def drawn() -> torch.Tensor:
        torch.manual_seed(5)
        model.zero_grad()
        made: torch.Tensor = model.generator(images.new_empty(12, model.code).normal_())
        return made

    F.softplus(-model.discriminator(drawn())).mean().backward()
    torch.testing.assert_close(generator, grads(model.generator))
    made = drawn().detach()
    judged = F.softplus(-model.discriminator(images)) + F.softplus(model.discriminator(made))
    judged.mean().backward()
    torch.testing.assert_close(discriminator, grads(model.discriminator))


def test_the_penalty_is_the_squared_slope_at_real_images() -> None:
    torch.manual_seed(0)
    model = gan((1, 8, 8), 64, channels=4, penalty=3.0).double().train()
    assert isinstance(model, Adversaries)
    torch.manual_seed(5)
    with_penalty = model(IMAGES.double())
    model.penalty = 0.0
    torch.manual_seed(5)
    without = model(IMAGES.double())
    of_real = IMAGES.double().requires_grad_()
    (slopes,) = torch.autograd.grad(model.discriminator(of_real).sum(), of_real)
    wanted = 1.5 * slopes.flatten(1).square().sum(1, keepdim=True)
    torch.testing.assert_close(with_penalty - without, wanted)


def test_a_variational_loss_is_the_autoencoders() -> None:
    model = vae((1, 8, 8), 64, kl=0.5)
    assert isinstance(model, Variational)
    with torch.no_grad():
        losses = model.eval()(IMAGES)[:, 0]
        made = model.model(IMAGES)
    wanted = (made[:, :64] - IMAGES.flatten(1)).square().mean(1) + made[:, 64]
    torch.testing.assert_close(losses, wanted)


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="needs images"):
        gan((64,), 64)
    with pytest.raises(UsageError, match="until nothing is left") as told:
        gan((1, 8, 8), 64, depth=9)
    assert "Set depth to 3 at the most." in str(told.value.hint)
    with pytest.raises(UsageError, match="not 10 numbers"):
        gan((1, 8, 8), 10)


@pytest.mark.parametrize("make", [gan, independent])
def test_of_classes_each_is_drawn_in_turn_and_each_has_its_loss(make: type) -> None:
    torch.manual_seed(0)
    model = make((1, 8, 8), 64 + 5)
    assert model.train()(IMAGES).shape == (12, 1 + 5)
    with torch.no_grad():
        drawn = model.eval()(IMAGES)
    assert drawn.shape == (12, 1 + 5 + 1 + 64)
    assert drawn[:, 6].tolist() == [row % 5 for row in range(12)]
    with torch.no_grad():
        again = model(torch.randn(7, 1, 8, 8))
    torch.testing.assert_close(again[:, 6:], drawn[:7, 6:])
    model.double().train()(IMAGES.double()).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-12, name


def test_the_class_is_an_input_of_the_generator_and_of_the_discriminator() -> None:
    torch.manual_seed(0)
    model = gan((1, 8, 8), 64 + 3, channels=4, penalty=0.0).double().train()
    assert isinstance(model, Adversaries)
    noise = torch.randn(3, model.code, dtype=torch.float64)
    drawn = model._drawn(noise, torch.tensor([0, 1, 2]))
    others = model._drawn(noise, torch.tensor([1, 2, 0]))
    assert (drawn - others).abs().flatten(1).max(1).values.min() > 1e-3
    torch.manual_seed(5)
    losses = model(IMAGES.double())
    torch.testing.assert_close(losses[:, 1:], F.softplus(-model.discriminator(IMAGES.double())))
    losses[:, 0].mean().backward()
    generator, discriminator = grads(model.generator), grads(model.discriminator)

    def redrawn() -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(5)
        model.zero_grad()
        classes = torch.randint(3, (12,))
        noise = IMAGES.double().new_empty(12, model.code).normal_()
        return model._drawn(noise, classes), classes

    made, classes = redrawn()
    F.softplus(-model.discriminator(made).gather(1, classes[:, None])).mean().backward()
    for ours, theirs in zip(generator, grads(model.generator), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    made, classes = redrawn()
    F.softplus(model.discriminator(made.detach()).gather(1, classes[:, None])).mean().backward()
    for ours, theirs in zip(discriminator, grads(model.discriminator), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_penalty_of_classes_is_the_mean_over_their_slopes() -> None:
    torch.manual_seed(0)
    model = gan((1, 8, 8), 64 + 2, channels=4, penalty=3.0).double().train()
    assert isinstance(model, Adversaries)
    of_real = IMAGES.double().requires_grad_()
    judged = model.discriminator(of_real)
    squares = sum(
        torch.autograd.grad(judged[:, each].sum(), of_real, retain_graph=True)[0]
        .flatten(1)
        .square()
        .sum(1)
        for each in range(2)
    )
    found = []
    for seed in range(200):
        model.penalty = 3.0
        torch.manual_seed(seed)
        with_penalty = model(IMAGES.double())[:, 0]
        model.penalty = 0.0
        torch.manual_seed(seed)
        found.append((with_penalty - model(IMAGES.double())[:, 0]).detach())
    assert isinstance(squares, torch.Tensor)
    mean, wanted = torch.stack(found).mean(), 3.0 / (2 * 2) * squares.detach().mean()
    assert abs(float(mean / wanted) - 1) < 0.05


def test_a_model_without_classes_says_so() -> None:
    with pytest.raises(UsageError, match="does not know classes") as told:
        vae((1, 8, 8), 64 + 10)
    assert "model gan" in str(told.value.hint)
