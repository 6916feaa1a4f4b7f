"""Draw pictures like those of a data set, and measure how like they are. Knows no model's insides.

Shapes: N examples, B of a batch, D numbers of a picture laid flat, C classes, H hidden features.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nnsearch.components import Count
from nnsearch.study.spec import Direction
from nnsearch.tasks.drawing import Album, Picture, served, show
from nnsearch.tasks.metrics import Array
from nnsearch.tasks.task import Pictures, Task

Floats = npt.NDArray[np.float64]
Features = Callable[[Array], npt.NDArray[Any]]

DIRECTIONS: dict[str, Direction] = {"frechet": "minimize", "variety": "maximize"}
OF_CLASSES: dict[str, Direction] = {
    "coverage": "maximize",
    "joint_frechet": "minimize",
    "agreement": "maximize",
}
# Of the classifier by whose features pictures are judged.
NUM_HIDDEN, NUM_STEPS, MOST_PICTURES, SEED = 32, 300, 5000, 0
# Of coverage: which neighbour is the measure, and how many images of a class are compared.
NEIGHBOUR, MOST_OF_CLASS = 3, 500


def generation(
    targets: Pictures, *, channels: Count = 1, conditional: bool = False
) -> Annotated[Task, DIRECTIONS | OF_CLASSES]:
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
    which. The quality is then "coverage": the share of real images that have a drawn one of their
    class nearer, pixel by pixel, than the third nearest real one of that class (after Naeem et al.,
    Reliable Fidelity and Diversity Metrics, 2020). It is 0.87 for other real images, low for
    noisy pictures and for the same ones again and again, and about 0 for those of wrong classes.
    "joint_frechet" is the distance of features and class together (DeVries et al., On the
    Evaluation of Conditional GANs, 2019), the class being a 1 among zeros, weighed so that all
    classes vary as the features do. "agreement" is the share of pictures that the classifier takes
    for the class asked for: by chance 1 / K, at best what it reaches on real images, 0.97 on
    digits. An export of such a model takes a class and a seed in place of an image.
    """
    pictures = np.asarray(targets[:, 1:], np.float64)
    classes = np.asarray(targets[:, 0], np.int64)
    features, classify = classifier(pictures, classes)
    spread = float(features(pictures).var(axis=0).sum())
    num_classes = int(classes.max()) + 1
    hot = np.eye(num_classes)
    hot *= np.sqrt(spread / hot[classes].var(axis=0).sum())

    def metrics(predictions: Array, raw: Array) -> dict[str, float]:
        drawn, real = np.asarray(predictions)[:, -pictures.shape[1] :], np.asarray(raw)[:, 1:]
        shares = np.bincount(classify(drawn), minlength=num_classes) / len(drawn)
        entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum()
        distance = frechet(features(drawn), features(real)) / spread
        found = {"frechet": distance, "variety": float(np.exp(entropy))}
        if conditional:
            asked, known = (np.asarray(each)[:, 0].astype(np.int64) for each in (predictions, raw))
            one = np.concatenate([features(drawn), hot[asked]], axis=1)
            other = np.concatenate([features(real), hot[known]], axis=1)
            found["coverage"] = coverage(drawn, asked, real, known)
            found["joint_frechet"] = frechet(one, other) / spread
            found["agreement"] = float((classify(drawn) == asked).mean())
        return found

    decode = Picture(pictures, channels, num_classes if conditional else 0)
    return Task(
        outputs=pictures.shape[1] + (num_classes if conditional else 0),
        encode=_classes if conditional else lambda raw: torch.zeros(len(raw)),
        losses=_of_class if conditional else lambda outputs, _: outputs[..., 0],
        decode=decode,
        metrics=metrics,
        directions=OF_CLASSES | DIRECTIONS if conditional else DIRECTIONS,
        around=lambda model: Album(model, decode, pictures.shape[1]),
        baseline="independent",
        show=show,
        serve=lambda model, signature: served(model, decode, signature),
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


def coverage(drawn: Array, asked: Array, real: Array, known: Array) -> float:
    """The share of real images [N, D] of classes [N] that the drawn ones [M, D] come near to.

    That is nearer than the third nearest other real image of the class, or the farthest if there
    are fewer. Of each class at most 500 images are compared.
    """
    is_covered = []
    for each in np.unique(known):
        theirs = np.asarray(real[known == each][:MOST_OF_CLASS], np.float64)
        ours = np.asarray(drawn[asked == each][:MOST_OF_CLASS], np.float64)
        place = min(NEIGHBOUR, len(theirs) - 1)
        radii = np.partition(_squares(theirs, theirs), place, axis=1)[:, place]
        is_covered.append(_squares(theirs, ours).min(axis=1, initial=np.inf) < radii)
    return float(np.concatenate(is_covered).mean())


def _squares(first: Floats, second: Floats) -> Floats:
    """The squared distances [N, M] of rows [N, D] and [M, D]."""
    lengths = (np.square(each).sum(axis=1) for each in (first, second))
    one, other = lengths
    found: Floats = np.maximum(one[:, None] + other - 2 * first @ second.T, 0)
    return found


def _classes(raw: Array) -> Tensor:
    return torch.from_numpy(np.asarray(raw)[:, 0].astype(np.int64))


def _of_class(outputs: Tensor, classes: Tensor) -> Tensor:
    """The loss that does not depend on the real image's class, and that of its class."""
    wanted = classes.expand(outputs.shape[:-1])[..., None] + 1
    losses: Tensor = outputs[..., 0] + outputs.gather(-1, wanted)[..., 0]
    return losses
