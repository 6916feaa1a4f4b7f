"""Temporal convolutional networks for series and texts. Knows nothing of tasks or training.

Shape suffixes: B examples, F features, T steps.
"""

from typing import Literal

from torch import Tensor, nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.models.dropout import Dropout
from nnsearch.models.layers import Activation, Initialiser, Shape, activate, initialise
from nnsearch.models.sequence import Pooling, Sequence, headed, read_steps

Kernel = Literal[2, 3, 5, 7]
StepNorm = Literal["none", "layer"]


def tcn(
    inputs: Shape,
    outputs: int,
    *,
    width: Width = 64,
    depth: Depth = 3,
    kernel: Kernel = 3,
    dropout: Unit = 0.0,
    activation: Activation = "relu",
    norm: StepNorm = "none",
    pooling: Pooling = "last",
    embedding: Width = 64,
    residual: bool = False,
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """`depth` residual blocks of two causal convolutions, then a linear head: to [B, outputs].

    Inputs are series [B, C, T], of which the last channel says what steps are real, or the tokens
    of texts, each of which becomes a vector of `embedding` numbers. The convolutions of each block
    reach twice as far back as those of the block before, and none sees what comes after its step
    (Bai et al., 2018), so nothing behind a sequence's end has a part in it. With a depth of d the
    last step sees 2 (kernel - 1) (2^d - 1) steps back. "layer" normalises the features of each
    step. The head sees the last step, or the mean, the maximum or a learned mean over all;
    `dropout` is the share of each convolution's outputs, and of a word's vector, that is dropped in
    training. With `residual` the outputs are what is added to the last value of the first channel,
    for forecasts. Raises UsageError where the inputs are neither series nor texts.
    """
    reader, features, _ = read_steps(inputs, embedding, "tcn", dropout=dropout)

    def convolution(before: int, dilation: int) -> list[nn.Module]:
        layer = nn.Conv1d(before, width, kernel, dilation=dilation)
        return [
            nn.ConstantPad1d(((kernel - 1) * dilation, 0), 0.0),
            initialise(layer, activation, initialiser),
            *([NormSteps(width)] if norm == "layer" else []),
            activate(activation),
            Dropout(dropout),
        ]

    blocks: list[nn.Module] = []
    for level in range(depth):
        before = width if level else features
        body = nn.Sequential(*convolution(before, 2**level), *convolution(width, 2**level))
        skip: nn.Module = nn.Identity()
        if before != width:
            skip = initialise(nn.Conv1d(before, width, 1), "none")
        blocks.append(Block(body, skip))
    return headed(
        reader,
        (Stack(blocks), width),
        outputs,
        pooling=pooling,
        dropout=dropout,
        residual=residual,
    )


class NormSteps(nn.Module):
    """Layer norm over the features of each step of [B, F, T]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BFT: Tensor) -> Tensor:
        """[B, F, T]."""
        normed_BTF: Tensor = self.norm(x_BFT.transpose(1, 2))
        return normed_BTF.transpose(1, 2)


class Block(nn.Module):
    """The sum of what `body` and `skip` make of the same input."""

    def __init__(self, body: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.skip = skip

    def forward(self, x_BFT: Tensor) -> Tensor:
        """[B, F, T] to [B, width, T]."""
        summed: Tensor = self.body(x_BFT) + self.skip(x_BFT)
        return summed


class Stack(nn.Module):
    """Blocks one on another, on steps [B, T, F]."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, steps: Sequence) -> Tensor:
        """[B, T, width]."""
        x_BFT: Tensor = self.blocks(steps.x.transpose(1, 2))
        return x_BFT.transpose(1, 2)
