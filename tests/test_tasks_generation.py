"""Generation: the Fréchet distance, a classifier that judges, an album, an exported generator."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from finished import completed
from lessons import Classroom, classroom_of, learned
from sklearn.neighbors import KNeighborsClassifier

from nnsearch import load_predictor
from nnsearch.data.bundled import digits, iris
from nnsearch.data.targets import with_pictures
from nnsearch.errors import DataError, UsageError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.study.spec import Component, Objective
from nnsearch.tasks.generation import classifier, frechet, generation
from nnsearch.testing import check_study
from nnsearch.training.evaluate import show
from nnsearch.training.fit import fit

STUDY = """
[data]
source = "digits"
[task]
name = "generation"
[model]
name = "vae"
kl = 0.3
[optimizer]
name = "adam"
lr = 0.005
[training]
epochs = 12
batch_size = 64
[search]
trials = 1
"""
BY_FRECHET = Objective("frechet", "minimize")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom_of(tmp_path_factory.mktemp("room"), "digits", STUDY)


def pictures_of_digits() -> npt.NDArray[np.float32]:
    """The class and the pixels of each of scikit-learn's digits."""
    return with_pictures(digits(Path())).targets.astype(np.float32)


def test_the_distance_of_normal_distributions_is_the_known_one() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(500, 3)) * [1.0, 2.0, 3.0]
    assert frechet(rows, rows) == pytest.approx(0, abs=1e-9)
    assert frechet(rows, rows + np.array([3.0, 0.0, 4.0])) == pytest.approx(25)
    wide = rows.mean(0) + 2 * (rows - rows.mean(0))
    assert frechet(rows, wide) == pytest.approx(np.trace(np.cov(rows, rowvar=False)))


def test_the_classifier_classifies_and_is_the_same_each_time() -> None:
    pictures = pictures_of_digits()
    train, test = pictures[:1200].astype(float), pictures[1200:].astype(float)
    before = torch.get_rng_state()
    features, classify = classifier(train[:, 1:], train[:, 0].astype(np.int64))
    assert torch.equal(before, torch.get_rng_state())
    assert (classify(test[:, 1:]) == test[:, 0]).mean() > 0.88
    again, _ = classifier(train[:, 1:], train[:, 0].astype(np.int64))
    np.testing.assert_array_equal(features(test[:, 1:]), again(test[:, 1:]))


def test_worse_pictures_are_farther_away() -> None:
    pictures = pictures_of_digits()
    generator = np.random.default_rng(0)
    task = generation(pictures[:1200])
    held_out = pictures[1200:]
    real = task.metrics(pictures[:597, 1:], held_out)
    assert real["frechet"] < 0.05
    assert real["variety"] > 9.5
    noisy = held_out[:, 1:] + generator.normal(0, 8, (len(held_out), 64))
    shuffled = np.stack([generator.permutation(column) for column in held_out[:, 1:].T], axis=1)
    one_class = pictures[pictures[:, 0] == 3][:, 1:]
    for worse in (noisy, shuffled, one_class):
        assert task.metrics(worse, held_out)["frechet"] > 3 * real["frechet"]
    assert task.metrics(one_class, held_out)["variety"] < 2


def test_pictures_are_in_the_units_of_the_data() -> None:
    pictures = pictures_of_digits()
    raw = pictures[:, 1:]
    scaled = (raw - raw.mean()) / raw.std()
    outputs = torch.from_numpy(np.concatenate([np.zeros((len(raw), 1)), scaled], axis=1)).float()
    drawn = generation(pictures).decode(outputs).numpy()
    np.testing.assert_allclose(drawn, raw, atol=1e-4)
    assert float(generation(pictures).decode(outputs * 9).max()) == 16


