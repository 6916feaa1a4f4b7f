"""Recommendation: places in a full ranking, their metrics, and a study of each kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lessons import Classroom, classroom_of, learned
from sklearn.metrics import ndcg_score
from torch import nn

from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.study.spec import Component, Objective
from nnsearch.tasks.recommendation import Place, ranking, ranking_metrics, rating
from nnsearch.training.examine import Parts
from nnsearch.training.fuse import can_fuse

STUDY = """
[data]
source = "ratings"
split = { train = 0.6, valid = 0.2, test = 0.2, by = "random" }
[data.ratings]
path = "stars.csv"
[task]
name = "NAME"
[model]
name = "factorization"
factors = 4
[optimizer]
name = "adam"
lr = 0.03
[training]
epochs = 12
batch_size = 64
[search]
trials = 1
"""
NUM_USERS, NUM_ITEMS = 40, 30


class Fixed(nn.Module):
    """The same scores for everybody."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = torch.tensor(scores)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 2] to [B, I]."""
        return self.scores.expand(len(x), -1)


def room_of(folder: Path, name: str) -> Classroom:
    """Users who like items of their own taste, of two, and rate half of what there is."""
    generator = np.random.default_rng(0)
    users, items = np.divmod(np.arange(NUM_USERS * NUM_ITEMS), NUM_ITEMS)
    is_liked = users % 2 == items % 2
    chance = np.where(is_liked, 0.6, 0.1 if name == "ranking" else 0.5)
    rows = np.flatnonzero(generator.random(len(users)) < chance)
    stars = np.clip(np.round(np.where(is_liked, 4, 2) + generator.normal(0, 0.5, len(users))), 1, 5)
    lines = [f"u{users[row]},i{items[row]},{stars[row]:.0f}" for row in rows]
    (folder / "stars.csv").write_text("\n".join(["user,item,rating", *lines]))
    return classroom_of(folder, name, STUDY.replace("NAME", name))


def test_ratings_are_learned_and_stay_within_those_of_training(tmp_path: Path) -> None:
    room = room_of(tmp_path, "rating")
    kept = learned(room.pupil(), Objective("rmse", "minimize"))
    mean = learned(room.changed(model=Component("constant")).pupil(), Objective("rmse", "minimize"))
    assert kept.metrics["valid/rmse"] < 0.8 < 0.9 * mean.metrics["valid/rmse"]
    assert kept.predictions.min() >= 1
    assert kept.predictions.max() <= 5


def test_a_clipped_rating_says_the_number_within_the_ends() -> None:
    decode = rating(np.array([1.0, 2.0, 3.0])).decode
    assert decode(torch.tensor([[-9.0], [0.0], [9.0]]))[:, 0].tolist() == [1.0, 2.0, 3.0]
    free = rating(np.array([1.0, 2.0, 3.0]), clip=False).decode
    assert float(free(torch.tensor([[9.0]]))) > 9


def test_a_place_is_among_the_items_that_are_new_to_the_user() -> None:
    seen = np.array([[7, 0], [7, 1], [8, 2], [8, 3]])  # codes of users 7, 8 and of four items
    task = ranking(seen)
    assert task.outputs == 4
    assert task.around is not None
    model = task.around(Fixed([4.0, 3.0, 2.0, 1.0])).eval()
    pairs = torch.tensor([[1, 3], [1, 4], [2, 1], [2, 2], [0, 4], [1, 0]])
    places = Place()(model(pairs))[:, 0].tolist()
    assert places == [1, 2, 1, 2, 4, 5]
    level = task.around(Fixed([0.0] * 4)).eval()
    assert Place()(level(pairs))[:, 0].tolist() == [1.5, 1.5, 1.5, 1.5, 2.5, 5]


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_losses_are_those_of_the_papers(loss: str) -> None:
    task = ranking(np.array([[0, 0], [0, 1], [1, 2]]), loss=loss)  # type: ignore[arg-type]
    scores = [0.3, -0.2, 1.0]
    assert task.around is not None
    model = task.around(Fixed(scores)).train()
    found = task.losses(model(torch.tensor([[1, 2], [1, 0]])), task.encode(np.zeros(2)))
    own = torch.tensor(scores)
    wanted = -own.log_softmax(0)[1]
    if loss == "bpr":
        wanted = -torch.nn.functional.logsigmoid(own[1] - own).mean()
    assert found.tolist() == pytest.approx([float(wanted), 0.0])


def test_ndcg_is_scikit_learns_and_a_user_drawn_twice_counts_twice() -> None:
    generator = np.random.default_rng(0)
    pairs, places, by_user = [], [], []
    for user in range(6):
        order = generator.permutation(20)
        liked = generator.choice(20, 1 + user, replace=False)
        where = {int(item): place for place, item in enumerate(order.tolist())}
        pairs += [[user, item] for item in liked.tolist()]
        places += [where[item] + 1 for item in liked.tolist()]
        truth = np.isin(np.arange(20), liked)[None].astype(float)
        score = -np.array([where[item] for item in range(20)], float)[None]
        by_user.append(ndcg_score(truth, score, k=5))
    predictions, raw = np.array(places, float)[:, None], np.array(pairs)
    assert ranking_metrics(predictions, raw, 5)["ndcg_at_5"] == pytest.approx(np.mean(by_user))
    is_of_last = raw[:, 0] == 5
    twice = ranking_metrics(
        np.concatenate([predictions, predictions[is_of_last]]),
        np.concatenate([raw, raw[is_of_last]]),
        5,
    )
    wanted = np.mean([*by_user, by_user[-1]])
    assert twice["ndcg_at_5"] == pytest.approx(wanted)


def test_recall_is_of_as_many_as_the_list_can_hold() -> None:
    raw = np.array([[0, 0], [0, 1], [0, 2], [1, 0]])
    found = ranking_metrics(np.array([[1.0], [2.0], [3.0], [9.0]]), raw, 2)
    assert found["recall_at_2"] == pytest.approx((1 + 0) / 2)
    assert found["mean_place"] == pytest.approx((2 + 9) / 2)


def test_a_ranking_beats_popularity_and_is_exported(tmp_path: Path) -> None:
    room = room_of(tmp_path, "ranking")
    by_ndcg = Objective("ndcg_at_10", "maximize")
    pupil = room.pupil()
    kept = learned(pupil, by_ndcg)
    assert pupil.material.task.baseline == "constant"
    popular = learned(room.changed(model=Component("constant")).pupil(), by_ndcg)
    assert kept.metrics["valid/ndcg_at_10"] > 1.2 * popular.metrics["valid/ndcg_at_10"]
    assert not can_fuse(room.trial)
    material = pupil.material
    parts = Parts(material.transforms, pupil.model, material.task.decode, room.data)
    predictor = Predictor(parts.transforms, parts.model, parts.decode)
    raw = np.array([[0.0, 1.0], [3.0, 2.0], [np.nan, 5.0], [7.0, np.nan]])
    assert parity(predictor, onnx(predictor, raw, tmp_path), raw) < 1e-5
