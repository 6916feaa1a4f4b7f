"""Segmentation: losses, IoU and Dice, scenes, and a mask that is learned and exported."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lessons import Classroom, classroom_of, learned
from sklearn.metrics import f1_score, jaccard_score

from nnsearch.data.bundled import digits
from nnsearch.data.npz_file import npz
from nnsearch.data.scenes import digit_scenes
from nnsearch.data.targets import masks_of_images
from nnsearch.errors import DataError, UsageError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.study.spec import Component, Objective
from nnsearch.tasks.segmentation import segmentation, segmentation_metrics
from nnsearch.training.evaluate import show

STUDY = """
[data]
source = "npz"
split = { by = "random" }
[data.npz]
path = "squares.npz"
[task]
name = "segmentation"
[model]
name = "unet"
channels = 4
depth = 1
[optimizer]
name = "adam"
lr = 0.01
[training]
epochs = 6
batch_size = 16
[search]
trials = 1
"""
MASKS = np.random.default_rng(0).integers(0, 3, (5, 4, 6))


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """Bright squares on noise; the mask is where the square is."""
    folder = tmp_path_factory.mktemp("squares")
    generator = np.random.default_rng(0)
    masks = np.zeros((120, 10, 10), np.int64)
    for mask in masks:
        top, left = generator.integers(0, 6, 2)
        mask[top : top + 4, left : left + 4] = 1
    images = generator.normal(0, 0.5, masks.shape) + 2 * masks
    np.savez(folder / "squares.npz", x=images.astype(np.float32), y=masks)
    return classroom_of(folder, "squares", STUDY)


def test_the_loss_is_torchs_cross_entropy_and_the_soft_dice() -> None:
    task = segmentation(MASKS)
    outputs, encoded = torch.randn(2, 5, 3 * 24), task.encode(MASKS)
    wanted = F.cross_entropy(outputs[0].view(5, 3, 4, 6), torch.from_numpy(MASKS))
    assert task.outputs == 72
    assert task.losses(outputs, encoded).shape == (2, 5)
    assert torch.allclose(task.losses(outputs, encoded)[0].mean(), wanted)
    sure = F.one_hot(encoded, 3).transpose(1, 2).flatten(1).float() * 50
    dice = segmentation(MASKS, dice=1.0)
    assert torch.allclose(dice.losses(sure, encoded), torch.zeros(5), atol=1e-6)
    shifted = sure.view(5, 3, -1).roll(1, dims=1).flatten(1)
    assert bool((dice.losses(shifted, encoded) > 0.8).all())


def test_iou_and_dice_are_scikit_learns() -> None:
    shares = np.random.default_rng(1).random((5, 3 * 24))
    found = segmentation_metrics(shares, MASKS)
    predicted = shares.reshape(5, 3, 24).argmax(1).ravel()
    truth = MASKS.ravel()
    assert found["iou"] == pytest.approx(jaccard_score(truth, predicted, average="macro"))
    assert found["dice"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    things = jaccard_score(truth, predicted, average=None)[1:]
    assert found["iou_of_things"] == pytest.approx(things.mean())
    assert found["pixel_accuracy"] == pytest.approx((truth == predicted).mean())


def test_a_class_that_is_nowhere_does_not_count() -> None:
    masks = np.zeros((1, 2, 2), np.int64)
    shares = np.tile([[0.9] * 4 + [0.05] * 4 + [0.05] * 4], (1, 1))
    found = segmentation_metrics(shares, masks)
    assert (found["iou"], found["iou_of_things"]) == (1.0, 1.0)


def test_a_class_that_train_lacks_is_missed() -> None:
    shares = np.array([[0.9] * 4 + [0.1] * 4])
    found = segmentation_metrics(shares, np.array([[[0, 0], [0, 2]]]))
    assert (found["pixel_accuracy"], found["iou"]) == (0.75, 0.75 / 2)


def test_masks_are_learned_shown_and_exported(room: Classroom, tmp_path: Path) -> None:
    pupil = room.pupil()
    by_iou = Objective("iou", "maximize")
    kept = learned(pupil, by_iou)
    trivial = learned(room.changed(model=Component("constant")).pupil(), by_iou)
    assert kept.metrics["valid/iou"] > 0.8
    assert trivial.metrics["valid/iou"] < 0.6
    shown = show(pupil.model, pupil.material)
    assert {name: each.shape[-2:] for name, each in shown.items()} == {
        "note": (),
        "image": (10, 10),
        "mask": (10, 10),
        "predicted": (10, 10),
        "wrong pixels": (10, 10),
    }
    assert str(shown["note"]) == "validation rows; orange is class 1"
    assert (shown["mask"] == shown["predicted"]).mean() > 0.9
    predictor = Predictor(pupil.material.transforms, pupil.model, pupil.material.task.decode)
    raw = np.random.default_rng(0).normal(size=(20, 1, 10, 10)).astype(np.float32)
    assert parity(predictor, onnx(predictor, raw, tmp_path), raw) < 1e-5


@pytest.mark.parametrize("option", [{"flip": True}, {"shift": 0.1}, {"rotate": 5.0}])
def test_images_are_not_moved_away_from_their_masks(
    room: Classroom, option: dict[str, float]
) -> None:
    (moved,) = ({f"training__{name}": value} for name, value in option.items())
    with pytest.raises(UsageError, match="leave the masks behind"):
        room.changed(**moved).pupil()


def test_a_scene_holds_two_digits_where_its_mask_says() -> None:
    scenes = digit_scenes(Path())
    assert scenes.inputs.shape == (898, 1, 20, 20)
    assert scenes.targets.shape == (898, 20, 20)
    assert set(np.unique(scenes.targets).tolist()) == {0, 1, 2}
    quiet = digit_scenes(Path(), noise=0)
    assert np.array_equal(quiet.targets.astype(int) > 0, quiet.inputs[:, 0].astype(int) > 4)
    whole = digits(Path()).inputs.sum(dtype=np.int64)
    assert 0.99 * whole < quiet.inputs.sum(dtype=np.int64) <= whole
    assert np.array_equal(masks_of_images(scenes).targets, scenes.targets)


def test_targets_that_are_no_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are no masks"):
        masks_of_images(digits(Path()))
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 4, 4)), y=np.full((9, 4, 4), 0.5))
    with pytest.raises(DataError, match="whole numbers from 0"):
        masks_of_images(npz(tmp_path, path="a.npz"))
    with pytest.raises(DataError, match="one class only"):
        segmentation(np.zeros((2, 4, 4), np.int64))
    with pytest.raises(DataError, match="class 7"):
        segmentation(MASKS).encode(MASKS + 5)
