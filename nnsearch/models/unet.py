"""The U-Net: a class for each pixel. Knows nothing of tasks, losses or training.

Shape suffixes: B examples, C channels, H height, W width.
"""

from math import prod

import torch
from torch import Tensor, nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.dropout import Dropout
from nnsearch.models.images import halved_sides
from nnsearch.models.layers import (
    Activation,
    Initialiser,
    Norm,
    Shape,
    activate,
    convolution,
    has_bias,
    initialise,
)


class UNet(nn.Module):
    """Down to a small image and up again, where each level sees the one it came from as well."""

    def __init__(self, downs: list[nn.Module], ups: list[nn.Module], head: nn.Module) -> None:
        """`ups` are, from the lowest level on, pairs: what enlarges, and what reads both."""
        super().__init__()
        self.downs = nn.ModuleList(downs)
        self.ups = nn.ModuleList(ups)
        self.pool = nn.MaxPool2d(2)
        self.head = head

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Images to the numbers of each class and pixel, laid flat: [B, classes * H * W]."""
        levels = []
        for place, down in enumerate(self.downs):
            x_BCHW = down(self.pool(x_BCHW) if place else x_BCHW)
            levels.append(x_BCHW)
        levels.pop()
        for enlarge, read in zip(self.ups[::2], self.ups[1::2], strict=True):
            x_BCHW = read(torch.cat([levels.pop(), enlarge(x_BCHW)], dim=1))
        flat: Tensor = self.head(x_BCHW).flatten(1)
        return flat


def unet(
    inputs: Shape,
    outputs: int,
    *,
    channels: Width = 8,
    depth: Depth = 2,
    activation: Activation = "relu",
    norm: Norm = "batch",
    dropout: Unit = 0.0,
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """A U-Net (Ronneberger et al., 2015): [B, C, H, W] to [B, outputs], some for each pixel.

    `depth` times the image is halved and the channels, `channels` at first, are doubled; on the
    way back each level is joined by the one of its size on the way down. Each level has two
    convolutions of 3 x 3 pixels; `dropout` is the share of the smallest images' pixels that is
    dropped in training. Raises UsageError where the inputs are no images or too small, or the
    outputs are not as many for each pixel.
    """
    hint = "Use 'mlp' or 'linear'."
    sides = halved_sides(inputs, depth, "unet", hint=hint, rounds_up=False)
    num_pixels = prod(sides[0])
    if outputs % num_pixels:
        message = f"{outputs} outputs are no whole number for each of {num_pixels} pixels."
        raise UsageError(f"the model 'unet' answers for pixels: {message}", "Use 'cnn'.")

    def twice(before: int, after: int) -> list[nn.Module]:
        made: list[nn.Module] = []
        for num in (before, after):
            layer = nn.Conv2d(num, after, 3, padding=1, bias=has_bias(norm))
            made += convolution(layer, activation=activation, norm=norm, initialiser=initialiser)
            made.append(activate(activation))
        return made

    widths = [channels << level for level in range(depth + 1)]
    downs: list[nn.Module] = [
        nn.Sequential(*twice(before, after))
        for before, after in zip([inputs[0], *widths], widths, strict=False)
    ]
    downs[-1] = nn.Sequential(downs[-1], Dropout(dropout))
    ups: list[nn.Module] = []
    for level in reversed(range(depth)):
        wide, narrow = widths[level + 1], widths[level]
        smaller = initialise(nn.Conv2d(wide, narrow, 1), "none")
        ups += [
            nn.Sequential(nn.Upsample(size=sides[level]), smaller),
            nn.Sequential(*twice(2 * narrow, narrow)),
        ]
    head = initialise(nn.Conv2d(channels, outputs // num_pixels, 1), "none")
    return UNet(downs, ups, head)
