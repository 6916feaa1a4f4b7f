"""Draw pictures like those of a data set, and measure how like they are. Knows no model's insides.

Shapes: N examples, B of a batch, D numbers of a picture laid flat, C classes, H hidden features.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array
from nnsearch.tasks.task import Pictures, Task

Floats = npt.NDArray[np.float64]
Features = Callable[[Array], npt.NDArray[Any]]

DIRECTIONS: dict[str, Direction] = {"frechet": "minimize", "variety": "maximize"}
OF_CLASSES: dict[str, Direction] = {"class_frechet": "minimize", "agreement": "maximize"}
# Of the classifier by whose features pictures are judged.
NUM_HIDDEN, NUM_STEPS, MOST_PICTURES, SEED = 32, 300, 5000, 0
# How many epochs' pictures are kept: those of the first, second, fourth, eighth ...
NUM_PAGES, PER_PAGE = 10, 16


class Album(nn.Module):
    """A model with the pictures that it drew after the first, second, fourth, eighth ... epoch."""

    pages: Tensor
    epochs: Tensor

    def __init__(self, model: nn.Module, decode: nn.Module, num_numbers: int) -> None:
        super().__init__()
        self.model = model
        # In a tuple, for it is the task's and no part of the model.
        self.decode = (decode,)
        self.register_buffer("pages", torch.zeros(NUM_PAGES, PER_PAGE, num_numbers))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """As the model: the loss [B, 1] in training, else [B, 1 + D]."""
        made: Tensor = self.model(x)
        return made

    def settle(self, outputs: Tensor, targets: Array) -> Tensor:
        """Keep this epoch's pictures where they are wanted; the outputs as they came."""
        del targets
        self.epochs += 1
        epoch = int(self.epochs)
        number = epoch.bit_length() - 1
        if epoch == 1 << number and number < NUM_PAGES:
            drawn = self.draw(outputs[:PER_PAGE])
            self.pages[number, : len(drawn)] = drawn
        return outputs

    def draw(self, outputs: Tensor) -> Tensor:
        """A model's outputs as pictures [B, D] in the units of the data, without their classes."""
        drawn: Tensor = self.decode[0](outputs.cpu())
        return drawn[:, -self.pages.shape[2] :]


class Picture(nn.Module):
    """Standardised numbers as pictures [B, D] in the units of the data.

    They stand behind a loss, [B, 1 + D], or behind the losses of K classes and the class that is
    drawn, [B, 2 + K + D]; then the class comes first in what is returned, [B, 1 + D].
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, pictures: Floats, num_channels: int, num_classes: int = 0) -> None:
        super().__init__()
        self.num_classes = num_classes
        of_channel = pictures.reshape(len(pictures), num_channels, -1)
        num_pixels = of_channel.shape[2]
        mean, deviation = of_channel.mean((0, 2)), of_channel.std((0, 2))
        self.register_buffer("mean", torch.tensor(mean).float().repeat_interleave(num_pixels))
        self.register_buffer(
            "deviation", torch.tensor(deviation).float().repeat_interleave(num_pixels)
        )
        self.low, self.high = float(pictures.min()), float(pictures.max())

    def forward(self, outputs: Tensor) -> Tensor:
        """A model's outputs as pictures, within the values that training saw."""
        start = 2 + self.num_classes if self.num_classes else 1
        drawn = (outputs[:, start:] * self.deviation + self.mean).clamp(self.low, self.high)
        if not self.num_classes:
            return drawn
        return torch.cat([outputs[:, start - 1 : start], drawn], dim=1)


def generation(targets: Pictures, *, channels: int = 1, conditional: bool = False) -> Task:
    """Pictures drawn from noise, after the images of the training split; their classes only judge.

    A model of this task puts out its own loss, and, when it does not train, a picture, in the
    scale of the default transform of images; `channels` is how many channels these have. The
    quality is the Fréchet distance between as many pictures as the split has images and these
    (Heusel et al., 2017), both seen as the hidden features of a small classifier, which is fitted
    to the training split. In units of the features' variance, it is 0 for pictures that look to
    the classifier as the real ones do, in mean and covariance; the distance of two splits of real
    images is what can be reached. "variety" is the number of classes that are drawn, as the
    exponential of their entropy.

    If `conditional`, pictures are drawn of a class each, one after the other, and the model is told
    which: "agreement" is the share of them that the classifier takes for that class, and
    "class_frechet" the mean over the classes of the distance between drawn and real images of
    one class, with covariances that are 0 off the diagonal, for a class may have few images.
    """
    pictures = np.asarray(targets[:, 1:], np.float64)
    classes = np.asarray(targets[:, 0], np.int64)
    features, classify = classifier(pictures, classes)
    spread = float(features(pictures).var(axis=0).sum())
    num_classes = int(classes.max()) + 1

    def metrics(predictions: Array, raw: Array) -> dict[str, float]:
        drawn, real = np.asarray(predictions)[:, -pictures.shape[1] :], np.asarray(raw)[:, 1:]
        shares = np.bincount(classify(drawn), minlength=num_classes) / len(drawn)
        entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum()
        distance = frechet(features(drawn), features(real)) / spread
        found = {"frechet": distance, "variety": float(np.exp(entropy))}
        if conditional:
            wanted = np.asarray(predictions)[:, 0].astype(np.int64)
            found["agreement"] = float((classify(drawn) == wanted).mean())
            by_class = [
                (features(drawn[wanted == each]), features(real[np.asarray(raw)[:, 0] == each]))
                for each in range(num_classes)
            ]
            found["class_frechet"] = mean_distance(by_class) / spread
        return found

    decode = Picture(pictures, channels, num_classes if conditional else 0)
    return Task(
        outputs=pictures.shape[1] + (num_classes if conditional else 0),
        encode=_classes if conditional else lambda raw: torch.zeros(len(raw)),
        losses=_of_class if conditional else lambda outputs, _: outputs[..., 0],
        decode=decode,
        metrics=metrics,
        directions=DIRECTIONS | OF_CLASSES if conditional else DIRECTIONS,
        around=lambda model: Album(model, decode, pictures.shape[1]),
        baseline="independent",
        show=_show,
    )


