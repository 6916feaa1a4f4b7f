"""Autoencoders: dense and convolutional, denoising, variational. Knows no task, loss or training.

Shape suffixes: B examples, D numbers of an example laid flat, C channels, H height, W width.
"""

from functools import partial
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from nnsearch.components import Depth, NonNegative, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.factorization import refuse_pairs
from nnsearch.models.images import halved_sides
from nnsearch.models.layers import (
    Activation,
    Initialiser,
    Norm,
    Shape,
    activate,
    convolution,
    has_bias,
    hidden,
    initialise,
)
from nnsearch.models.sequence import Tokens


class Autoencoder(nn.Module):
    """What `decoder` makes of the code that `encoder` makes of the input.

    With `noise` the encoder sees, in training, inputs to which noise of that deviation was added,
    and still has to give back the clean ones (Vincent et al., Denoising Autoencoders, 2008).

    With `kl` the encoder gives a mean and the logarithm of a variance for each number of the code,
    which in training is drawn from them (Kingma and Welling, Auto-Encoding Variational Bayes,
    2014; Higgins et al., beta-VAE, 2017, for its weight). One more output is the penalty
    2 kl KL / D: added to the mean squared error, it makes, at kl = 1, the negative evidence bound
    of a decoder of unit variance, times 2 / D.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, noise: float, kl: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.noise = noise
        self.kl = kl

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to the reconstruction [B, D], or to [B, D + 1] with the penalty."""
        is_noisy = self.training and self.noise > 0
        code = self.encoder(x + self.noise * torch.randn_like(x) if is_noisy else x)
        if not self.kl:
            made: Tensor = self.decoder(code).flatten(1)
            return made
        mean, log_variance = code.chunk(2, dim=1)
        drawn = mean
        if self.training:
            drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        made = self.decoder(drawn).flatten(1)
        nats = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1, keepdim=True)
        return torch.cat([made, 2 * self.kl / made.shape[1] * nats], dim=1)


def autoencoder(
    inputs: Shape,
    outputs: int,
    *,
    code: Width = 8,
    width: Width = 64,
    depth: Depth = 1,
    noise: NonNegative = 0.0,
    kl: NonNegative = 0.0,
    dropout: Unit = 0.0,
    activation: Activation = "relu",
    norm: Norm = "none",
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """A dense autoencoder: [B, *inputs] to its reconstruction [B, outputs].

    On each side of the `code` numbers stand `depth` hidden layers of `width` units. `noise` is the
    deviation of what is added to the inputs in training (0: nothing). With a `kl` above 0 it is
    variational, with that weight of the divergence, and gives one output more.
    """
    blocks = partial(
        hidden, activation=activation, norm=norm, dropout=dropout, initialiser=initialiser
    )
    refuse_pairs(inputs, "autoencoder")
    if isinstance(inputs, Tokens):
        raise UsageError("the model 'autoencoder' does not read texts.", "Use a table or images.")
    widths, size = [width] * depth, 2 * code if kl else code
    has_shift = bool(kl) or has_bias(norm)
    narrow = initialise(nn.Linear(width, size, bias=has_shift), "none")
    encoder = nn.Sequential(nn.Flatten(), *blocks([prod(inputs), *widths]), narrow)
    decoder = nn.Sequential(*blocks([code, *widths]), initialise(nn.Linear(width, outputs), "none"))
    return Autoencoder(encoder, decoder, noise=noise, kl=kl)


def conv_autoencoder(
    inputs: Shape,
    outputs: int,
    *,
    code: Width = 16,
    channels: Width = 16,
    depth: Depth = 2,
    noise: NonNegative = 0.0,
    kl: NonNegative = 0.0,
    activation: Activation = "relu",
    norm: Norm = "none",
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """A convolutional autoencoder: images [B, C, H, W] to their reconstruction [B, outputs].

    `depth` convolutions of stride 2, the first with `channels` channels and each later one with
    twice as many, lead to the `code` numbers; the way back doubles height and width by repeating
    pixels, each time before a convolution (Odena et al., Deconvolution and Checkerboard Artifacts,
    2016). `noise` and `kl` are those of `autoencoder`. Raises UsageError where the inputs are no
    images, or too small to be halved `depth` times.
    """
    sides = halved_sides(inputs, depth, "conv_autoencoder", hint="Use 'autoencoder'.")
    sizes = [inputs[0], *(channels * 2**level for level in range(depth))]

    def level(before: int, after: int, stride: int) -> list[nn.Module]:
        layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=has_bias(norm))
        made = convolution(layer, activation=activation, norm=norm, initialiser=initialiser)
        return [*made, activate(activation)]

    down = [part for pair in pairwise(sizes) for part in level(*pair, 2)]
    num_kept = sizes[-1] * prod(sides[-1])
    encoder = nn.Sequential(
        *down, nn.Flatten(), initialise(nn.Linear(num_kept, 2 * code if kl else code), "none")
    )
    up: list[nn.Module] = []
    for (before, after), side in zip(pairwise(sizes[:0:-1]), sides[-2:0:-1], strict=True):
        up += [nn.Upsample(size=side), *level(before, after, 1)]
    last = initialise(nn.Conv2d(sizes[1], inputs[0], 3, padding=1), "none")
    decoder = nn.Sequential(
        initialise(nn.Linear(code, num_kept), activation, initialiser),
        activate(activation),
        nn.Unflatten(1, (sizes[-1], *sides[-1])),
        *up,
        nn.Upsample(size=sides[0]),
        last,
    )
    if prod(inputs) != outputs:
        raise UsageError(f"an autoencoder gives back its {prod(inputs)} inputs, not {outputs}.")
    return Autoencoder(encoder, decoder, noise=noise, kl=kl)
