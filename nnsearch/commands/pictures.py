"""What is drawn of a trial, for MLflow: read from its files, drawn by reports."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile

from nnsearch.events import Epoch
from nnsearch.study.folder import TrialFolder
from nnsearch.study.spec import Objective

# Names of arrays of images beside the predictions, as `training.evaluate` writes them.
SHOWN = "shown/"


def picture(
    labels: Sequence[str], objective: Objective, folder: TrialFolder, epochs: Sequence[Epoch]
) -> Mapping[str, bytes | str | dict[str, Any]]:
    """Every picture and table of a complete trial, by the name that its artifact gets."""
    from nnsearch.reports.pictures import pictures

    with np.load(folder.predictions) as stored:
        predictions, targets = stored["predictions"], stored["targets"]
        shown = shown_of(stored)
    return pictures(
        predictions,
        targets,
        labels,
        epochs,
        objective_key=objective.key,
        kept_epoch=_kept(epochs, objective),
        shown=shown,
    )


def shown_of(stored: NpzFile) -> dict[str, Any]:
    """What the task shows beside a trial's predictions, by its names."""
    named = [name for name in stored.files if name.startswith(SHOWN)]
    return {name.removeprefix(SHOWN): stored[name] for name in named}


def _kept(epochs: Sequence[Epoch], objective: Objective) -> int:
    best = epochs[0]
    for each in epochs[1:]:
        if objective.better(each.metrics[objective.key], best.metrics[objective.key]):
            best = each
    return best.epoch
