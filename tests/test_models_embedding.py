"""Vectors for the categories of columns: of which features, learned, fitted on train, exported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lessons import Classroom, classroom_of, learned

from nnsearch.data.examples import Examples
from nnsearch.data.transforms import TableTransform, table
from nnsearch.errors import UsageError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.models.embedding import Embeddings, Features, embedding_mlp
from nnsearch.signature import Column, Signature
from nnsearch.study.spec import Component, Objective

STUDY = """
[data]
source = "csv"
csv = { path = "towns.csv", target = "y" }
[task]
name = "classification"
[model]
name = "embedding_mlp"
embedding = 3
width = 16
depth = 1
[optimizer]
name = "adam"
lr = 0.02
[training]
epochs = 12
batch_size = 32
[search]
trials = 1
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """Towns, some of them rich, and a colour that says nothing."""
    folder, draw = tmp_path_factory.mktemp("towns"), np.random.default_rng(0)
    lines = []
    for _ in range(400):
        town, colour = int(draw.integers(12)), "rgb"[int(draw.integers(3))]
        is_yes = (town % 4 == 1) != (draw.random() < 0.05)
        lines.append(f"{draw.normal():.3f},t{town},{colour},{'yes' if is_yes else 'no'}")
    (folder / "towns.csv").write_text("\n".join(["x,town,colour,y", *lines]))
    return classroom_of(folder, "towns", STUDY)


def test_places_are_those_of_each_columns_features() -> None:
    columns = (
        Column("a", "categorical", ("p", "q", "r")),
        Column("x"),
        Column("b", "categorical", ("u", "v")),
    )
    cells = np.array([[0, 1.0, 0], [1, np.nan, 1], [2, 3.0, 1], [0, 4.0, np.nan]])
    train = Examples(cells, np.arange(4), Signature("table", (3,), "float64", "y", columns))
    transform = table(train)
    assert isinstance(transform, TableTransform)
    made = transform(torch.from_numpy(cells))
    assert [len(each) for each in transform.places] == [4, 3]
    for places in transform.places:
        block = made[:, list(places)]
        assert block.sum(1).tolist() == [1] * 4
    assert made[:, transform.places[1][-1]].tolist() == [0, 0, 0, 1], "a missing one is the rest"


def test_a_vector_is_a_row_of_the_columns_table() -> None:
    layer = Embeddings(Features(6, ((1, 3), (2, 4, 5))), 2)
    assert layer.num_features == 1 + 2 + 2
    x = torch.zeros(1, 6)
    x[0, 0], x[0, 3], x[0, 4] = 7.0, 1.0, 1.0
    first, second = layer.parameters()
    wanted = torch.cat([torch.tensor([7.0]), first[:, 1], second[:, 1]])
    torch.testing.assert_close(layer(x)[0], wanted)


def test_it_learns_what_categories_mean_and_is_exported(room: Classroom, tmp_path: Path) -> None:
    pupil = room.pupil()
    assert isinstance(pupil.material.inputs, Features)
    assert isinstance(next(iter(pupil.model.children())), Embeddings)
    kept = learned(pupil, Objective("accuracy", "maximize"))
    assert kept.metrics["valid/accuracy"] > 0.88
    predictor = Predictor(pupil.material.transforms, pupil.model, pupil.material.task.decode)
    raw = np.array([[0.5, 1, 0], [np.nan, 11, 2], [1.5, np.nan, 1]])
    assert parity(predictor, onnx(predictor, raw, tmp_path), raw) < 1e-5


def test_a_table_without_categories_goes_to_a_plain_mlp(room: Classroom) -> None:
    plain = embedding_mlp((5,), 2, width=8)
    assert not any(isinstance(each, Embeddings) for each in plain.modules())
    assert plain(torch.randn(3, 5)).shape == (3, 2)
    with pytest.raises(UsageError, match="wants the columns of a table"):
        embedding_mlp((1, 8, 8), 2)
    other = room.changed(model=Component("mlp", {"width": 16, "depth": 1})).pupil()
    assert tuple(other.material.inputs) == (other.material.train.shape[1],)
