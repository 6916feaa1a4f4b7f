"""Every built-in that takes part in training, within a trial: `check_study` over small studies."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from subjects import file_of

from nnsearch.components import BUILTINS
from nnsearch.exporting import onnx
from nnsearch.study.spec import TrialSpec
from nnsearch.testing import ConformanceError, check_study, studies
from nnsearch.training.group import Group, make_group

FRAME = """
[data]
source = "{source}"
split = {{ train = 0.5, valid = 0.25, test = 0.25{by} }}
allow_leaky = true
{source_options}
[task]
name = "{task}"
{task_options}
[model]
name = "{model}"
{model_options}
[optimizer]
name = "{optimizer}"
[schedule]
name = "{schedule}"
[training]
batch_size = 16
{training_options}
[search]
trials = 1
"""
DRAW = np.random.default_rng(0)

# The data that each model is tried on, its task, and options that keep it small.
MODELS = {
    "constant": ("table", "classification", ""),
    "linear": ("table", "regression", ""),
    "mlp": ("table", "classification", "width = 8\nnorm = 'batch'\ndropout = 0.2"),
    "embedding_mlp": ("table", "multilabel", "width = 8"),
    "cnn": ("images", "classification", "channels = 2\nnorm = 'batch'"),
    "unet": ("scenes", "segmentation", "channels = 2\ndepth = 1"),
    "gan": ("images", "generation", "channels = 2\ndepth = 1\ndropout = 0.2"),
    "vae": ("images", "generation", "width = 8"),
    "independent": ("images", "generation", ""),
    "autoencoder": ("images", "anomaly", "width = 8\nnoise = 0.1\nkl = 0.1"),
    "conv_autoencoder": ("images", "anomaly", "channels = 2\ndepth = 1"),
    "factorization": ("ratings", "rating", "factors = 2"),
    "neural_factorization": ("ratings", "rating", "width = 4"),
    "rnn": ("series", "classification", "width = 4\ndepth = 2\ndropout = 0.2"),
    "lstm": ("texts", "classification", "width = 4\nbidirectional = true"),
    "gru": ("steps", "forecasting", "width = 4\npooling = 'attention'"),
    "tcn": ("series", "classification", "width = 4\ndepth = 1"),
    "transformer": ("texts", "classification", "width = 4\nheads = 2\ndepth = 1"),
}
# What these make of the same inputs does not depend on the choice of a model.
TASKS = {
    "ranking": ("ratings", "factorization", "factors = 2"),
    "generation": ("images", "gan", "channels = 2\ndepth = 1"),
}
# What torch's older exporter cannot be trusted with, for torch's own code has branches there: the
# newer one takes seconds.
EXPORTED_SLOWLY = {"rnn", "lstm", "gru"}


def tables(folder: Path) -> dict[str, Any]:
    rows = [
        f"{DRAW.normal() + row % 2:.4f},{'' if row % 9 == 0 else round(row * 0.37 % 5, 3)},"
        f"{'xyz'[row % 3]},{row % 2},{int(DRAW.integers(2))},{DRAW.normal():.4f}"
        for row in range(96)
    ]
    (folder / "table.csv").write_text("\n".join(["a,b,c,y,other,number", *rows]) + "\n")
    return {"source": "csv", "path": "table.csv"}


def images(folder: Path) -> dict[str, Any]:
    pixels = DRAW.integers(0, 9, (96, 1, 8, 8)) + 6 * (np.arange(96) % 3)[:, None, None, None]
    np.savez(folder / "images.npz", x=pixels.astype(np.uint8), y=np.arange(96) % 3)
    return {"source": "npz", "path": "images.npz"}


def scenes(folder: Path) -> dict[str, Any]:
    pixels = DRAW.integers(0, 255, (48, 1, 8, 8)).astype(np.uint8)
    np.savez(folder / "scenes.npz", x=pixels, y=(pixels[:, 0] > 99).astype(np.int64))
    return {"source": "npz", "path": "scenes.npz"}


def series(folder: Path) -> dict[str, Any]:
    values = DRAW.normal(size=(64, 2, 9)).astype(np.float32)
    values[
        np.broadcast_to((np.arange(9) >= 5 + np.arange(64)[:, None] % 5)[:, None], values.shape)
    ] = np.nan
    np.savez(folder / "series.npz", x=values, y=np.arange(64) % 2)
    return {"source": "npz", "path": "series.npz", "kind": "series"}


def texts(folder: Path) -> dict[str, Any]:
    lines = [f"word{row % 7} and word{row % 5} then w{row % 3},{row % 2}" for row in range(64)]
    (folder / "texts.csv").write_text("\n".join(["text,y", *lines]) + "\n")
    return {"source": "text_table", "path": "texts.csv", "column": "text", "target": "y"}


def ratings(folder: Path) -> dict[str, Any]:
    lines = [f"u{row % 8},i{(3 * row + row // 8) % 11},{1 + row % 5}" for row in range(88)]
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    return {"source": "ratings", "path": "ratings.csv"}


def steps(folder: Path) -> dict[str, Any]:
    return {"source": "series_table", "window": 6, "horizon": 2, "season": 12} | file_of(
        folder, "series_table"
    )


DATA: dict[str, Callable[[Path], dict[str, Any]]] = {
    "table": tables,
    "images": images,
    "scenes": scenes,
    "series": series,
    "texts": texts,
    "ratings": ratings,
    "steps": steps,
}
COLUMNS: dict[str, dict[str, Any]] = {
    "classification": {"target": "y", "drop": ["other", "number"]},
    "regression": {"target": "number"},
    "multilabel": {"labels": ["y", "other"], "drop": ["number"]},
}


def study_of(folder: Path, data: str, task: str, model: str, **given: str) -> Path:
    """The file of a small study on data that are written beside it."""
    source = DATA[data](folder)
    options = {key: value for key, value in source.items() if key != "source"}
    options |= COLUMNS[task] if data == "table" else {}
    lines = "".join(
        f"{key} = {value!r}\n".replace("(", "[").replace(")", "]") for key, value in options.items()
    )
    normal = 'normal = ["0", "1"]' if task == "anomaly" else ""
    by = {"forecasting": ', by = "time"', "rating": ', by = "random"', "ranking": ', by = "random"'}
    filled = {
        "optimizer": "adam",
        "schedule": "cosine",
        "model_options": "",
        "training_options": "",
    }
    filled |= {"task_options": normal, "by": by.get(task, "")} | given
    text = FRAME.format(
        source=source["source"],
        source_options=f"[data.{source['source']}]\n{lines}",
        task=task,
        model=model,
        **filled,
    )
    path = folder / "small.toml"
    path.write_text(text)
    return path


def test_every_model_and_every_task_is_tried() -> None:
    assert {*MODELS} == {*BUILTINS["models"]}
    tried = {task for _, task, _ in MODELS.values()} | {*TASKS}
    assert tried == {*BUILTINS["tasks"]}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_within_a_trial(
    model: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if model not in EXPORTED_SLOWLY:
        monkeypatch.setattr(onnx, "_exported", None)
    data, task, options = MODELS[model]
    check_study(study_of(own_folder, data, task, model, model_options=options))


def test_a_ranking_within_a_trial(own_folder: Path) -> None:
    data, model, options = TASKS["ranking"]
    check_study(study_of(own_folder, data, "ranking", model, model_options=options))


def test_pictures_of_classes_within_a_trial(own_folder: Path) -> None:
    data, model, options = TASKS["generation"]
    given = {"model_options": options, "task_options": "conditional = true"}
    check_study(study_of(own_folder, data, "generation", model, **given))


@pytest.mark.parametrize("optimizer", BUILTINS["optimizers"])
def test_an_optimizer_within_a_trial(optimizer: str, own_folder: Path) -> None:
    given = {"optimizer": optimizer, "model_options": "width = 8"}
    check_study(study_of(own_folder, "table", "classification", "mlp", **given))


@pytest.mark.parametrize("schedule", BUILTINS["schedules"])
def test_a_schedule_within_a_trial(schedule: str, own_folder: Path) -> None:
    given = {"schedule": schedule, "model_options": "width = 8"}
    check_study(study_of(own_folder, "table", "classification", "mlp", **given))


@pytest.mark.parametrize(
    "options",
    [
        "flip = true\ncrop = 0.2\nshift = 0.2\nrotate = 9.0\ncutout = 0.2\nnoise = 0.1",
        "mixup = 0.3\naccumulate = 2\naverage = 'swa'\nswa_start = 0.3",
        "l1 = 0.001\nclip_norm = 0.5\nclip_value = 0.1\naverage = 'ema'",
    ],
)
def test_a_recipe_within_a_trial(options: str, own_folder: Path) -> None:
    given = {"training_options": options, "model_options": "channels = 2\nnorm = 'batch'"}
    check_study(study_of(own_folder, "images", "classification", "cnn", **given))


PARTS = """
import torch
from torch import nn
from nnsearch.tasks.classification import classification
from nnsearch.tasks.task import Classes

