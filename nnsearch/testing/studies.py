"""What the parts of a study keep together: a trial that is trained. Knows no part in particular."""

import copy
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.commands.opening import prepare_data, study_task
from nnsearch.data.prepare import open_part
from nnsearch.errors import NnsearchError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.study.folder import StudyFolder
from nnsearch.study.load import load_study
from nnsearch.study.objective import objective as choose_objective
from nnsearch.study.space import sample
from nnsearch.study.spec import Choice, Component, Objective, Range, TrialSpec
from nnsearch.testing.conformance import ConformanceError, require, same_bits, same_tensors, stored
from nnsearch.training.fit import Kept, Pupil, fit, prepare
from nnsearch.training.fit_many import fit_many
from nnsearch.training.fuse import can_fuse
from nnsearch.training.group import make_group
from nnsearch.training.material import Material, gather

NUM_EPOCHS, NUM_ROWS = 3, 64
SEED, OTHER_SEED = 11, 12
CLOSE = 1e-6
GO_ON = True


@dataclass(frozen=True, slots=True)
class _Room:
    """A trial, the data that it may see, and the study's folder."""

    trial: TrialSpec
    data: Path
    code: Path
    objective: Objective


def check_study(path: Path, *, overrides: Sequence[str] = (), allow_code: bool = False) -> None:
    """Raise ConformanceError where a trial of the study in `path` does not train as it should.

    It has the first of each range's values, and is trained for three epochs on the CPU, in a folder
    that is removed afterwards. The test split is not even there. Interrupted after an epoch, it
    goes on from what a checkpoint holds and ends with the same bits. Other validation rows give the
    same weights. Transforms, model and decoding, exported as one, say in ONNX Runtime what they
    say in torch. And where it can share a program with others, it comes out as it does alone.
    """
    study = load_study(path, overrides=overrides, allow_code=allow_code)
    with tempfile.TemporaryDirectory() as folder:
        data = prepare_data(study, StudyFolder(Path(folder))).folder
        other = Path(folder) / "other"
        shutil.copytree(data, other)
        shutil.rmtree(other / "valid")
        (other / "test").rename(other / "valid")
        shutil.rmtree(data / "test")
        trial = _short(sample(study, _first, number=0, seed=SEED))
        objective = choose_objective(study, study_task(study, data, trial.task).directions)
        room = _Room(replace(trial, uid="conformance"), data, study.root, objective)
        pupil = _pupil(room)
        kept = _learned(pupil, objective)
        _check_resume(room, kept)
        _check_rows(room, other)
        _check_export(room, pupil, Path(folder))
        _check_company(room)


def _first(_path: str, each: Range) -> Any:
    return each.choices[0] if isinstance(each, Choice) else each.low


def _short(trial: TrialSpec) -> TrialSpec:
    """A few epochs, the last of which is kept."""
    options = trial.training.options | {"restore_best": False, "patience": 0, "epochs": NUM_EPOCHS}
    return replace(trial, training=Component(trial.training.name, options))


def _pupil(room: _Room) -> Pupil:
    material = gather(room.trial, room.data, room.code, torch.device("cpu"))
    return prepare(room.trial, material, room.code)


def _learned(pupil: Pupil, objective: Objective, past: dict[str, Any] | None = None) -> Kept:
    run = fit(pupil, objective, 0, past)
    try:
        next(run)
        while True:
            run.send(GO_ON)
    except StopIteration as stop:
        kept: Kept = stop.value
        return kept


def _check_resume(room: _Room, whole: Kept) -> None:
    run = fit(_pupil(room), room.objective, 0)
    past = stored(copy.deepcopy(next(run).snapshot()), room.trial.model.name)
    kept = _learned(_pupil(room), room.objective, past)
    is_same = same_tensors(whole.weights, kept.weights) and whole.metrics == kept.metrics
    require(is_same, room.trial.model.name, "resumed after an epoch, it ends with other weights.")


def _check_rows(room: _Room, other: Path) -> None:
    """What is fitted on train, the valid split's rows do not change.

    But for schedules that look at its loss, and what a task settles on it, which are no parameters.
    """
    trial = replace(room.trial, schedule=Component("constant"))
    found = []
    for data in (room.data, other):
        pupil = _pupil(replace(room, trial=trial, data=data))
        _learned(pupil, room.objective)
        found.append((pupil, [each.detach() for each in pupil.model.parameters()]))
    (one, first), (two, second) = found
    ours, theirs = one.material, two.material
    for what, is_same in (
        ("weights are", all(map(same_bits, first, second))),
        ("transform is", _is_same(ours.transforms, theirs.transforms)),
        ("decoding is", _is_same(ours.task.decode, theirs.task.decode)),
        ("encoding is", same_bits(ours.train_targets, theirs.train_targets)),
    ):
        require(is_same, trial.model.name, f"with other validation rows its {what} another.")


def _is_same(one: nn.Module, other: nn.Module) -> bool:
    return same_tensors(one.state_dict(), other.state_dict())


def _check_export(room: _Room, pupil: Pupil, folder: Path) -> None:
    material, valid = pupil.material, open_part(room.data, "valid")
    model: nn.Module = Predictor(material.transforms, pupil.model, material.task.decode)
    rows = np.asarray(valid.inputs[:NUM_ROWS])
    served = material.task.serve and material.task.serve(pupil.model, valid.signature)
    if served:
        model, _, rows = served
    try:
        parity(model, onnx(model, rows, folder), rows)
    except NnsearchError as error:
        raise ConformanceError(f"{room.trial.model.name}: {error}") from error


def _check_company(room: _Room) -> None:
    """In double precision, where rounding does not hide a difference."""
    if not can_fuse(room.trial):
        return
    trials = [replace(room.trial, number=n, seed=seed) for n, seed in enumerate((SEED, OTHER_SEED))]
    material = _double(gather(room.trial, room.data, room.code, torch.device("cpu")))
    together = _of_group(trials, material, room)
    for trial in trials:
        pupil = prepare(trial, material, room.code)
        pupil.model.double()
        alone = _learned(pupil, room.objective).weights
        is_close = all(
            torch.allclose(together[trial.number][name], each, rtol=CLOSE, atol=CLOSE)
            for name, each in alone.items()
        )
        require(is_close, trial.model.name, "in a program with others it comes out otherwise.")


def _of_group(
    trials: Sequence[TrialSpec], material: Material, room: _Room
) -> dict[int, dict[str, Tensor]]:
    run = fit_many(make_group(trials, lambda _: material, room.code), room.objective)
    found: dict[int, dict[str, Tensor]] = {}
    try:
        each = next(run)
        while True:
            found |= {number: kept.weights for number, kept in each.finished.items()}
            each = run.send(())
    except StopIteration:
        return found


def _double(material: Material) -> Material:
    names = ("train", "valid", "train_targets", "valid_targets")
    changes: dict[str, Any] = {name: getattr(material, name) for name in names}
    doubled = {
        name: each.double() if each.is_floating_point() else each for name, each in changes.items()
    }
    return replace(material, **doubled)
