"""Transformer encoders for series, texts and images. Knows nothing of tasks, losses or training.

Attention is written out, so that it has no fast path that an export would not have.

Shape suffixes: B examples, C channels, H height, W width, T steps, F features, N heads, D features
of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.dropout import Dropout
from nnsearch.models.layers import Activation, Shape, activate, initialise
from nnsearch.models.sequence import Pooling, Read, Sequence, Tokens, headed, read_steps

IMAGE_AXES = 3
PLACE_DEVIATION = 0.02


def transformer(
    inputs: Shape,
    outputs: int,
    *,
    width: Width = 64,
    heads: Width = 4,
    depth: Depth = 2,
    hidden: Width = 2,
    dropout: Unit = 0.0,
    activation: Activation = "gelu",
    pooling: Pooling = "mean",
    patch: Width = 4,
    residual: bool = False,
) -> nn.Module:
    """`depth` encoder blocks with `heads` heads, then a linear head: to [B, outputs].

    Inputs are series [B, C, T], of which the last channel says what steps are real; the tokens of
    texts; or images [B, C, H, W], cut into squares of `patch` pixels a side (Dosovitskiy et al.,
    2021). Each step, word or square becomes `width` features, to which a learned place is added. A
    block is attention between all real steps and two layers, the first `hidden` times as wide, each
    behind a layer norm and with a way around it (Vaswani et al., 2017; Xiong et al., 2020).
    `dropout` is the share of what each of them adds, and of a word's vector, that is dropped in
    training. The head sees the mean, the maximum, a learned mean or the last of the steps. With
    `residual` the outputs are what is added to the last value of the first channel, for forecasts.
    Raises UsageError where `heads` do not divide `width`, `patch` does not divide the image, or the
    inputs are a table.
    """
    if width % heads:
        message = f"{heads} heads do not divide a width of {width}."
        raise UsageError(message, "Set width to a multiple of heads.")
    read = _read(inputs, width, patch, dropout)
    enter: nn.Module = nn.Identity()  # a word's embedding is as wide as the blocks already
    if not isinstance(inputs, Tokens):
        enter = initialise(nn.Linear(read.features, width), "none")
    blocks = [Block(width, heads, hidden * width, (activation, dropout)) for _ in range(depth)]
    return headed(
        read.reader,
        (Encoder(enter, (read.steps, width), blocks), width),
        outputs,
        pooling=pooling,
        dropout=dropout,
        residual=residual,
    )


class ReadPatches(nn.Module):
    """Images [B, C, H, W] as squares of `side` x `side` pixels, row by row; all are real."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x_BCHW: Tensor) -> Sequence:
        """Features [B, T, C * side * side] and a mask of ones."""
        num_channels, height, width = x_BCHW.shape[1:]
        rows, columns = height // self.side, width // self.side
        cut = x_BCHW.reshape(-1, num_channels, rows, self.side, columns, self.side)
        size = num_channels * self.side**2
        x_BTF = cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, rows * columns, size)
        return Sequence(x_BTF, x_BTF.new_ones(x_BTF.shape[:2]))


class Attention(nn.Module):
    """Each step as a mean of all real ones, by how well its query fits their keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # A bias of the keys would add the same to each score of a query: the softmax takes it out.
        self.key = initialise(nn.Linear(width, width, bias=False), "none")
        self.ask, self.value, self.leave = (
            initialise(nn.Linear(width, width), "none") for _ in range(3)
        )

    def forward(self, steps: Sequence) -> Tensor:
        """[B, T, F]."""
        query, key, value = (
            self._split(each(steps.x)) for each in (self.ask, self.key, self.value)
        )
        is_real_B11T = steps.mask[:, None, None, :] > 0
        mixed_BNTD = F.scaled_dot_product_attention(query, key, value, attn_mask=is_real_B11T)
        left: Tensor = self.leave(mixed_BNTD.transpose(1, 2).flatten(2))
        return left

    def _split(self, x_BTF: Tensor) -> Tensor:
        """[B, N, T, D]."""
        batch, steps, width = x_BTF.shape
        return x_BTF.view(batch, steps, self.heads, width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention between steps, then two layers within each, both behind a norm and with a skip."""

    def __init__(
        self, width: int, heads: int, hidden: int, style: tuple[Activation, float]
    ) -> None:
        super().__init__()
        activation, rate = style
        self.norm_between = nn.LayerNorm(width)
        self.between = Attention(width, heads)
        self.drop_between = Dropout(rate)
        self.within = nn.Sequential(
            nn.LayerNorm(width),
            initialise(nn.Linear(width, hidden), activation),
            activate(activation),
            initialise(nn.Linear(hidden, width), "none"),
            Dropout(rate),
        )

    def forward(self, steps: Sequence) -> Tensor:
        """[B, T, F]."""
        x_BTF, mask_BT = steps
        added_BTF = self.between(Sequence(self.norm_between(x_BTF), mask_BT))
        x_BTF = x_BTF + self.drop_between(added_BTF)
        whole: Tensor = x_BTF + self.within(x_BTF)
        return whole


class Encoder(nn.Module):
    """Steps made as wide as the blocks, given their places, and led through them."""

    def __init__(self, enter: nn.Module, size: tuple[int, int], blocks: list[Block]) -> None:
        super().__init__()
        self.enter = enter
        self.places = nn.Parameter(torch.empty(size))
        nn.init.normal_(self.places, std=PLACE_DEVIATION)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(size[1])

    def forward(self, steps: Sequence) -> Tensor:
        """[B, T, width]."""
        x_BTF = self.enter(steps.x) + self.places
        for block in self.blocks:
            x_BTF = block(Sequence(x_BTF, steps.mask))
        normed: Tensor = self.norm(x_BTF)
        return normed


def _read(inputs: Shape, width: int, patch: int, dropout: float) -> Read:
    if len(inputs) != IMAGE_AXES:
        return read_steps(inputs, width, "transformer", dropout=dropout)
    num_channels, *sides = inputs
    if any(side % patch for side in sides):
        size = " x ".join(map(str, sides))
        message = f"squares of {patch} pixels do not divide an image of {size}."
        raise UsageError(message, "Set patch to a divisor of both sides.")
    count = (sides[0] // patch) * (sides[1] // patch)
    return Read(ReadPatches(patch), num_channels * patch**2, count)
