"""Each model and each kind of input: it computes with it, or it refuses it when it is made."""

from math import prod

import pytest
import torch
from torch import Tensor, nn

from nnsearch import components
from nnsearch.errors import UsageError
from nnsearch.models.factorization import Pairs
from nnsearch.models.layers import Shape
from nnsearch.models.sequence import Tokens

BATCH = 4
# The last channel of a series says what steps are real.
KINDS: dict[str, Shape] = {
    "table": (6,),
    "image": (1, 16, 16),
    "series": (3, 20),
    "text": Tokens(12, 30),
    "ratings": Pairs(5, 7),
}
STEPS, DENSE = ("series", "text"), ("table", "image", "series")
TAKES: dict[str, tuple[str, ...]] = {
    "constant": tuple(KINDS),
    "linear": (*DENSE, "text"),
    "mlp": DENSE,
    "embedding_mlp": ("table",),
    "cnn": ("image",),
    "unet": ("image",),
    "gan": ("image",),
    "vae": DENSE,
    "independent": DENSE,
    "autoencoder": DENSE,
    "conv_autoencoder": ("image",),
    "factorization": ("ratings",),
    "neural_factorization": ("ratings",),
    **dict.fromkeys(("rnn", "lstm", "gru", "tcn"), STEPS),
    "transformer": (*STEPS, "image"),
}
REBUILDS = {"gan", "vae", "independent", "autoencoder", "conv_autoencoder"}


def made(name: str, kind: str) -> nn.Module:
    """The model for inputs of a kind, with as many outputs as it should have for them."""
    inputs = KINDS[kind]
    outputs = prod(inputs) if name in REBUILDS else 1 if kind == "ratings" else 3
    if name == "unet":
        outputs = 2 * prod(inputs[1:])
    model: nn.Module = components.load("models", name)(inputs, outputs)
    return model


def batch(kind: str) -> Tensor:
    inputs = KINDS[kind]
    if isinstance(inputs, Tokens):
        return torch.randint(inputs.vocabulary, (BATCH, inputs.length))
    if isinstance(inputs, Pairs):
        return torch.stack([torch.randint(each, (BATCH,)) for each in inputs], dim=1)
    drawn = torch.randn(BATCH, *inputs)
    if kind == "series":
        drawn[:, -1] = 1.0
    return drawn


def pairs(*, is_taken: bool) -> list[tuple[str, str]]:
    return [
        (name, kind)
        for name, takes in TAKES.items()
        for kind in KINDS
        if (kind in takes) == is_taken
    ]


def test_every_model_says_what_it_takes() -> None:
    assert set(TAKES) == set(components.BUILTINS["models"])


@pytest.mark.parametrize(("name", "kind"), pairs(is_taken=False))
def test_a_foreign_kind_of_input_is_refused_with_what_to_do(name: str, kind: str) -> None:
    with pytest.raises(UsageError) as raised:
        made(name, kind)
    assert raised.value.hint


@pytest.mark.parametrize(("name", "kind"), pairs(is_taken=True))
def test_what_is_not_refused_is_computed_with(name: str, kind: str) -> None:
    torch.manual_seed(0)
    answer = made(name, kind).eval()(batch(kind))
    assert len(answer) == BATCH
    assert torch.isfinite(answer).all()
