"""Users and items as vectors: matrix factorization, neural collaborative filtering.

Knows no task, loss or training. Shape suffixes: B examples, I items known from training, F factors.
Number 0 is an id that training has not seen: its vector and its bias are 0 and stay so.
"""

from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nnsearch.components import Depth, NonNegative, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.layers import Activation, Shape, hidden, initialise


class Pairs(NamedTuple):
    """The shape of a user and an item: numbers below `users` and `items`, of which 0 is unknown."""

    users: int
    items: int


class Factorization(nn.Module):
    """Biases of users and items, and the products of their vectors."""

    def __init__(self, sizes: Pairs, outputs: int, *, factors: int, deviation: float) -> None:
        super().__init__()
        self.user_bias = _embedding(sizes.users, 1, 0.0) if outputs == 1 else None
        self.item_bias = _embedding(sizes.items, 1, 0.0)
        self.users = _embedding(sizes.users, factors, deviation) if factors else None
        self.items = _embedding(sizes.items, factors, deviation) if factors else None
        self.outputs = outputs

    def forward(self, x_B2: Tensor) -> Tensor:
        """The rating [B, 1] of each pair, or, with more outputs, scores [B, I] of all items."""
        users, items = x_B2[:, 0], x_B2[:, 1]
        if self.user_bias is not None:
            scores: Tensor = self.user_bias(users) + self.item_bias(items)
            if self.users is None or self.items is None:
                return scores
            products: Tensor = self.users(users) * self.items(items)
            return scores + products.sum(1, keepdim=True)
        biases_BI = self.item_bias.weight[1:, 0].expand(users.shape[0], -1)
        if self.users is None or self.items is None:
            return biases_BI
        matches_BI: Tensor = self.users(users) @ self.items.weight[1:].T
        return biases_BI + matches_BI


class Neural(nn.Module):
    """A product of vectors beside a perceptron that reads other vectors of the same pair."""

    def __init__(self, sizes: Pairs, factors: int, hidden: list[nn.Module], width: int) -> None:
        super().__init__()
        deviation = factors**-0.5
        self.product_users = _embedding(sizes.users, factors, deviation)
        self.product_items = _embedding(sizes.items, factors, deviation)
        self.read_users = _embedding(sizes.users, factors, deviation)
        self.read_items = _embedding(sizes.items, factors, deviation)
        self.hidden = nn.Sequential(*hidden)
        self.head = initialise(nn.Linear(factors + width, 1), "none")

    def forward(self, x_B2: Tensor) -> Tensor:
        """The rating [B, 1] of each pair."""
        users, items = x_B2[:, 0], x_B2[:, 1]
        products_BF = self.product_users(users) * self.product_items(items)
        read = self.hidden(torch.cat([self.read_users(users), self.read_items(items)], dim=1))
        rated: Tensor = self.head(torch.cat([products_BF, read], dim=1))
        return rated


def factorization(
    inputs: Shape,
    outputs: int,
    *,
    factors: Annotated[int, Ge(0), Le(2**20)] = 16,
    deviation: NonNegative = 0.1,
) -> nn.Module:
    """Matrix factorization with biases (Koren et al., 2009): pairs [B, 2] to [B, outputs].

    With one output it is a rating, the user's bias + the item's + the product of their vectors of
    `factors` numbers, first drawn with this `deviation`; `factors = 0` leaves the biases alone.
    With one output for each item these are scores of all items for the user. Raises UsageError
    where the inputs are no users and items.
    """
    return Factorization(
        _pairs(inputs, "factorization"), outputs, factors=factors, deviation=deviation
    )


def neural_factorization(
    inputs: Shape,
    outputs: int,
    *,
    factors: Width = 8,
    width: Width = 32,
    depth: Depth = 2,
    dropout: Unit = 0.0,
    activation: Activation = "relu",
) -> nn.Module:
    """Neural collaborative filtering (He et al., 2017): pairs [B, 2] to ratings [B, 1].

    The products of two vectors of `factors` numbers stand beside what a perceptron makes of two
    others: `depth` layers, the first of `width` units and each later one of half as many. Raises
    UsageError where the inputs are no users and items, and for a ranking of all items, which would
    run the perceptron for every user and item.
    """
    sizes = _pairs(inputs, "neural_factorization")
    if outputs != 1:
        hint = "Use 'factorization'."
        raise UsageError("the model 'neural_factorization' rates pairs, it ranks none.", hint)
    widths = [2 * factors, *(max(1, width >> level) for level in range(depth))]
    blocks = hidden(widths, activation=activation, norm="none", dropout=dropout)
    return Neural(sizes, factors, blocks, widths[-1])


def refuse_pairs(inputs: Shape, model: str) -> None:
    """Raise UsageError, in the name of `model`, for users and items: their numbers are names."""
    if isinstance(inputs, Pairs):
        message = f"the model '{model}' wants quantities, not users and items."
        raise UsageError(message, "Use 'factorization'.")


def _pairs(inputs: Shape, name: str) -> Pairs:
    if isinstance(inputs, Pairs):
        return inputs
    message = f"the model '{name}' needs users and items, not shape {tuple(inputs)}."
    raise UsageError(message, "Use the source 'ratings'.")


def _embedding(size: int, width: int, deviation: float) -> nn.Embedding:
    made = nn.Embedding(size, width, padding_idx=0)
    nn.init.normal_(made.weight, std=deviation)
    with torch.no_grad():
        made.weight[0] = 0.0
    return made
