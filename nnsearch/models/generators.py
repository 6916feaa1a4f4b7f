"""Models that draw pictures: what they share, a variational autoencoder, independent pixels.

Know no task and no training. In training such a model gives each example's loss [B, 1]; otherwise
[B, 1 + D], the loss and a picture laid flat. The pictures are those of fixed noise: row k of a
batch is drawn from the same noise each time, whatever the input, so that epochs can be compared
and an exported model draws what torch draws.

Shape suffixes: B examples, D numbers of a picture laid flat, Z numbers of noise.
"""

from math import log, pi

import torch
from torch import Tensor, nn

from nnsearch.components import Depth, Positive, Width
from nnsearch.models.autoencoder import Autoencoder, autoencoder
from nnsearch.models.layers import Activation, Shape

NUM_NOISE = 2048
SEED = 0


class Noise(nn.Module):
    """The same rows of standard normal numbers in each evaluation."""

    rows: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        drawn = torch.randn(NUM_NOISE, width, generator=generator, device="cpu")
        self.register_buffer("rows", drawn, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """As many rows [B, Z] as `x` has; they begin anew behind the 2,048th."""
        return self.rows[torch.arange(x.shape[0], device=self.rows.device) % NUM_NOISE]


class Variational(nn.Module):
    """A variational autoencoder whose decoder draws from noise."""

    def __init__(self, model: Autoencoder, code: int) -> None:
        super().__init__()
        self.model = model
        self.noise = Noise(code)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to the loss [B, 1], and in evaluation a picture as well, [B, 1 + D]."""
        made: Tensor = self.model(x)
        wanted = x.flatten(1)
        losses = (made[:, :-1] - wanted).square().mean(1, keepdim=True) + made[:, -1:]
        if self.training:
            return losses
        return torch.cat([losses, self.model.decoder(self.noise(x)).flatten(1)], dim=1)


class Independent(nn.Module):
    """Every number of a picture by itself, normal with a mean and a deviation of its own."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(outputs))
        self.log_deviation = nn.Parameter(torch.zeros(outputs))
        self.noise = Noise(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to the loss [B, 1], and in evaluation a picture as well, [B, 1 + D]."""
        away = (x.flatten(1) - self.mean) * torch.exp(-self.log_deviation)
        nats = 0.5 * away.square() + self.log_deviation + 0.5 * log(2 * pi)
        losses = nats.mean(1, keepdim=True)
        if self.training:
            return losses
        drawn = self.mean + torch.exp(self.log_deviation) * self.noise(x)
        return torch.cat([losses, drawn], dim=1)


def vae(
    inputs: Shape,
    outputs: int,
    *,
    code: Width = 8,
    width: Width = 64,
    depth: Depth = 1,
    kl: Positive = 1.0,
    activation: Activation = "relu",
) -> nn.Module:
    """A variational autoencoder that draws pictures of `outputs` numbers.

    The loss is the mean squared error + 2 kl KL / D, see the model `autoencoder`; a small `kl`
    gives sharp pictures of what noise seldom hits, a large one blurred ones.
    """
    model = autoencoder(
        inputs, outputs, code=code, width=width, depth=depth, kl=kl, activation=activation
    )
    assert isinstance(model, Autoencoder)  # noqa: S101 - our own
    return Variational(model, code)


def independent(inputs: Shape, outputs: int) -> nn.Module:
    """Pictures whose pixels know nothing of each other: what every other has to beat."""
    del inputs
    return Independent(outputs)
