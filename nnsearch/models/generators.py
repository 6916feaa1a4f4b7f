"""Models that draw pictures: what they share, a variational autoencoder, independent pixels.

Know no task and no training. In training such a model gives each example's loss [B, 1]; otherwise
[B, 1 + D], the loss and a picture laid flat. The pictures are those of fixed noise: row k of a
batch is drawn from the same noise each time, whatever the input, so that epochs can be compared.
Its method `draw` takes seeds [B], whole numbers that each name a row of that noise, and classes [B]
where it knows any, to pictures [B, D]: so an exported model draws what torch draws.

A model that is asked for K outputs more than a picture has numbers draws pictures of K classes, row
k of a batch one of class k modulo K. It gives [B, 1 + K] in training: the loss that does not depend
on the class of the real image, and what is added where it is of each class; otherwise
[B, 2 + K + D], both, the class that is drawn and the picture.

Shape suffixes: B examples, D numbers of a picture laid flat, K classes, Z numbers of noise.
"""

from math import log, pi, prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.components import Depth, Positive, Width
from nnsearch.errors import UsageError
from nnsearch.models.autoencoder import Autoencoder, autoencoder
from nnsearch.models.factorization import Pairs
from nnsearch.models.layers import Activation, Shape
from nnsearch.models.sequence import Tokens

NUM_NOISE = 2048
SEED = 0


class Noise(nn.Module):
    """Rows of standard normal numbers, the same for the same seed."""

    rows: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        drawn = torch.randn(NUM_NOISE, width, generator=generator, device="cpu")
        self.register_buffer("rows", drawn, persistent=False)

    def forward(self, seeds: Tensor) -> Tensor:
        """The row [B, Z] of each seed, int64; they begin anew behind the 2,048th."""
        return self.rows[seeds % NUM_NOISE]


def classes_of(inputs: Shape, outputs: int) -> int:
    """How many classes a model is to draw, for inputs that are pictures; 0 for it knows none.

    Raises UsageError where the outputs are fewer than a picture, or are for a single class, and for
    texts and for users and items, which are numbers of words and names.
    """
    if isinstance(inputs, Pairs | Tokens):
        raise UsageError("a model that draws learns from quantities.", "Use images or a table.")
    num_classes = outputs - prod(inputs)
    if num_classes < 0 or num_classes == 1:
        raise UsageError(
            f"a model that draws images of shape {tuple(inputs)} has not {outputs} numbers."
        )
    return num_classes


def in_turn(x: Tensor) -> Tensor:
    """The seed [B] of each row of a batch that is drawn in evaluation."""
    return torch.arange(x.shape[0], device=x.device)


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
        return torch.cat([losses, self.draw(in_turn(x))], dim=1)

    def draw(self, seeds: Tensor, classes: Tensor | None = None) -> Tensor:
        """Pictures [B, D]; it knows no classes."""
        del classes
        drawn: Tensor = self.model.decoder(self.noise(seeds)).flatten(1)
        return drawn


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
        return torch.cat([losses, self.draw(in_turn(x))], dim=1)

    def draw(self, seeds: Tensor, classes: Tensor | None = None) -> Tensor:
        """Pictures [B, D]; it knows no classes."""
        del classes
        drawn: Tensor = self.mean + torch.exp(self.log_deviation) * self.noise(seeds)
        return drawn


class IndependentOfClass(nn.Module):
    """Every number of a picture by itself, with a mean and a deviation for each class."""

    def __init__(self, outputs: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.mean = nn.Parameter(torch.zeros(num_classes, outputs))
        self.log_deviation = nn.Parameter(torch.zeros(num_classes, outputs))
        self.noise = Noise(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to losses [B, 1 + K], and in evaluation class and picture, [B, 2 + K + D]."""
        away_BKD = (x.flatten(1)[:, None] - self.mean) * torch.exp(-self.log_deviation)
        nats_BKD = 0.5 * away_BKD.square() + self.log_deviation + 0.5 * log(2 * pi)
        losses = F.pad(nats_BKD.mean(2), (1, 0))
        if self.training:
            return losses
        classes = in_turn(x) % self.num_classes
        drawn = self.draw(in_turn(x), classes)
        return torch.cat([losses, classes[:, None].to(drawn.dtype), drawn], dim=1)

    def draw(self, seeds: Tensor, classes: Tensor) -> Tensor:
        """Pictures [B, D] of these classes."""
        deviation = torch.exp(self.log_deviation)[classes]
        drawn: Tensor = self.mean[classes] + deviation * self.noise(seeds)
        return drawn


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
    gives sharp pictures of what noise seldom hits, a large one blurred ones. Raises UsageError
    where it is to draw classes, of which it knows nothing.
    """
    if classes_of(inputs, outputs):
        message = "the model 'vae' does not know classes, as conditional wants."
        raise UsageError(message, "Use the model gan, or set conditional = false in [task].")
    model = autoencoder(
        inputs, outputs, code=code, width=width, depth=depth, kl=kl, activation=activation
    )
    assert isinstance(model, Autoencoder)  # noqa: S101 - our own
    return Variational(model, code)


def independent(inputs: Shape, outputs: int) -> nn.Module:
    """Pictures whose pixels know nothing of each other: what every other has to beat."""
    num_classes = classes_of(inputs, outputs)
    if num_classes:
        return IndependentOfClass(outputs - num_classes, num_classes)
    return Independent(outputs)
