"""Trials that begin with trained weights: what is taken over, what learns, and what is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finished import finished
from lessons import ACCURACY, Classroom, classroom, classroom_of, learned
from sklearn.datasets import load_digits
from torch import Tensor, nn

from nnsearch.commands.check import as_text, check
from nnsearch.commands.opening import inspect, plain_training
from nnsearch.errors import StudyError, UsageError
from nnsearch.events import Failed
from nnsearch.models.cnn import cnn
from nnsearch.models.mlp import mlp
from nnsearch.models.temporal import tcn
from nnsearch.models.transformer import transformer
from nnsearch.study.fingerprint import difference, fingerprint, to_json
from nnsearch.study.folder import EXPORTED_WEIGHTS, StudyFolder
from nnsearch.study.load import load_study
from nnsearch.study.spec import Component
from nnsearch.training.fit import Pupil, fit
from nnsearch.training.fuse import can_fuse
from nnsearch.training.job import recorded, run_job, write_job
from nnsearch.training.recipe import recipe
from nnsearch.training.start import begin, by_depth, compared, read_weights, set_learning

IMAGES = """
[data]
source = "npz"
split = {split}
[data.npz]
path = "{path}"
inputs = "x"
targets = "y"
[task]
name = "classification"
[model]
name = "cnn"
[optimizer]
name = "adam"
lr = {lr}
[training]
{training}
[search]
trials = 1
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """Digits, with the weights of a trial of theirs beside the study file."""
    made = classroom(tmp_path_factory.mktemp("room")).changed(model__norm="batch")
    kept = learned(made.changed(training__epochs=2).pupil(), ACCURACY)
    torch.save({"model": kept.weights}, made.code / "trained.pt")
    return made


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits 0 to 4 and the digits 5 to 9 as images."""
    folder = tmp_path_factory.mktemp("numbers")
    digits = load_digits()
    images, labels = digits.images.astype(np.float32)[..., None], digits.target
    for name, mask in (("low", labels < 5), ("high", labels >= 5)):
        np.savez(folder / f"{name}.npz", x=images[mask], y=labels[mask])
    return folder


def written(file: Path, path: str, training: str) -> Path:
    """A study file on images of digits."""
    split = "{ train = 0.7, valid = 0.2, test = 0.1 }"
    file.write_text(IMAGES.format(path=path, split=split, lr=0.003, training=training))
    return file


def state(pupil: Pupil) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in pupil.model.state_dict().items()}


def test_few_examples_are_enough_for_a_network_that_knows_other_digits(numbers: Path) -> None:
    whole = IMAGES.format(
        path="low.npz",
        split="{ train = 0.7, valid = 0.2, test = 0.1 }",
        lr=0.003,
        training="epochs = 12\nfuse = false",
    )
    teacher = learned(classroom_of(numbers, "low", whole).pupil(), ACCURACY)
    torch.save(teacher.weights, numbers / "low.pt")
    few = IMAGES.format(
        path="high.npz",
        split="{ train = 0.03, valid = 0.6, test = 0.37 }",
        lr=0.003,
        training="epochs = 20\nbatch_size = 8",
    )
    room = classroom_of(numbers, "high", few)
    start = {
        "training__start": "low.pt",
        "training__new_head": True,
        "training__freeze": True,
        "training__unfreeze_after": 5,
    }
    found: list[list[float]] = []
    for options in ({}, {"optimizer__lr": 0.01}, start):
        pupils = [room.changed(seed=seed, **options).pupil() for seed in range(4)]
        assert len(pupils[0].material.train) < 30
        found.append([learned(each, ACCURACY).metrics["valid/accuracy"] for each in pupils])
    scratch, faster, moved = map(np.mean, found)
    assert moved > max(scratch, faster) + 0.01


def test_a_trial_begins_with_the_files_weights(room: Classroom) -> None:
    weights = torch.load(room.code / "trained.pt", weights_only=True)["model"]
    taken = room.changed(training__start="trained.pt").pupil()
    assert all(torch.equal(each, weights[name]) for name, each in state(taken).items())
    kept_head = room.changed(training__start="trained.pt", training__new_head=True)
    new, drawn = state(kept_head.pupil()), state(room.pupil())
    assert [name for name in new if not torch.equal(new[name], weights[name])] == [
        "3.weight",
        "3.bias",
    ]
    assert torch.equal(new["3.weight"], drawn["3.weight"])


def test_a_layer_of_another_shape_stays_as_it_was_drawn(room: Classroom) -> None:
    model = mlp((1, 8, 8), 7, width=16, norm="batch")
    weights = read_weights("trained.pt", room.code)
    taken, left = compared(model, weights)
    assert left == ("3.weight is [10, 16] in the file, [7, 16] here",)
    assert "2.1.running_var" in taken
    before = {name: each.clone() for name, each in model.state_dict().items()}
    begin(model, recipe(start="trained.pt").start, room.code)
    after = model.state_dict()
    assert torch.equal(after["3.bias"], before["3.bias"])
    assert torch.equal(after["1.0.weight"], weights["1.0.weight"])


def test_a_file_of_which_nothing_fits_is_an_error_with_both_shapes(room: Classroom) -> None:
    wide = room.changed(model__width=24, training__start="trained.pt")
    with pytest.raises(UsageError, match=r"1\.0\.weight \[16, 64\].*1\.0\.weight \[24, 64\]"):
        wide.pupil()


class Evil:
    """What a pickle could do to whoever loads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def test_nothing_but_a_state_dict_is_loaded(room: Classroom) -> None:
    weights = room.code / "trained.pt"
    torch.save({"model": Evil()}, room.code / "evil.pt")
    torch.save({"model": {"a": 1}}, room.code / "numbers.pt")
    torch.save([torch.zeros(2)], room.code / "list.pt")
    (room.code / "text.pt").write_text("no weights")
    (room.code / "torn.pt").write_bytes(weights.read_bytes()[:2000])
    (room.code / "empty.pt").write_bytes(b"")
    for name in ("evil", "numbers", "list", "text", "torn", "empty"):
        with pytest.raises(UsageError, match=rf"{name}\.pt holds no"):
            read_weights(f"{name}.pt", room.code)


