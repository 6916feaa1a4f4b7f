"""What networks are built of: activations, norms, first weights. Knows no whole network.

Every module made here is one of torch's own or a `Dropout`, one for each step of the arithmetic,
so that a network can be translated module by module into one with a leading trial axis.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import gcd, sqrt
from typing import Literal, TypeVar

from torch import Tensor, nn

from nnsearch.components import Unit
from nnsearch.models.dropout import Dropout

Shape = tuple[int, ...]
Activation = Literal[
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "softplus",
    "tanh",
    "sigmoid",
]
Initialiser = Literal[
    "auto",
    "he_normal",
    "he_uniform",
    "xavier_normal",
    "xavier_uniform",
    "lecun_normal",
    "orthogonal",
]
Norm = Literal["none", "batch", "layer", "group"]

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
MOST_GROUPS = 8

_RELU_FAMILY = frozenset(
    {"relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hardswish", "softplus"}
)

Module = TypeVar("Module", bound=nn.Module)


def activate(activation: Activation) -> nn.Module:
    """A fresh module of the activation."""
    return ACTIVATIONS[activation]()


def block(
    inputs: int,
    outputs: int,
    *,
    activation: Activation,
    norm: Norm,
    dropout: Unit,
    initialiser: Initialiser = "auto",
) -> nn.Sequential:
    """Linear, norm, activation, dropout: [B, inputs] to [B, outputs].

    The dropout is there even at a rate of 0, so that networks that differ in nothing but this rate
    have the same modules and can be trained together.
    """
    linear = nn.Linear(inputs, outputs, bias=has_bias(norm))
    return nn.Sequential(
        initialise(linear, activation, initialiser),
        *normalise(norm, outputs),
        activate(activation),
        Dropout(dropout),
    )


def hidden(
    sizes: Sequence[int],
    *,
    activation: Activation,
    norm: Norm,
    dropout: Unit,
    initialiser: Initialiser = "auto",
) -> list[nn.Module]:
    """A `block` from each size to the next."""
    return [
        block(
            before,
            after,
            activation=activation,
            norm=norm,
            dropout=dropout,
            initialiser=initialiser,
        )
        for before, after in pairwise(sizes)
    ]


def convolution(
    layer: nn.Conv2d, *, activation: Activation, norm: Norm, initialiser: Initialiser = "auto"
) -> list[nn.Module]:
    """The convolution with first weights that suit the activation behind it, and its norm."""
    initialised = initialise(layer, activation, initialiser)
    return [initialised, *normalise_image(norm, layer.out_channels)]


def has_bias(norm: Norm) -> bool:
    """Whether a layer in front of the norm needs a bias; a batch norm would subtract it again."""
    return norm != "batch"


def normalise(norm: Norm, width: int) -> list[nn.Module]:
    """The norm of [B, width] as a list of one module, or of none.

    "group" takes the features in groups as `normalise_image` takes channels.
    """
    match norm:
        case "none":
            return []
        case "batch":
            return [nn.BatchNorm1d(width)]
        case "layer":
            return [nn.LayerNorm(width)]
        case "group":
            return [nn.GroupNorm(_num_groups(width), width)]


def normalise_image(norm: Norm, channels: int) -> list[nn.Module]:
    """The norm of [B, channels, H, W] as a list of one module, or of none.

    "layer" takes all channels and pixels of an image together. "group" does so for up to 8 groups
    of at least two channels each, as a group of one channel and one pixel would be constant
    (Wu and He, Group Normalization, 2018).
    """
    match norm:
        case "none":
            return []
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "layer":
            return [nn.GroupNorm(1, channels)]
        case "group":
            return [nn.GroupNorm(_num_groups(channels), channels)]


def initialise(
    module: Module, activation: Activation | Literal["none"], initialiser: Initialiser = "auto"
) -> Module:
    """The module itself, with first weights that suit the activation behind it.

    The weights of every linear layer and convolution within are drawn anew from torch's global
    generator; biases begin at 0. The variance is 2 / fan_in for "he" (He et al., Delving Deep into
    Rectifiers, 2015), 2 / (fan_in + fan_out) for "xavier" (Glorot and Bengio, 2010), 1 / fan_in
    for "lecun"; "orthogonal" rows or columns (Saxe et al., 2014) have He's size where "auto" would
    take He's. "auto" is "he_uniform" for relu and its smooth relatives, "lecun_normal" for selu
    (Klambauer et al., 2017), "xavier_uniform" otherwise, which is also right for a head.
    """
    draw = _DRAWS[_matched(activation) if initialiser == "auto" else initialiser]
    gain = sqrt(2) if activation in _RELU_FAMILY else 1.0
    for each in module.modules():
        if not isinstance(each, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        draw(each.weight, gain)
        if each.bias is not None:
            nn.init.zeros_(each.bias)
    return module


def _num_groups(channels: int) -> int:
    return max(1, gcd(channels, 2 * MOST_GROUPS) // 2)


def _matched(activation: Activation | Literal["none"]) -> Initialiser:
    if activation == "selu":
        return "lecun_normal"
    return "he_uniform" if activation in _RELU_FAMILY else "xavier_uniform"


_DRAWS: dict[Initialiser, Callable[[Tensor, float], object]] = {
    "he_normal": lambda weight, _: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "he_uniform": lambda weight, _: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "xavier_normal": lambda weight, _: nn.init.xavier_normal_(weight),
    "xavier_uniform": lambda weight, _: nn.init.xavier_uniform_(weight),
    "lecun_normal": lambda weight, _: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
}
