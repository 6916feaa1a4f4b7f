"""What tests of training share: a prepared study and a trial of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nnsearch.commands.opening import prepare_data
from nnsearch.study.folder import StudyFolder
from nnsearch.study.load import load_study
from nnsearch.study.space import sample
from nnsearch.study.spec import Component, Objective, TrialSpec
from nnsearch.training.fit import Kept, Pupil, fit, prepare
from nnsearch.training.job import Job
from nnsearch.training.material import gather

ACCURACY = Objective("accuracy", "maximize")
LOSS = Objective("loss", "minimize")


@dataclass(frozen=True)
class Classroom:
    """Prepared data and one trial on it."""

    trial: TrialSpec
    data: Path
    code: Path

    def changed(self, **options: Any) -> "Classroom":
        """The same with other options: `training__epochs=3`, `model="linear"`."""
        trial = self.trial
        for key, value in options.items():
            part, _, option = key.partition("__")
            old = getattr(trial, part)
            new = Component(old.name, old.options | {option: value}) if option else value
            changes: dict[str, Any] = {part: new}
            trial = replace(trial, **changes)
        return Classroom(trial, self.data, self.code)

    def pupil(self) -> Pupil:
        """The trial, ready to be trained."""
        device = torch.device("cpu")
        material = gather(self.trial, self.data, self.code, device)
        return prepare(self.trial, material, self.code)

    def job(self, **fields: Any) -> Job:
        """A job of this trial alone."""
        given: dict[str, Any] = {"objective": ACCURACY} | fields
        return Job((self.trial,), self.data, self.code, **given)


def learned(pupil: Pupil, objective: Objective, past: dict[str, Any] | None = None) -> Kept:
    """What is kept of a trial that is trained to its end, from its start or from a snapshot."""
    run = fit(pupil, objective, 0, past)
    next(run)
    while True:
        try:
            run.send(True)  # noqa: FBT003 - a generator takes no names
        except StopIteration as stop:
            kept: Kept = stop.value
            return kept


def classroom(folder: Path, source: str = "digits", task: str = "classification") -> Classroom:
    """A small MLP on one of scikit-learn's sets."""
    return classroom_of(
        folder,
        source,
        f'[data]\nsource = "{source}"\n[task]\nname = "{task}"\n[model]\nname = "mlp"\nwidth = 16\n'
        '[optimizer]\nname = "adam"\nlr = 0.01\n[training]\nepochs = 6\n[search]\ntrials = 1\n',
    )


def classroom_of(folder: Path, name: str, text: str, *, allow_code: bool = False) -> Classroom:
    """The first trial of a study file's text, on its prepared data."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    study = load_study(path, allow_code=allow_code)
    prepared = prepare_data(study, StudyFolder(folder / name))
    trial = sample(study, lambda *_: 0, number=0, seed=11)
    return Classroom(replace(trial, uid="abc"), prepared.folder, folder)
