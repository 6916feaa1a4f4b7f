"""Recurrent networks for series and texts. Knows nothing of tasks, losses or training.

Shape suffixes: B examples, T steps, F features of a step.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.models.dropout import Dropout
from nnsearch.models.layers import Shape
from nnsearch.models.sequence import Pooling, Sequence, headed, lengths, read_steps

Nonlinearity = Literal["tanh", "relu"]
Recurrent = nn.RNN | nn.LSTM | nn.GRU
Make = Callable[[int, int], Recurrent]


class _Style(NamedTuple):
    width: int
    depth: int
    dropout: float
    bidirectional: bool
    pooling: Pooling
    embedding: int
    residual: bool


def rnn(
    inputs: Shape,
    outputs: int,
    *,
    width: Width = 64,
    depth: Depth = 1,
    dropout: Unit = 0.0,
    bidirectional: bool = False,
    pooling: Pooling = "last",
    activation: Nonlinearity = "tanh",
    embedding: Width = 64,
    residual: bool = False,
) -> nn.Module:
    """`depth` plain recurrent layers (Elman, 1990), then a linear head: to [B, outputs].

    Inputs are series [B, C, T], of which the last channel says what steps are real, or the tokens
    of texts, each of which becomes a vector of `embedding` numbers. Bidirectional layers have
    `width` units more, which read each sequence from its end to its beginning; what stands behind
    the end is never read. The head sees what each direction gives at the last step that it reads,
    or the mean, the maximum or a learned mean over all steps. `dropout` is the share of each
    layer's outputs, and of a word's vector, that is dropped in training. With `residual` the
    outputs are what is added to the last value of the first channel, for forecasts. Recurrent
    weights begin orthogonal (Saxe et al., 2014), the others with Xavier's variance, or He's where a
    relu follows. Raises UsageError where the inputs are neither series nor texts.
    """
    style = _Style(width, depth, dropout, bidirectional, pooling, embedding, residual)
    make = partial(nn.RNN, nonlinearity=activation, batch_first=True)
    return _network(inputs, outputs, make, ("rnn", style))


def lstm(
    inputs: Shape,
    outputs: int,
    *,
    width: Width = 64,
    depth: Depth = 1,
    dropout: Unit = 0.0,
    bidirectional: bool = False,
    pooling: Pooling = "last",
    embedding: Width = 64,
    residual: bool = False,
) -> nn.Module:
    """As `rnn`, with cells that have a memory (Hochreiter and Schmidhuber, 1997).

    The forget gates begin open, with a bias of 1 (Jozefowicz et al., 2015).
    """
    style = _Style(width, depth, dropout, bidirectional, pooling, embedding, residual)
    return _network(inputs, outputs, partial(nn.LSTM, batch_first=True), ("lstm", style))


def gru(
    inputs: Shape,
    outputs: int,
    *,
    width: Width = 64,
    depth: Depth = 1,
    dropout: Unit = 0.0,
    bidirectional: bool = False,
    pooling: Pooling = "last",
    embedding: Width = 64,
    residual: bool = False,
) -> nn.Module:
    """As `rnn`, with cells of two gates and no memory beside their output (Cho et al., 2014)."""
    style = _Style(width, depth, dropout, bidirectional, pooling, embedding, residual)
    return _network(inputs, outputs, partial(nn.GRU, batch_first=True), ("gru", style))


class Layers(nn.Module):
    """Recurrent layers one on another, each with a backward twin or without, and a dropout.

    A layer by itself, and a reversal within each sequence's own length, say exactly what torch's
    packed sequences would, and can be exported.
    """

    def __init__(self, forwards: list[Recurrent], backwards: list[Recurrent], rate: float) -> None:
        super().__init__()
        self.forwards = nn.ModuleList(forwards)
        self.backwards = nn.ModuleList(backwards)
        self.dropouts = nn.ModuleList(Dropout(rate) for _ in forwards[1:])

    def forward(self, steps: Sequence) -> Tensor:
        """Features [B, T, F] to [B, T, width], or twice the width in both directions."""
        x_BTF, mask_BT = steps
        places_BT = reversed_places(mask_BT) if len(self.backwards) else None
        for index, layer in enumerate(self.forwards):
            x_BTF = self.dropouts[index - 1](x_BTF) if index else x_BTF
            ahead_BTF = layer(x_BTF)[0]
            if places_BT is None:
                x_BTF = ahead_BTF
                continue
            back_BTF = self.backwards[index](_taken(x_BTF, places_BT))[0]
            x_BTF = torch.cat([ahead_BTF, _taken(back_BTF, places_BT)], 2)
        return x_BTF


class Ends(nn.Module):
    """Moves what the backward units say of the first step to the last real one, for the pool."""

    def __init__(self, layers: Layers, width: int) -> None:
        super().__init__()
        self.layers = layers
        self.width = width

    def forward(self, steps: Sequence) -> Tensor:
        """As the layers, but the backward half is reversed: its last step has read everything."""
        x_BTF: Tensor = self.layers(steps)
        ahead_BTF, back_BTF = x_BTF.split(self.width, 2)
        return torch.cat([ahead_BTF, _taken(back_BTF, reversed_places(steps.mask))], 2)


def reversed_places(mask_BT: Tensor) -> Tensor:
    """The places [B, T] that turn each sequence round within its length; twice is not at all."""
    places_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    turned_BT = lengths(mask_BT).unsqueeze(1) - 1 - places_T
    return torch.where(turned_BT >= 0, turned_BT, places_T)


def _taken(x_BTF: Tensor, places_BT: Tensor) -> Tensor:
    return x_BTF.gather(1, places_BT.unsqueeze(-1).expand(-1, -1, x_BTF.shape[2]))


def _network(inputs: Shape, outputs: int, make: Make, named: tuple[str, _Style]) -> nn.Module:
    name, style = named
    reader, features, _ = read_steps(inputs, style.embedding, name, dropout=style.dropout)
    whole = style.width * (2 if style.bidirectional else 1)
    sizes = [features, *[whole] * (style.depth - 1)]
    directions = [
        [_initialised(make(size, style.width)) for size in sizes] if is_wanted else []
        for is_wanted in (True, style.bidirectional)
    ]
    layers = Layers(directions[0], directions[1], style.dropout)
    needs_ends = style.bidirectional and style.pooling == "last"
    body = Ends(layers, style.width) if needs_ends else layers
    return headed(
        reader,
        (body, whole),
        outputs,
        pooling=style.pooling,
        dropout=style.dropout,
        residual=style.residual,
    )


def _initialised(layer: Recurrent) -> Recurrent:
    """Each gate's weights drawn by itself; biases 0, and 1 for the forget gates of an LSTM."""
    gain = sqrt(2) if getattr(layer, "nonlinearity", "tanh") == "relu" else 1.0
    for name, parameter in layer.named_parameters():
        for gate in parameter.chunk(len(parameter) // layer.hidden_size):
            if name.startswith("bias"):
                nn.init.zeros_(gate)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            else:
                nn.init.xavier_uniform_(gate, gain)
        if name == "bias_ih_l0" and isinstance(layer, nn.LSTM):
            nn.init.ones_(parameter[layer.hidden_size : 2 * layer.hidden_size])
    return layer