def test_files_elsewhere_are_refused(room: Classroom, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes((room.code / "trained.pt").read_bytes())
    (room.code / "link.pt").symlink_to(tmp_path / "x.pt")
    outside = os.path.relpath(tmp_path / "x.pt", room.code)
    for path in (outside, str(tmp_path / "x.pt"), "link.pt"):
        with pytest.raises(UsageError, match="neither in the study's folder nor the export"):
            read_weights(path, room.code)
    with pytest.raises(UsageError, match=r"missing\.pt cannot be read: No such file"):
        read_weights("missing.pt", room.code)
    (room.code / "folder.pt" / EXPORTED_WEIGHTS).mkdir(parents=True)
    with pytest.raises(UsageError, match="is no plain file"):
        read_weights("folder.pt", room.code)


def test_only_the_head_learns_until_all_do(room: Classroom) -> None:
    frozen = room.changed(
        training__start="trained.pt",
        training__freeze=True,
        training__unfreeze_after=2,
        training__epochs=4,
        training__l1=0.001,
        training__clip_norm=1.0,
        optimizer=Component("adamw", {"lr": 0.01, "weight_decay": 0.1}),
    )
    pupil = frozen.pupil()
    before, run = state(pupil), fit(pupil, ACCURACY, 0)
    for epoch in range(1, 5):
        next(run) if epoch == 1 else run.send(True)  # noqa: FBT003 - a generator takes no names
        moved = {name for name, each in state(pupil).items() if not torch.equal(each, before[name])}
        assert moved == ({"3.weight", "3.bias"} if epoch <= 2 else set(before))


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_break_changes_nothing(room: Classroom, stop: int, tmp_path: Path) -> None:
    chosen = room.changed(
        training__start="trained.pt",
        training__freeze=True,
        training__unfreeze_after=2,
        training__rate_by_depth=0.5,
        training__epochs=4,
        training__average="ema",
        training__restore_best=False,
        model__dropout=0.2,
        schedule=Component("cosine"),
    )
    kept = learned(chosen.pupil(), ACCURACY)
    run = fit(chosen.pupil(), ACCURACY, 0)
    step = next(run)
    for _ in range(stop - 1):
        step = run.send(True)  # noqa: FBT003 - a generator takes no names
    torch.save(step.snapshot(), tmp_path / "past.pt")
    past = torch.load(tmp_path / "past.pt", weights_only=True)
    again = learned(chosen.pupil(), ACCURACY, past)
    assert again.metrics == kept.metrics
    assert all(torch.equal(each, again.weights[name]) for name, each in kept.weights.items())


def test_the_rate_falls_from_the_head_on(room: Classroom) -> None:
    slowed = room.changed(
        training__rate_by_depth=0.1,
        training__epochs=1,
        training__batch_size=2000,
        optimizer=Component("sgd", {"lr": 0.5}),
    )
    steady = slowed.changed(training__rate_by_depth=1.0)
    moves = []
    for each in (slowed, steady):
        pupil = each.pupil()
        before = state(pupil)
        event = next(fit(pupil, ACCURACY, 0)).event
        assert event.metrics["lr"] == 0.5
        moves.append({name: value - before[name] for name, value in state(pupil).items()})
    for name, factor in (("3.weight", 1), ("2.1.weight", 0.1), ("1.0.weight", 0.01)):
        torch.testing.assert_close(moves[0][name], factor * moves[1][name], rtol=0.01, atol=1e-7)


@pytest.mark.parametrize(
    ("model", "num_layers"),
    [
        (mlp((4,), 3, depth=2, norm="layer"), 3),
        (cnn((1, 8, 8), 3, depth=2, norm="batch"), 3),
        (tcn((3, 9), 3, depth=2), 6),
        (transformer((3, 9), 3, depth=1), 9),
    ],
)
def test_every_parameter_is_in_one_layer_and_the_head_is_the_last(
    model: nn.Module, num_layers: int
) -> None:
    layers = by_depth(model)
    assert len(layers) == num_layers
    found = [id(each) for layer in layers for each in layer]
    assert sorted(found) == sorted(map(id, model.parameters()))
    assert [tuple(each.shape) for each in layers[0]][1] == (3,)


def test_frozen_batch_norms_keep_what_they_measured() -> None:
    model = mlp((4,), 3, norm="batch", depth=1).train()
    set_learning(model, recipe(freeze=True).start, 1)
    before = {name: each.clone() for name, each in model.named_buffers()}
    model(torch.randn(9, 4))
    assert all(torch.equal(each, before[name]) for name, each in model.named_buffers())


@pytest.mark.parametrize(
    "option", [{"start": "trained.pt"}, {"freeze": True}, {"rate_by_depth": 0.5}]
)
def test_such_trials_are_alone(room: Classroom, option: dict[str, Any]) -> None:
    (name,) = option
    assert can_fuse(room.trial)
    assert not can_fuse(room.changed(**{f"training__{name}": option[name]}).trial)


def test_another_file_of_the_same_name_is_another_study(numbers: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "moved.toml", "high.npz", 'start = { choice = ["", "a.pt"] }')
    torch.save(cnn((1, 8, 8), 5).state_dict(), tmp_path / "a.pt")
    first = load_study(file)
    assert fingerprint(load_study(file)) == fingerprint(first)
    torch.save(cnn((1, 8, 8), 5).state_dict(), tmp_path / "a.pt")
    second = load_study(file)
    (line,) = difference(to_json(first), to_json(second))
    assert line.startswith("training.start: choice [")
    assert fingerprint(second) != fingerprint(first)
    old = first.training.alternatives["recipe"]["start"].choices[1]
    with pytest.raises(UsageError, match="not the file that the study began with"):
        read_weights(old, tmp_path)
    with pytest.raises(StudyError, match=r"--set training\.start: .*has changed: its sha256 is"):
        load_study(file, overrides=[f"training.start={old}"])
    with pytest.raises(StudyError, match=r"E501.*no\.pt cannot be read"):
        load_study(file, overrides=["training.start=no.pt"])


def test_check_tells_what_is_taken_over(numbers: Path) -> None:
    torch.save(cnn((1, 8, 8), 7).state_dict(), numbers / "seven.pt")
    torch.save(mlp((1, 8, 8), 5).state_dict(), numbers / "flat.pt")
    (numbers / "torn.pt").write_text("no")
    file = written(numbers / "told.toml", "high.npz", 'start = "seven.pt"')
    text = as_text(check(file))
    assert "'cnn' begins with 4 of the arrays in 'seven.pt'; as drawn stay: 4.weight is" in text
    with pytest.raises(StudyError, match=r"E501.*no layer of the file fits: it has 1\.0\.weight"):
        check(file, overrides=["training.start=flat.pt"])
    with pytest.raises(StudyError, match=r"E501.*torn\.pt holds no weights"):
        check(file, overrides=["training.start=torn.pt"])


def test_a_study_begins_with_the_export_of_another(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """From an export to a trained trial, through the study file and the worker's job."""
    whole = finished(tmp_path_factory.getbasetemp())
    (export,) = (whole / "mlruns" / "studies" / "flowers" / "exports").iterdir()
    weights = torch.load(export / EXPORTED_WEIGHTS, weights_only=True)["model"]
    width = len(weights["0.bias"])
    text = (whole / "flowers.toml").read_text().replace('"flowers"', '"moved"')
    (tmp_path / "parts.py").write_text((whole / "parts.py").read_text())
    path = os.path.relpath(export, tmp_path)
    text = text.replace("{ choice = [4, 8, 16, 32] }", str(width)).replace("lr = 0.05", "lr = 1e-9")
    text = text.replace("epochs = 2", f'epochs = 1\nstart = "{path}"').replace("grid", "random")
    moved = classroom_of(tmp_path, "moved", text, allow_code=True)
    study = load_study(tmp_path / "moved.toml", allow_code=True)
    inspected = inspect(study, StudyFolder(tmp_path / "moved"))
    assert inspected.remarks[-1].startswith("'parts.py:fragile' begins with 4 of the arrays in")
    assert "start" not in plain_training(study).options
    job = StudyFolder(tmp_path / "moved").job("a")
    write_job(job, moved.job())
    run_job(str(job.root))
    assert [type(each).__name__ for each in recorded(job)] == ["Started", "Epoch", "Finished"]
    after = torch.load(job.trial(0).weights, weights_only=True)["model"]
    for name, each in weights.items():
        torch.testing.assert_close(after[name], each, atol=1e-6, rtol=0)
    file = export / EXPORTED_WEIGHTS
    content = file.read_bytes()
    try:
        torch.save({"model": {name: each + 1 for name, each in weights.items()}}, file)
        again = StudyFolder(tmp_path / "moved").job("b")
        write_job(again, moved.job())
        run_job(str(again.root))
    finally:
        file.write_bytes(content)
    (failed,) = recorded(again)
    assert isinstance(failed, Failed)
    assert "not the file that the study began with" in failed.error
