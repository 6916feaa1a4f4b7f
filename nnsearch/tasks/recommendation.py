"""What a user will like: ratings foretold, items ranked. Knows no model's insides.

Shape suffixes: B examples, N of a split, I items of the training split, U its users.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.components import Count
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, number_metrics
from nnsearch.tasks.regression import Unscale, regression
from nnsearch.tasks.task import Numbers, Pairs, Task

Loss = Literal["softmax", "bpr"]
# Where k stands, the task has its number.
OF_RANKINGS: dict[str, Direction] = {
    "ndcg_at_k": "maximize",
    "recall_at_k": "maximize",
    "mean_place": "minimize",
}
OF_RATINGS: dict[str, Direction] = {"rmse": "minimize", "mae": "minimize"}

# Columns of what a model of a ranking puts out.
LOSS, PLACE = range(2)


class Rating(nn.Module):
    """Standardised outputs [B, 1] as ratings, none beyond those that training saw."""

    def __init__(self, unscale: nn.Module, low: float, high: float) -> None:
        super().__init__()
        self.unscale = unscale
        self.low = low
        self.high = high

    def forward(self, outputs: Tensor) -> Tensor:
        """[B, 1] to [B, 1]."""
        rated: Tensor = self.unscale(outputs).clamp(self.low, self.high)
        return rated


def rating(targets: Numbers, *, clip: bool = True) -> Annotated[Task, OF_RATINGS]:
    """The squared error of ratings [N]; with `clip` none is foretold beyond those of training.

    Raises DataError where the ratings are all the same.
    """
    plain = regression(targets)
    decode: nn.Module = plain.decode
    if clip:
        low, high = float(np.min(targets)), float(np.max(targets))
        decode = Rating(Unscale(float(np.mean(targets)), float(np.std(targets))), low, high)

    def metrics(predictions: Array, raw: Array) -> dict[str, float]:
        found = number_metrics(predictions, raw)
        return {name: found[name] for name in OF_RATINGS}

    return plain._replace(
        decode=decode, metrics=metrics, directions=OF_RATINGS, slopes=None, baseline="constant"
    )


class Ranked(nn.Module):
    """The loss of each pair, and the item's place among the items that are new to the user.

    `model` takes numbers of users and items [B, 2], 0 for unknown, to scores of all items [B, I].
    """

    seen: Tensor

    def __init__(self, model: nn.Module, seen: Tensor, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.register_buffer("seen", seen, persistent=False)
        self.last = float(seen.shape[1])

    def forward(self, x_B2: Tensor) -> Tensor:
        """Numbers of users and items to loss and place [B, 2]; the first place is 0.

        Of items with equal scores each stands in the middle of them.
        """
        users, items = x_B2[:, 0], x_B2[:, 1]
        scores_BI = self.model(x_B2)
        own = (items - 1).clamp(min=0)[:, None]
        own_B1 = scores_BI.gather(1, own)
        is_known = (items > 0).to(scores_BI.dtype)
        if self.loss == "softmax":
            losses = torch.logsumexp(scores_BI, dim=1) - own_B1[:, 0]
        else:
            losses = F.softplus(scores_BI - own_B1).mean(1)
        if self.training:
            return torch.stack([losses * is_known, torch.zeros_like(losses)], dim=1)
        new_BI = (~self.seen[users]).to(scores_BI.dtype)
        above = ((scores_BI > own_B1) * new_BI).sum(1)
        level = ((scores_BI == own_B1) * new_BI).sum(1) - new_BI.gather(1, own)[:, 0]
        places = torch.where(items > 0, above + level / 2, self.last)
        return torch.stack([losses * is_known, places], dim=1)


class Place(nn.Module):
    """The item's place in the user's list, from 1."""

    def forward(self, outputs: Tensor) -> Tensor:
        """[B, 2] to [B, 1]."""
        return outputs[:, PLACE:] + 1


def ranking(
    targets: Pairs, *, loss: Loss = "softmax", k: Count = 10
) -> Annotated[Task, OF_RANKINGS]:
    """Which items a user turns to, [N, 2] of users and items: the place of each in the user's list.

    The list holds all items of the training split but those that it has of the user, best first: a
    full ranking, without drawn rivals. "softmax" is the cross-entropy over all items, "bpr" the
    mean logistic loss against each other item (Rendle et al., BPR, 2009). recall_at_k is the share
    of a user's items that are among the first `k`, of k at the most, ndcg_at_k weighs them by
    their place (Järvelin and Kekäläinen, 2002), and both are means over users. An item that
    training has not seen is in the last place.
    """
    users, items = (_numbers(targets[:, place]) for place in range(2))
    num_users, num_items = int(users.max()), int(items.max())
    seen = np.zeros((num_users + 1, num_items), dtype=bool)
    seen[users, items - 1] = True
    directions = {name.replace("_k", f"_{k}"): each for name, each in OF_RANKINGS.items()}
    return Task(
        outputs=num_items,
        encode=lambda raw: torch.zeros(len(raw)),
        losses=lambda outputs, _: outputs[..., LOSS],
        decode=Place(),
        metrics=lambda predictions, raw: ranking_metrics(predictions, raw, k),
        directions=directions,
        around=lambda model: Ranked(model, torch.from_numpy(seen), loss),
        baseline="constant",
    )


def ranking_metrics(predictions: Array, pairs: Array, k: int) -> dict[str, float]:
    """Metrics of places [N, 1] from 1 of users and items [N, 2].

    A pair that stands there several times, as in a draw of users, counts its user as often, not
    its item.
    """
    _, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    places = np.asarray(predictions, np.float64).reshape(-1)[first]
    users = np.unique(np.asarray(pairs)[first, 0], return_inverse=True)[1]
    num_of_user = np.bincount(users)
    weights = np.bincount(users, counts) / num_of_user
    is_hit = places <= k
    hits = np.bincount(users, is_hit)
    gains = np.bincount(users, np.where(is_hit, 1 / np.log2(places + 1), 0.0))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    at_most = np.minimum(num_of_user, k)
    found = {
        f"ndcg_at_{k}": gains / ideal[at_most - 1],
        f"recall_at_{k}": hits / at_most,
        "mean_place": np.bincount(users, places) / num_of_user,
    }
    return {name: float(np.average(each, weights=weights)) for name, each in found.items()}


def _numbers(codes: Array) -> npt.NDArray[np.int64]:
    """Codes as numbers from 1, in their order: as the transform ids numbers them."""
    return np.unique(codes, return_inverse=True)[1].astype(np.int64) + 1
