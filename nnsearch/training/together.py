"""The trials of a job as one program: fused. Knows not how an epoch is trained."""

import time
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnsearch.events import Ending, Epoch, Failed, Pruned
from nnsearch.models.stacked_layer import NotStackableError
from nnsearch.study.folder import read_json, write_json
from nnsearch.study.holders import is_of_the_disk
from nnsearch.study.spec import TrialSpec
from nnsearch.training import checkpoint
from nnsearch.training.account import Account, await_verdicts, barred, finish, one_line, record
from nnsearch.training.alone import started, train_alone
from nnsearch.training.fit_many import Round, fit_many
from nnsearch.training.fuse import COMPANY_COUNTS
from nnsearch.training.group import Group, Member, make_group
from nnsearch.training.jobfile import recorded
from nnsearch.training.material import MaterialOf
from nnsearch.training.memory import is_of_memory, refuse_too_large
from nnsearch.training.stopping import is_wanted, leave


@dataclass(slots=True)
class _Lesson:
    """A group under way: its members by number, and the seconds that each has cost so far.

    Of `companions` nothing is recorded: they ended before.
    """

    account: Account
    members: dict[int, Member]
    seconds: dict[int, float]
    companions: Collection[int]
    saved: float = field(default_factory=time.monotonic)


def train_together(trials: Sequence[TrialSpec], material_of: MaterialOf, account: Account) -> None:
    """Train those of the trials that have not ended as one program, and record each ending.

    Trials that have no stacked form or differ in shape are trained alone. What the memory is too
    small for trains in halves, one after the other, and trials of which one has an error train one
    by one. The folder keeps how they were divided, so that a job that goes on divides them alike.
    """
    waiting = _groups(trials, account)
    while waiting:
        smaller = _train_group(waiting.pop(0), material_of, account)
        if smaller:
            waiting = [*smaller, *waiting]
            # What was recorded of their epochs is recorded again, with the same numbers.
            numbers = [[each.number for each in group] for group in waiting]
            write_json(account.folder.groups, numbers)


def _groups(trials: Sequence[TrialSpec], account: Account) -> list[list[TrialSpec]]:
    """The trials as they were divided, or all of them."""
    by_number = {each.number: each for each in trials}
    written = read_json(account.folder.groups)
    return [[by_number[number] for number in group] for group in written or [list(by_number)]]


def _train_group(
    trials: Sequence[TrialSpec], material_of: MaterialOf, account: Account
) -> list[list[TrialSpec]]:
    """Train the trials to their ends, and nothing is returned; or the groups to divide them into.

    An error that comes again in a group of one is its trial's.
    """
    ended = account.ended()
    left = [trial for trial in trials if trial.number not in ended]
    if not left:
        return []
    past = _past(left, account)
    companions = _companions(trials, ended, past, account)
    everyone = [*left, *companions]
    lone: Sequence[TrialSpec] = ()
    smaller: list[list[TrialSpec]] = []
    try:
        refuse_too_large(everyone, material_of, account.code)
        _train(
            make_group(everyone, material_of, account.code),
            account,
            past,
            {each.number for each in companions},
        )
    except NotStackableError:
        lone = left
    except Exception as error:
        ended = account.ended()
        left = [trial for trial in left if trial.number not in ended]
        if is_of_the_disk(error) or not left:
            raise  # no trial's fault: of a disk, the study stops until there is room
        smaller = _divided(left, error, is_lone=len(everyone) == 1)
        if not smaller:
            details = traceback.format_exc()
            record(account, Failed(left[0].number, time.time(), one_line(error), details))
    # Behind the error, which holds on to all that was there when it was raised.
    for trial in lone:
        train_alone(trial, material_of, account)
    checkpoint.remove(account.folder.checkpoint)
    return smaller


def _divided(
    left: Sequence[TrialSpec], error: Exception, *, is_lone: bool
) -> list[list[TrialSpec]]:
    """The groups to train in place of one that had this error; none where its trial has failed."""
    if len(left) > 1 and is_of_memory(error):
        half = (len(left) + 1) // 2
        return [list(left[:half]), list(left[half:])]
    return [] if is_lone else [[each] for each in left]


