"""One trial of a job by itself, through torch's own modules and autograd. Knows no other trial."""

import time
import traceback

import torch

from nnsearch.events import Ending, Failed, Pruned, Started
from nnsearch.study.holders import is_of_the_disk
from nnsearch.study.spec import TrialSpec
from nnsearch.training import checkpoint
from nnsearch.training.account import Account, await_verdicts, barred, finish, one_line, record
from nnsearch.training.evaluate import show
from nnsearch.training.fit import NonFiniteLossError, Pupil, fit, prepare
from nnsearch.training.material import MaterialOf
from nnsearch.training.stopping import is_wanted, leave


def train_alone(trial: TrialSpec, material_of: MaterialOf, account: Account) -> None:
    """Train the trial and record its ending; what goes wrong in it is its `Failed` event."""
    try:
        ending = _train(trial, material_of, account)
    except NonFiniteLossError as error:
        ending = Failed(trial.number, time.time(), str(error))
    except Exception as error:
        if is_of_the_disk(error):
            raise  # no trial's fault: the study stops until there is room
        ending = Failed(trial.number, time.time(), one_line(error), traceback.format_exc())
    record(account, ending)
    checkpoint.remove(account.folder.trial(trial.number).checkpoint)


def started(trial: TrialSpec, epoch: int, device: torch.device, num_parameters: int) -> Started:
    """A trial begins, or goes on, with this epoch."""
    return Started(trial.number, trial.uid, time.time(), epoch, str(device), num_parameters)


def _train(trial: TrialSpec, material_of: MaterialOf, account: Account) -> Ending:
    began = saved = time.monotonic()
    number, kept_at = trial.number, account.folder.trial(trial.number).checkpoint
    pupil = prepare(trial, material_of(trial), account.code)
    past = checkpoint.load(kept_at)
    begins = _begins(trial, pupil, 1 if past is None else len(past["losses"]) + 1)
    record(account, begins)
    if ending := barred(account, number, begins.num_parameters):
        return ending
    run = fit(pupil, account.objective, number, past, enough=account.enough)
    keep: bool | None = None
    while True:
        try:
            step = next(run) if keep is None else run.send(keep)
        except StopIteration as stop:
            seconds = time.monotonic() - began
            material, shown = pupil.material, show(pupil.model, pupil.material)
            return finish(account, number, stop.value, material, seconds=seconds, shown=shown)
        record(account, step.event)
        epoch = step.event.epoch
        is_rung = epoch in account.rungs and epoch < pupil.recipe.epochs
        keep = not (is_rung and await_verdicts(account.folder, {number}, epoch))
        if not keep:
            value = step.event.metrics[account.objective.key]
            return Pruned(number, time.time(), epoch, value, time.monotonic() - began)
        # After the verdict: what goes on from here does not ask for it again.
        is_last = is_wanted()  # asked once: the signal may come while this is read
        if is_last or time.monotonic() - saved >= pupil.recipe.checkpoint_seconds:
            checkpoint.save(kept_at, step.snapshot())
            saved = time.monotonic()
        if is_last:
            leave()


def _begins(trial: TrialSpec, pupil: Pupil, epoch: int) -> Started:
    count = sum(each.numel() for each in pupil.model.parameters())
    return started(trial, epoch, pupil.material.train.device, count)