def classifier(pictures: Floats, classes: npt.NDArray[np.int64]) -> tuple[Features, Features]:
    """What a small classifier makes of pictures [N, D]: hidden features [N, H], and classes [N].

    One hidden layer, fitted to all pictures at once, to 5,000 of them where there are more; the
    same pictures give the same classifier, and no other random stream is touched.
    """
    low, high = float(pictures.min()), float(pictures.max())
    generator = np.random.default_rng(SEED)

    def scaled(raw: Array) -> Tensor:
        return torch.from_numpy((2 * np.asarray(raw, np.float64) - low - high) / (high - low))

    def drawn(inputs: int, outputs: int) -> Tensor:
        values = generator.normal(scale=(2 / inputs) ** 0.5, size=(inputs, outputs))
        return torch.from_numpy(values).requires_grad_()

    chosen = generator.permutation(len(pictures))[:MOST_PICTURES]
    x, wanted = scaled(pictures[chosen]), torch.from_numpy(classes[chosen])
    num_classes = int(classes.max()) + 1
    first, second = drawn(pictures.shape[1], NUM_HIDDEN), drawn(NUM_HIDDEN, num_classes)
    shift = torch.zeros(NUM_HIDDEN, dtype=torch.float64, requires_grad=True)
    weights = [first, shift, second]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    with torch.enable_grad():
        for _ in range(NUM_STEPS):
            optimizer.zero_grad()
            F.cross_entropy(torch.relu(x @ first + shift) @ second, wanted).backward()
            optimizer.step()
    layer, offset, head = (each.detach() for each in weights)

    def features(raw: Array) -> Floats:
        found: Floats = torch.relu(scaled(raw) @ layer + offset).numpy()
        return found

    def classify(raw: Array) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = (features(raw) @ head.numpy()).argmax(axis=1)
        return found

    return features, classify


def frechet(first: Floats, second: Floats) -> float:
    """The squared Fréchet distance of two normal distributions fitted to rows [N, C] and [M, C]."""
    means = first.mean(0) - second.mean(0)
    one, other = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (first, second))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    mixed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(means @ means + np.trace(one) + np.trace(other) - 2 * mixed)


def mean_distance(by_class: Sequence[tuple[Array, Array]]) -> float:
    """The mean of the squared Fréchet distances of pairs of rows [N, C] and [M, C].

    Features are taken to be independent of each other. A pair of which one has fewer than two rows
    is left out; without any the distance is 0.
    """
    found = [
        float(
            np.square(one.mean(0) - other.mean(0)).sum()
            + np.square(one.std(0) - other.std(0)).sum()
        )
        for one, other in (
            (np.asarray(first, np.float64), np.asarray(second, np.float64))
            for first, second in by_class
        )
        if min(len(one), len(other)) > 1
    ]
    return sum(found) / max(len(found), 1)


def _classes(raw: Array) -> Tensor:
    return torch.from_numpy(np.asarray(raw)[:, 0].astype(np.int64))


def _of_class(outputs: Tensor, classes: Tensor) -> Tensor:
    """The loss that does not depend on the real image's class, and that of its class."""
    wanted = classes.expand(outputs.shape[:-1])[..., None] + 1
    losses: Tensor = outputs[..., 0] + outputs.gather(-1, wanted)[..., 0]
    return losses


def _show(model: nn.Module, inputs: Tensor, targets: Array) -> dict[str, Array]:
    """Real images, and the model's pictures after some epochs and now."""
    if not isinstance(model, Album):
        return {}
    shape = (-1, *inputs.shape[1:])
    num_epochs = int(model.epochs)
    pages = model.pages.cpu().numpy()
    shown: dict[str, Array] = {"real": np.asarray(targets)[:PER_PAGE, 1:].reshape(shape)}
    for number in range(min(num_epochs.bit_length(), NUM_PAGES)):
        shown[f"epoch {1 << number}"] = pages[number].reshape(shape)
    drawn = model.draw(model(inputs[: 4 * PER_PAGE])).numpy()
    shown[f"epoch {num_epochs}, kept"] = drawn.reshape(shape)
    return shown
