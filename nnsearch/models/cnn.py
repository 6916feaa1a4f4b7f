"""Convolutional networks for images. Knows nothing of tasks, losses or training.

Shape suffixes: B examples, C channels, H height, W width.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

from torch import Tensor, nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.dropout import Dropout
from nnsearch.models.images import NUM_IMAGE_AXES
from nnsearch.models.layers import (
    Activation,
    Initialiser,
    Norm,
    Shape,
    activate,
    convolution,
    has_bias,
    initialise,
    normalise_image,
)

Kernel = Literal[3, 5, 7]
Block = Literal["plain", "residual"]
Pool = Literal["max", "average", "stride"]
Head = Literal["flatten", "average"]


class Residual(nn.Module):
    """The sum of what `body` and `skip` make of the same input (He et al., 2015)."""

    def __init__(self, body: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.skip = skip

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to whatever shape `body` and `skip` agree on."""
        summed: Tensor = self.body(x_BCHW) + self.skip(x_BCHW)
        return summed


class _Style(NamedTuple):
    kernel: Kernel
    block: Block
    activation: Activation
    norm: Norm
    pool: Pool
    initialiser: Initialiser


def cnn(
    inputs: Shape,
    outputs: int,
    *,
    channels: Width = 16,
    depth: Depth = 2,
    kernel: Kernel = 3,
    block: Block = "plain",
    activation: Activation = "relu",
    norm: Norm = "none",
    dropout: Unit = 0.0,
    pool: Pool = "max",
    head: Head = "flatten",
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """`depth` blocks of convolutions, then a linear head: [B, C, H, W] to [B, outputs].

    The first block has `channels` channels, each later one twice as many, and each halves height
    and width: by the maximum or the average of 2 x 2 pixels, or by a convolution of stride 2. A
    plain block is one convolution, a residual one two with a way around them. The head sees every
    pixel that is left, or with "average" each channel's mean; `dropout` is the share of what it
    sees that is dropped in training. The first weights of the convolutions are drawn by
    `initialiser`, which "auto" matches to the activation. Raises UsageError where the inputs are
    no images, or images too small to be halved `depth` times.

        cnn((1, 28, 28), 10, channels=8, depth=2)   # 8 x 14 x 14, 16 x 7 x 7, then 10
    """
    num_channels, height, width = _image(inputs, depth, pool)
    style = _Style(kernel, block, activation, norm, pool, initialiser)
    sizes = [num_channels, *(channels * 2**level for level in range(depth))]
    blocks = [_block(before, after, style) for before, after in pairwise(sizes)]
    num_pixels = (
        1 if head == "average" else _halved(height, depth, pool) * _halved(width, depth, pool)
    )
    return nn.Sequential(
        *blocks,
        *([nn.AdaptiveAvgPool2d(1)] if head == "average" else []),
        nn.Flatten(),
        Dropout(dropout),
        initialise(nn.Linear(sizes[-1] * num_pixels, outputs), "none"),
    )


def _image(inputs: Shape, depth: int, pool: Pool) -> tuple[int, int, int]:
    if len(inputs) != NUM_IMAGE_AXES:
        raise UsageError(
            f"the model 'cnn' needs images [channels, height, width], not shape {inputs}.",
            "Use 'mlp' or 'linear'.",
        )
    num_channels, height, width = inputs
    smallest = min(height, width)
    most = (smallest - 1 if pool == "stride" else smallest // 2).bit_length()
    if most == 0:
        raise UsageError(
            f"an image of {height} x {width} pixels is too small for the model 'cnn'.",
            "Use 'mlp' or 'linear'.",
        )
    if depth > most:
        raise UsageError(
            f"depth = {depth} of the model 'cnn' halves an image of {height} x {width} pixels "
            "until nothing is left.",
            f"Set depth to {most} at the most.",
        )
    return num_channels, height, width


def _halved(side: int, times: int, pool: Pool) -> int:
    # A window of 2 x 2 leaves an odd last row out; a convolution of stride 2 starts on it.
    return -(-side >> times) if pool == "stride" else side >> times


def _block(inputs: int, outputs: int, style: _Style) -> nn.Sequential:
    stride = 2 if style.pool == "stride" else 1
    make = _plain if style.block == "plain" else _residual
    layers, active = make(inputs, outputs, stride, style), activate(style.activation)
    match style.pool:
        case "stride":
            return nn.Sequential(*layers, active)
        case "average":
            return nn.Sequential(*layers, active, nn.AvgPool2d(2))
        case "max":
            # A maximum and a rising activation commute: pooled first, it works on a quarter.
            return nn.Sequential(*layers, nn.MaxPool2d(2), active)


def _plain(inputs: int, outputs: int, stride: int, style: _Style) -> list[nn.Module]:
    return _convolution(inputs, outputs, stride, style)


def _residual(inputs: int, outputs: int, stride: int, style: _Style) -> list[nn.Module]:
    body = nn.Sequential(
        *_convolution(inputs, outputs, stride, style),
        activate(style.activation),
        *_convolution(outputs, outputs, 1, style),
    )
    if inputs == outputs and stride == 1:
        return [Residual(body, nn.Identity())]
    skip = nn.Conv2d(inputs, outputs, 1, stride, bias=has_bias(style.norm))
    skips = [initialise(skip, "none"), *normalise_image(style.norm, outputs)]
    return [Residual(body, nn.Sequential(*skips))]


def _convolution(inputs: int, outputs: int, stride: int, style: _Style) -> list[nn.Module]:
    size, bias = style.kernel, has_bias(style.norm)
    return convolution(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=bias),
        activation=style.activation,
        norm=style.norm,
        initialiser=style.initialiser,
    )