def test_a_model_learns_to_draw_shows_it_and_is_exported(room: Classroom, tmp_path: Path) -> None:
    pupil = room.pupil()
    kept = learned(pupil, BY_FRECHET)
    trivial = learned(
        room.changed(model=Component("independent"), training__epochs=20).pupil(), BY_FRECHET
    )
    assert kept.metrics["valid/frechet"] < 0.8 * trivial.metrics["valid/frechet"]
    assert kept.predictions.shape == (288, 64)
    shown = show(pupil.model, pupil.material)
    assert {"real", "epoch 1", "epoch 2", "epoch 4", "epoch 8"} <= shown.keys()
    assert shown["epoch 4"].shape == (16, 1, 8, 8)
    # All on the scale of the data, 0 to 16, whatever each of them reaches.
    assert set(np.unique(shown["real"])) <= {round(255 * each / 16) for each in range(17)}
    assert not np.array_equal(shown["epoch 1"], shown["epoch 8"])
    predictor = Predictor(pupil.material.transforms, pupil.model, pupil.material.task.decode)
    raw = np.zeros((40, 1, 8, 8), np.uint8)
    assert parity(predictor, onnx(predictor, raw, tmp_path), raw) < 1e-5
    drawn = predictor(torch.from_numpy(raw)).detach().numpy()
    np.testing.assert_allclose(drawn, kept.predictions[:40], atol=1e-4)


@pytest.mark.parametrize("model", ["vae", "gan"])
def test_a_resumed_generator_equals_an_unbroken_one(room: Classroom, model: str) -> None:
    chosen = room.changed(model=Component(model), training__epochs=3)
    whole = learned(chosen.pupil(), BY_FRECHET)
    run = fit(chosen.pupil(), BY_FRECHET, 0)
    past = copy.deepcopy(next(run).snapshot())
    kept = learned(chosen.pupil(), BY_FRECHET, past)
    assert kept.metrics == whole.metrics
    np.testing.assert_array_equal(kept.predictions, whole.predictions)
    assert all(torch.equal(kept.weights[name], each) for name, each in whole.weights.items())


def test_only_images_of_classes_are_drawn() -> None:
    with pytest.raises(DataError, match="which these examples are not"):
        with_pictures(iris(Path()))


def main_of(export: Path, name: str) -> str:
    """What the export's own program prints of a file."""
    command = [sys.executable, "-I", "predict.py", name]
    done = subprocess.run(command, cwd=export, capture_output=True, text=True, check=True)
    return done.stdout


def conditional(epochs: str = "epochs = 12") -> str:
    """The study of a small GAN that is told the classes."""
    study = STUDY.replace('"generation"', '"generation"\nconditional = true')
    study = study.replace(
        'name = "vae"\nkl = 0.3', 'name = "gan"\ncode = 16\nchannels = 8\npenalty = 0.3'
    )
    return study.replace("lr = 0.005", "lr = 0.003\nbeta1 = 0.5").replace("epochs = 12", epochs)


def conditional_room(folder: Path) -> Classroom:
    folder.mkdir()
    return classroom_of(folder, "digits", conditional())


def test_quality_is_told_for_each_class() -> None:
    pictures = np.random.default_rng(0).permutation(pictures_of_digits())
    task = generation(pictures[:1200], conditional=True)
    assert task.outputs == 64 + 10
    held_out = pictures[1200:]
    real = task.metrics(held_out, held_out)
    assert real["agreement"] > 0.88
    assert real["joint_frechet"] == pytest.approx(0, abs=1e-6)
    assert next(iter(task.directions)) == "coverage"
    again = task.metrics(pictures[:597], held_out)
    other = again["joint_frechet"]
    assert again["coverage"] == pytest.approx(1 - 1 / 2**3, abs=0.06)
    wrong = held_out.copy()
    wrong[:, 0] = (wrong[:, 0] + 1) % 10
    mixed = task.metrics(wrong, held_out)
    assert mixed["agreement"] < 0.05
    assert mixed["frechet"] == real["frechet"]
    assert mixed["joint_frechet"] > 5 * other
    assert mixed["coverage"] < 0.03
    noisy = held_out + np.random.default_rng(0).normal(0, 8, held_out.shape) * (np.arange(65) > 0)
    assert task.metrics(noisy, held_out)["joint_frechet"] > 5 * other
    assert task.metrics(noisy, held_out)["coverage"] == 0
    ten = pictures[[int(np.argmax(pictures[:, 0] == each)) for each in range(10)]].repeat(
        60, axis=0
    )
    assert task.metrics(ten, held_out)["coverage"] < 0.1


def test_the_loss_is_that_of_the_class_of_the_real_image() -> None:
    task = generation(pictures_of_digits(), conditional=True)
    outputs = torch.arange(22.0).reshape(2, 11)
    encoded = task.encode(np.array([[3.0, 0.0], [9.0, 0.0]]))
    assert task.losses(outputs, encoded).tolist() == [0 + 4, 11 + 21]