class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.num_calls = 0
    def forward(self, x):
        self.num_calls += self.training
        return x / (1 + self.num_calls) if self.training else x

def forgetful(inputs, outputs):
    return nn.Sequential(nn.Linear(*inputs, 4), Counts(), nn.Linear(4, outputs))

class ByHand(nn.Module):
    def forward(self, x):
        return torch.tensor(x.tolist()) if not self.training else x

def unexportable(inputs, outputs):
    return nn.Sequential(nn.Linear(*inputs, outputs), ByHand())

class Peeping(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.weight = nn.Parameter(torch.ones(1))
    def forward(self, x):
        return self.model(x) * self.weight
    def settle(self, outputs, targets):
        self.weight.data += float(outputs.sum())
        return outputs

def peeping(targets: Classes):
    return classification(targets)._replace(around=Peeping)
"""


@pytest.mark.parametrize(
    ("said", "task", "model"),
    [
        ("resumed after an epoch", "classification", "parts.py:forgetful"),
        ("with other validation rows its weights are", "parts.py:peeping", "linear"),
        ("ONNX", "classification", "parts.py:unexportable"),
    ],
)
def test_a_broken_part_of_a_trial_is_caught(
    said: str, task: str, model: str, own_folder: Path
) -> None:
    (own_folder / "parts.py").write_text(PARTS)
    path = study_of(own_folder, "table", "classification", model)
    path.write_text(path.read_text().replace('name = "classification"', f'name = "{task}"'))
    with pytest.raises(ConformanceError, match=said):
        check_study(path, allow_code=True)


def test_a_trial_that_company_changes_is_caught(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_seeds(trials: list[TrialSpec], *rest: Any) -> Group:
        return make_group([replace(each, seed=each.seed + 5) for each in trials], *rest)

    monkeypatch.setattr(studies, "make_group", other_seeds)
    path = study_of(own_folder, "table", "classification", "mlp", model_options="width = 8")
    with pytest.raises(ConformanceError, match="in a program with others"):
        check_study(path)
