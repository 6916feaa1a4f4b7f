"""Which trials share a program. Pure: trials in, groups of trials out.

Two trials go together where their networks have the same shape: they may differ in rates, dropout,
penalties, limits, label smoothing, optimizer, schedule, averaging, patience and number of epochs.
Knows no torch: whether a network has a stacked form is seen when it is built.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nnsearch import components
from nnsearch.study.spec import TrialSpec, digest
from nnsearch.training.recipe import ALONE

# How many trials of a shape pay in one program on a CPU; tests/benchmarks/README.md has the
# measurements. More than two CNNs gain little more, and would keep other workers waiting.
MOST = {"linear": 16, "mlp": 16, "cnn": 2}

# The same where a study says `device = "cuda"`: until the memory is full, which divides a group.
# Nobody has measured it yet. What `device = "auto"` will find there, a plan cannot know.
MOST_ON_A_GPU = 256

# Models whose last bits depend on how many train together: convolutions are computed otherwise.
COMPANY_COUNTS = frozenset({"cnn"})

# Models that are drawn in rows of one shape. CNNs go together where they happen to be of one: their
# trials are few, and more shapes tried are worth more than the tenth that company saves.
DRAWN_ALIKE = frozenset({"linear", "mlp"})

# Optimizers of ours without a stacked form.
UNSTACKED = frozenset({"muon"})

# Of [training], what all trials of a program have in common.
SHARED = ("batch_size", "accumulate", "precision", "device")


def plan(trials: Sequence[TrialSpec]) -> list[list[TrialSpec]]:
    """The jobs of a batch: groups of trials of one shape, in the order of their first trials."""
    groups: dict[str, list[TrialSpec]] = {}
    jobs: list[list[TrialSpec]] = []
    for trial in trials:
        key = shape_of(trial)
        group = groups.get(key)
        if not key or group is None or len(group) >= _most(trial):
            group = groups[key] = []
            jobs.append(group)
        group.append(trial)
    return jobs


def spread(groups: Sequence[list[TrialSpec]], num_jobs: int) -> list[list[TrialSpec]]:
    """The same groups, the largest halved until there are so many, or none is left to halve.

    Those stay whole whose results depend, in their last bits, on the company: what a study finds
    does not depend on how many workers it has.
    """
    jobs = list(groups)
    while len(jobs) < num_jobs:
        halved = [job for job in jobs if len(job) > 1 and job[0].model.name not in COMPANY_COUNTS]
        if not halved:
            break
        largest = max(halved, key=len)
        place, middle = jobs.index(largest), (len(largest) + 1) // 2
        jobs[place : place + 1] = [largest[:middle], largest[middle:]]
    return jobs


def shape_params(trial: TrialSpec) -> dict[str, Any]:
    """Those of the trial's searched values that settle its shape; none where shapes stay free.

    A trial that is drawn with the same ones shares its program.
    """
    if not can_fuse(trial) or trial.model.name not in DRAWN_ALIKE:
        return {}
    return {path: value for path, value in trial.params.items() if _is_of_shape(path, value)}


def can_fuse(trial: TrialSpec) -> bool:
    """Whether the trial may share a program with others, or be one by itself."""
    parts = {"optimizers": trial.optimizer, "tasks": trial.task}
    are_ours = all(part.name in components.BUILTINS[kind] for kind, part in parts.items())
    options = trial.training.options
    is_plain = all(options.get(name, neutral) == neutral for name, neutral in ALONE.items())
    is_stacked = trial.optimizer.name not in UNSTACKED
    return trial.model.name in MOST and are_ours and is_stacked and is_plain


def shape_of(trial: TrialSpec) -> str:
    """Equal for trials that can share a program; empty for one that is trained alone.

    An option of a model that is a real number, such as a rate, is taken to leave the shape as it
    is; if it does not, the group is found out when it is built and its trials are trained alone.
    """
    if not can_fuse(trial):
        return ""
    structure = {
        name: value for name, value in trial.model.options.items() if not isinstance(value, float)
    }
    shared = {name: trial.training.options.get(name) for name in SHARED}
    transforms = [asdict(each) for each in trial.transforms]
    # Those that train on other rows cannot share arrays, whatever else they share.
    task = [trial.task.name, trial.task.options.get("resample", "none")]
    return digest([trial.model.name, structure, task, transforms, shared])


def _most(trial: TrialSpec) -> int:
    is_on_gpu = trial.training.options.get("device") == "cuda"
    return MOST_ON_A_GPU if is_on_gpu else MOST[trial.model.name]


def _is_of_shape(path: str, value: object) -> bool:
    if path.startswith("model."):
        return not isinstance(value, float)
    is_shared = path.removeprefix("training.") in SHARED
    return path.startswith("data.") or path == "task.resample" or is_shared
