"""Generative adversarial networks. Knows no task and no training.

Two networks learn against each other in one step: each has parameters of its own, and one backward
pass gives each the slope of its own loss. The discriminator judges pictures that are cut off from
the generator, and the generator is judged by a discriminator whose weights are held. So a trainer
that knows one loss and one optimizer trains both, at once. Where classes are to be drawn, the class
is an input of both networks: the generator gets it beside the noise, and the discriminator gives a
verdict for each class, of which that of the class in question counts (as in Miyato and Koyama,
cGANs with Projection Discriminator, 2018).

Shape suffixes: B examples, C channels, H height, W width, K classes, Z numbers of noise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nnsearch.components import Depth, NonNegative, Unit, Width
from nnsearch.models.dropout import Dropout
from nnsearch.models.generators import Noise, classes_of, in_turn
from nnsearch.models.images import halved_sides
from nnsearch.models.layers import Norm, Shape, activate, has_bias, initialise, normalise_image


class Adversaries(nn.Module):
    """A generator of pictures from noise, and a discriminator that tells them from real ones.

    With K `num_classes` both know classes: the generator is told one beside the noise, and the
    discriminator has a verdict for each. With 0 of them there is one verdict for all.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        code: int,
        penalty: float,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.noise = Noise(code)
        self.code = code
        self.penalty = penalty
        self.num_classes = num_classes

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Real images to losses [B, 1] or [B, 1 + K] in training, else with a picture behind them.

        Without classes [B, 1 + D]; with them [B, 2 + K + D], the class before the picture.
        """
        return self._losses(x_BCHW) if self.training else self._losses_and_pictures(x_BCHW)

    def draw(self, seeds: Tensor, classes: Tensor | None = None) -> Tensor:
        """Pictures [B, D], of these classes if there are any."""
        return self._drawn(self.noise(seeds), classes).flatten(1)

    def _losses(self, x_BCHW: Tensor) -> Tensor:
        num_rows, classes = len(x_BCHW), None
        if self.num_classes:
            classes = torch.randint(self.num_classes, (num_rows,), device=x_BCHW.device)
        drawn = self._drawn(x_BCHW.new_empty(num_rows, self.code).normal_(), classes)
        of_real = x_BCHW.detach().requires_grad_(self.penalty > 0)
        judged_BK = self.discriminator(of_real)
        common = F.softplus(_of(classes, self.discriminator(drawn.detach())))
        held = {name: each.detach() for name, each in self.discriminator.named_parameters()}
        verdicts_BK = functional_call(self.discriminator, held, (drawn,))
        common = common + F.softplus(-_of(classes, verdicts_BK))
        if self.penalty:
            common = common + self.penalty / 2 * _squared_slope(judged_BK, of_real)
        return _joined(classes, common, F.softplus(-judged_BK))

    def _losses_and_pictures(self, x_BCHW: Tensor) -> Tensor:
        seeds = in_turn(x_BCHW)
        classes = seeds % self.num_classes if self.num_classes else None
        drawn = self._drawn(self.noise(seeds), classes)
        common = F.softplus(_of(classes, self.discriminator(drawn)))
        losses = _joined(classes, common, F.softplus(-self.discriminator(x_BCHW)))
        told = [] if classes is None else [classes[:, None].to(drawn.dtype)]
        return torch.cat([losses, *told, drawn.flatten(1)], dim=1)

    def _drawn(self, noise_BZ: Tensor, classes: Tensor | None) -> Tensor:
        if self.num_classes and classes is not None:
            # F.one_hot looks at the values, which an exporter cannot.
            every_K = torch.arange(self.num_classes, device=classes.device)
            told_BK = (classes[:, None] == every_K).to(noise_BZ.dtype)
            noise_BZ = torch.cat([noise_BZ, told_BK], dim=1)
        drawn: Tensor = self.generator(noise_BZ)
        return drawn


def _of(classes: Tensor | None, verdicts_BK: Tensor) -> Tensor:
    """The verdict [B, 1] that counts."""
    return verdicts_BK if classes is None else verdicts_BK.gather(1, classes[:, None])


def _joined(classes: Tensor | None, common: Tensor, of_real_BK: Tensor) -> Tensor:
    """The whole loss [B, 1]; or what is common to all classes, and what is added by each."""
    return common + of_real_BK if classes is None else torch.cat([common, of_real_BK], dim=1)


def _squared_slope(judged_BK: Tensor, images: Tensor) -> Tensor:
    """The square [B, 1] of the slope of the verdicts at images, a mean over the classes."""
    num_verdicts = judged_BK.shape[1]
    if num_verdicts > 1:
        # Of a sum with random signs the squared slope is, in the mean, that of all verdicts.
        judged_BK = judged_BK * (torch.randint_like(judged_BK, 2) * 2 - 1)
    (slopes,) = torch.autograd.grad(judged_BK.sum(), images, create_graph=True)
    return slopes.flatten(1).square().sum(1, keepdim=True) / num_verdicts


def gan(
    inputs: Shape,
    outputs: int,
    *,
    code: Width = 32,
    channels: Width = 16,
    depth: Depth = 2,
    norm: Norm = "batch",
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
    2018). Only the generator has a `norm`. Both are told the class where the task is conditional.
    Raises UsageError where the inputs are no images, or too small to be halved `depth` times.
    """
    sides = halved_sides(inputs, depth, "gan", hint="Use a source of images.")
    num_classes = classes_of(inputs, outputs)
    widths = [channels << level for level in range(depth + 1)]
    return Adversaries(
        _generator(inputs, code + num_classes, norm, list(zip(widths, sides, strict=True))),
        _discriminator(inputs, widths, sides, dropout, num_verdicts=max(num_classes, 1)),
        code=code,
        penalty=penalty,
        num_classes=num_classes,
    )


def _generator(
    inputs: Shape, code: int, norm: Norm, levels: list[tuple[int, tuple[int, int]]]
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
    inputs: Shape,
    widths: list[int],
    sides: list[tuple[int, int]],
    dropout: float,
    *,
    num_verdicts: int,
) -> nn.Module:
    made: list[nn.Module] = []
    for before, after in zip([inputs[0], *widths[1:-1]], widths[1:], strict=True):
        convolution = nn.Conv2d(before, after, 3, 2, padding=1)
        made += [initialise(convolution, "leaky_relu"), nn.LeakyReLU(0.2)]
    num = widths[-1] * sides[-1][0] * sides[-1][1]
    return nn.Sequential(
        *made, nn.Flatten(), Dropout(dropout), initialise(nn.Linear(num, num_verdicts), "none")
    )