def _past(left: Sequence[TrialSpec], account: Account) -> dict[str, Any] | None:
    """The last checkpoint of these trials; a kill may have left that of a group before them."""
    past = checkpoint.load(account.folder.checkpoint)
    numbers = set() if past is None else set(past["group"]["numbers"])
    return past if numbers & {each.number for each in left} else None


def _companions(
    trials: Sequence[TrialSpec],
    ended: Collection[int],
    past: dict[str, Any] | None,
    account: Account,
) -> list[TrialSpec]:
    """Trials that ended after the last checkpoint, and train again beside those that have not.

    Where the bits of a trial depend on its company, it gets the company that it had.
    """
    epoch = 0 if past is None else past["epoch"]
    counting = {each.number for each in trials if each.model.name in COMPANY_COUNTS} & {*ended}
    told = recorded(account.folder) if counting else ()
    later = {
        each.trial
        for each in told
        if (isinstance(each, Epoch) and each.epoch > epoch) or isinstance(each, Failed)
    }
    return [each for each in trials if each.number in counting & later]


def _train(
    group: Group, account: Account, past: dict[str, Any] | None, companions: Collection[int]
) -> None:
    members = {member.number: member for member in group.members}
    lesson = _Lesson(account, members, dict.fromkeys(members, 0.0), companions)
    first = 1 if past is None else past["epoch"] + 1
    count = sum(each.numel() for each in group.template.parameters())
    device = group.weights.values.device
    record(
        account,
        *(
            started(members[number].trial, first, device, count)
            for number in sorted(members.keys() - companions)
        ),
    )
    ended = [ending for n in sorted(members) if (ending := barred(account, n, count))]
    if ended:
        record(account, *ended)  # all of them, for they are of one shape
        return
    run = fit_many(group, account.objective, past, enough=account.enough)
    try:
        each = next(run)
        while True:
            each = run.send(_take(lesson, each))
    except StopIteration:
        return


def _take(lesson: _Lesson, taken: Round) -> set[int]:
    """Record what an epoch brought; the numbers of the trials that ended with it."""
    account = lesson.account
    for event in taken.events:
        lesson.seconds[event.trial] += event.seconds
    failed = [Failed(number, time.time(), error) for number, error in taken.failed.items()]
    told: list[Epoch | Failed] = [*taken.events, *failed]
    record(account, *(each for each in told if each.trial not in lesson.companions))
    pruned = _pruned(lesson, taken.events)
    endings: list[Ending] = [
        Pruned(
            event.trial,
            time.time(),
            event.epoch,
            event.metrics[account.objective.key],
            lesson.seconds[event.trial],
        )
        for event in taken.events
        if event.trial in pruned - {*lesson.companions}
    ]
    for number, kept in taken.finished.items():
        if number not in pruned | {*lesson.companions}:
            material, seconds = lesson.members[number].material, lesson.seconds[number]
            endings.append(finish(account, number, kept, material, seconds=seconds))
    if endings:
        record(account, *endings)
    is_last = is_wanted()  # asked once: the signal may come while this is read
    _save_if_due(lesson, taken, is_last=is_last)
    if is_last:
        leave()
    return pruned


def _pruned(lesson: _Lesson, events: Sequence[Epoch]) -> set[int]:
    epoch = events[0].epoch if events else 0
    if epoch not in lesson.account.rungs:
        return set()
    asked = {event.trial for event in events if epoch < lesson.members[event.trial].recipe.epochs}
    return await_verdicts(lesson.account.folder, asked, epoch) if asked else set()


def _save_if_due(lesson: _Lesson, taken: Round, *, is_last: bool) -> None:
    due = min(member.recipe.checkpoint_seconds for member in lesson.members.values())
    is_due = is_last or time.monotonic() - lesson.saved >= due
    if taken.events and is_due:
        checkpoint.save(lesson.account.folder.checkpoint, taken.snapshot())
        lesson.saved = time.monotonic()
