"""Factorization: what it computes, what it knows of strangers, what it refuses."""

import pytest
import torch
from torch import nn

from nnsearch import components
from nnsearch.errors import UsageError
from nnsearch.models.factorization import (
    Factorization,
    Pairs,
    factorization,
    neural_factorization,
)

SIZES = Pairs(5, 4)
PAIRS = torch.tensor([[1, 1], [4, 3], [2, 3], [3, 2], [0, 2], [1, 0]])


@pytest.mark.parametrize("make", [factorization, neural_factorization])
def test_gradients_reach_every_parameter(make: type) -> None:
    torch.manual_seed(0)
    model = make(SIZES, 1)
    rated = model(PAIRS)
    assert rated.shape == (6, 1)
    rated.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_a_rating_is_biases_and_a_product() -> None:
    model = factorization(SIZES, 1, factors=3)
    assert isinstance(model, Factorization)
    assert model.users is not None
    assert model.items is not None
    assert model.user_bias is not None
    nn.init.normal_(model.user_bias.weight)
    user, item = model.users.weight[4], model.items.weight[3]
    wanted = model.user_bias.weight[4, 0] + model.item_bias.weight[3, 0] + user @ item
    assert torch.allclose(model(PAIRS)[1, 0], wanted)
    assert factorization(SIZES, 1, factors=0)(PAIRS).shape == (6, 1)


def test_scores_of_all_items_are_those_of_each_pair() -> None:
    torch.manual_seed(0)
    model = factorization(SIZES, 3, factors=2)
    assert isinstance(model, Factorization)
    assert model.users is not None
    assert model.items is not None
    nn.init.normal_(model.item_bias.weight)
    scores = model(PAIRS)
    assert scores.shape == (6, 3)
    user, items = model.users.weight[4], model.items.weight[1:]
    assert torch.allclose(scores[1], items @ user + model.item_bias.weight[1:, 0])
    assert torch.equal(factorization(SIZES, 3, factors=0)(PAIRS)[0], torch.zeros(3))


def test_a_stranger_has_no_taste_and_training_gives_none() -> None:
    model = factorization(SIZES, 1)
    assert isinstance(model, Factorization)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(PAIRS).sub(1).square().sum().backward()
        optimizer.step()
    assert model.users is not None
    assert not model.users.weight[0].any()
    assert torch.equal(model(PAIRS[4:5])[0], model.item_bias.weight[2])


@pytest.mark.parametrize("model", ["linear", "mlp", "autoencoder", "gru", "tcn"])
def test_numbers_that_are_names_are_no_quantities(model: str) -> None:
    with pytest.raises(UsageError, match=f"'{model}' wants quantities, not users and items"):
        components.load("models", model)(SIZES, 1)


def test_what_is_no_pair_and_what_would_be_slow_are_refused() -> None:
    for make in (factorization, neural_factorization):
        with pytest.raises(UsageError, match="needs users and items"):
            make((3,), 1)
    with pytest.raises(UsageError, match="it ranks none"):
        neural_factorization(SIZES, 3)
