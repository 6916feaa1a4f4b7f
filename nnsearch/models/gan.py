"""Generative adversarial networks. Knows no task and no training.

Two networks learn against each other in one step: each has parameters of its own, and one backward
pass gives each the slope of its own loss. The discriminator judges pictures that are cut off from
the generator, and the generator is judged by a discriminator whose weights are held. So a trainer
that knows one loss and one optimizer trains both, at once.

Shape suffixes: B examples, C channels, H height, W width, Z numbers of noise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nnsearch.components import Depth, NonNegative, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.dropout import Dropout
from nnsearch.models.generators import Noise
from nnsearch.models.layers import ImageNorm, Shape, activate, has_bias, initialise, normalise_image

NUM_IMAGE_AXES = 3
SMALLEST_SIDE = 2


class Adversaries(nn.Module):
    """A generator of pictures from noise, and a discriminator that tells them from real ones."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, code: int, penalty: float
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.noise = Noise(code)
        self.code = code
        self.penalty = penalty

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Real images to the loss [B, 1] in training, else to [B, 1 + D], loss and a picture."""
        if not self.training:
            drawn = self.generator(self.noise(x_BCHW))
            losses = F.softplus(-self.discriminator(x_BCHW)) + F.softplus(self.discriminator(drawn))
            return torch.cat([losses, drawn.flatten(1)], dim=1)
        drawn = self.generator(x_BCHW.new_empty(len(x_BCHW), self.code).normal_())
        of_real = x_BCHW.detach().requires_grad_(self.penalty > 0)
        judged = self.discriminator(of_real)
        losses = F.softplus(-judged) + F.softplus(self.discriminator(drawn.detach()))
        held = {name: each.detach() for name, each in self.discriminator.named_parameters()}
        losses = losses + F.softplus(-functional_call(self.discriminator, held, (drawn,)))
        if self.penalty:
            (slopes,) = torch.autograd.grad(judged.sum(), of_real, create_graph=True)
            losses = losses + self.penalty / 2 * slopes.flatten(1).square().sum(1, keepdim=True)
        return losses


def gan(
    inputs: Shape,
    outputs: int,
    *,
    code: Width = 32,
    channels: Width = 16,
    depth: Depth = 2,
    norm: ImageNorm = "batch",
    dropout: Unit = 0.0,
    penalty: NonNegative = 0.1,
) -> nn.Module:
    """Two networks against each other: images [B, C, H, W] to losses and pictures [B, 1 + D].

    The generator makes of `code` normal numbers the smallest image, and `depth` times doubles it
    before a convolution; the discriminator halves images as often, and drops the share `dropout`
    of what its last layer sees (Radford et al., DCGAN, 2016). Both are widest, `channels` times
    two to the depth, where the images are smallest. The loss of the generator is the one that
    does not saturate (Goodfellow et al., 2014). `penalty` is the weight of the squared slope of
    the discriminator at real images, without which the two may circle for ever (Mescheder et al.,
    2018). Only the generator has a `norm`. Raises UsageError where the inputs are no images, or
    too small to be halved `depth` times.
    """
    sides = _sides(inputs, depth)
    if outputs != inputs[0] * inputs[1] * inputs[2]:
        raise UsageError(f"the model 'gan' draws images of shape {inputs}, not {outputs} numbers.")
    widths = [channels << level for level in range(depth + 1)]
    return Adversaries(
        _generator(inputs, code, norm, list(zip(widths, sides, strict=True))),
        _discriminator(inputs, widths, sides, dropout),
        code=code,
        penalty=penalty,
    )


def _generator(
    inputs: Shape, code: int, norm: ImageNorm, levels: list[tuple[int, tuple[int, int]]]
) -> nn.Module:
    """`levels` are channels and sides, the largest image first."""
    widths, sides = [each for each, _ in levels], [each for _, each in levels]
    height, width = sides[-1]
    made: list[nn.Module] = [
        initialise(nn.Linear(code, widths[-1] * height * width), "relu"),
        activate("relu"),
        nn.Unflatten(1, (widths[-1], height, width)),
    ]
    for level in reversed(range(len(sides) - 1)):
        convolution = nn.Conv2d(widths[level + 1], widths[level], 3, padding=1, bias=has_bias(norm))
        made += [
            nn.Upsample(size=sides[level]),
            initialise(convolution, "relu"),
            *normalise_image(norm, widths[level]),
            activate("relu"),
        ]
    return nn.Sequential(*made, initialise(nn.Conv2d(widths[0], inputs[0], 3, padding=1), "none"))


def _discriminator(
    inputs: Shape, widths: list[int], sides: list[tuple[int, int]], dropout: float
) -> nn.Module:
    made: list[nn.Module] = []
    for before, after in zip([inputs[0], *widths[1:-1]], widths[1:], strict=True):
        convolution = nn.Conv2d(before, after, 3, 2, padding=1)
        made += [initialise(convolution, "leaky_relu"), nn.LeakyReLU(0.2)]
    num = widths[-1] * sides[-1][0] * sides[-1][1]
    return nn.Sequential(
        *made, nn.Flatten(), Dropout(dropout), initialise(nn.Linear(num, 1), "none")
    )


def _sides(inputs: Shape, depth: int) -> list[tuple[int, int]]:
    """Height and width of each level, the largest first."""
    if len(inputs) != NUM_IMAGE_AXES:
        message = f"the model 'gan' needs images [channels, height, width], not {tuple(inputs)}."
        raise UsageError(message, "Use a source of images.")
    sides = [(inputs[1], inputs[2])]
    for level in range(depth):
        height, width = sides[-1]
        if min(height, width) < SMALLEST_SIDE:
            raise UsageError(
                f"depth = {depth} of the model 'gan' halves an image of {inputs[1]} x {inputs[2]} "
                "pixels until nothing is left.",
                f"Set depth to {level} at the most.",
            )
        sides.append((-(-height // 2), -(-width // 2)))
    return sides