def test_pictures_of_a_class_are_learned_and_shown(tmp_path: Path) -> None:
    pupil = conditional_room(tmp_path / "room").changed(training__epochs=18).pupil()
    kept = learned(pupil, BY_FRECHET)
    assert kept.metrics["valid/agreement"] > 0.6
    assert kept.predictions.shape == (288, 65)
    assert kept.predictions[:, 0].tolist() == [row % 10 for row in range(288)]
    shown = show(pupil.model, pupil.material)
    assert shown["epoch 8"].shape == (16, 1, 8, 8)
    assert "classes in turn" in list(shown)[-1]


@pytest.mark.timeout(300)  # a whole run, with workers that have to start
def test_an_exported_conditional_gan_draws_the_class_that_is_asked_for(own_folder: Path) -> None:
    study = conditional("epochs = 25") + "[confirmation]\ntrials = 0\n"
    completed(own_folder, "numbers", 'name = "numbers"\n' + study)
    (export,) = own_folder.glob("mlruns/studies/numbers/exports/*")
    predictor = load_predictor(export)
    asked = np.repeat(np.arange(10), 20)
    rows: list[dict[str, Any]] = [
        {"class": str(each), "seed": seed % 20} for seed, each in enumerate(asked.tolist())
    ]
    drawn = np.array([[*each.values()] for each in predictor.predict_table(rows)])
    assert drawn.shape == (200, 64)
    real = pictures_of_digits()
    judge = KNeighborsClassifier(5).fit(real[:, 1:], real[:, 0])
    agreement = (judge.predict(drawn) == asked).mean()
    assert agreement > 0.5  # of ten classes, chance gives 0.1
    again = predictor.predict(np.array([[7.0, 3.0], [7.0, 4.0]]))
    np.testing.assert_allclose(again[0], drawn[7 * 20 + 3], atol=1e-5)
    assert np.abs(again[0] - again[1]).max() > 1
    unknown: list[dict[str, Any]] = [{"class": "ten", "seed": 1}, {"class": "1", "seed": None}]
    for row in unknown:
        with pytest.raises(DataError, match="row 1: the prediction is not finite"):
            predictor.predict_table([row])
    text = (export / "README.txt").read_text()
    assert "class (categorical: 0, 1, 2" in text
    assert "one column for each of the 64 values of a picture" in " ".join(text.split())
    (export / "asked.csv").write_text("class,seed\n7,3\n")
    assert main_of(export, "asked.csv").startswith("pixel_1,pixel_2,")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_who_knows_the_classes_draws_better(tmp_path: Path) -> None:
    """Three seeds of each: the same networks and epochs, with the class and without."""
    distances = {}
    for name in ("true", "false"):
        room = conditional_room(tmp_path / name)
        task = Component("generation", {"conditional": name == "true"})
        distances[name] = [
            learned(
                room.changed(seed=seed, task=task, training__epochs=30).pupil(), BY_FRECHET
            ).metrics["valid/frechet"]
            for seed in range(3)
        ]
    assert np.median(distances["true"]) < np.median(distances["false"])


def test_channels_that_the_images_do_not_have_are_told(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (60, 2, 6, 6)).astype(np.uint8)
    np.savez(tmp_path / "colours.npz", x=pixels, y=np.arange(60) % 2)

    def first_step(task: str) -> None:
        """What a trial on images of two channels, of a task with these options, raises."""
        path = tmp_path / "study.toml"
        path.write_text(
            "[data]\nsource = 'npz'\nsplit = { train = 0.6, valid = 0.2, test = 0.2 }\n"
            "[data.npz]\npath = 'colours.npz'\n"
            f"[task]\nname = 'generation'\n{task}\n[model]\nname = 'vae'\nwidth = 8\n"
            "[search]\ntrials = 1\n"
        )
        check_study(path)

    with pytest.raises(UsageError, match="1 channels, not 2") as raised:
        first_step("")
    assert raised.value.hint == "Set channels = 2 in [task]."
    with pytest.raises(DataError, match="have no 5 channels"):
        first_step("channels = 5")
    first_step("channels = 2")
