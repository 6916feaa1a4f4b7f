"""The one look at the test split, and the trained predictor's parts. Trains nothing.

Nothing else in the package opens the test split.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnsearch.data.sealed import open_test
from nnsearch.errors import IntegrityError
from nnsearch.events import Finished
from nnsearch.study.folder import JobFolder, TrialFolder, sha256_of, write_whole
from nnsearch.study.spec import TrialSpec
from nnsearch.training.evaluate import forward, save_predictions
from nnsearch.training.fit import build_model
from nnsearch.training.job import read_job, recorded
from nnsearch.training.material import ROWS_AT_ONCE, gather


@dataclass(frozen=True, slots=True)
class Parts:
    """A trained trial: raw inputs go through `transforms`, `model` and `decode`, in this order."""

    transforms: nn.Module
    model: nn.Module
    decode: nn.Module
    data: Path


def look_at_test(
    job: str, number: int, target: str, record: str, *, may_reopen: bool = False
) -> dict[str, float]:
    """Predict the test split with trial `number` of the job in folder `job`.

    Writes predictions [N, P], raw targets [N] and, where there are such, groups [N] to the npz file
    `target`, and returns the task's metrics. The look stands in the file `record`. Raises
    UsageError where another trial has looked before, unless `may_reopen`.
    """
    trial, parts, task = rebuild(job, number)
    test = open_test(parts.data, Path(record), trial=trial.number, may_reopen=may_reopen)
    predictions = predict(parts, np.asarray(test.inputs))
    targets = np.asarray(test.targets)
    write_whole(
        Path(target), lambda path: save_predictions(path, predictions, targets, groups=test.groups)
    )
    metrics: dict[str, float] = task.metrics(predictions, targets)
    return metrics


def predict(parts: Parts, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Predictions [N, P], float32, on raw inputs [N, *shape]."""
    chunks = []
    with torch.no_grad():
        for start in range(0, len(inputs), ROWS_AT_ONCE):
            raw = torch.from_numpy(np.array(inputs[start : start + ROWS_AT_ONCE]))
            chunks.append(parts.decode(forward(parts.model, parts.transforms(raw))).float())
    return np.ascontiguousarray(torch.cat(chunks).numpy())


def rebuild(job: str, number: int) -> tuple[TrialSpec, Parts, Any]:
    """A finished trial's spec, its trained parts on the CPU, and its task.

    Raises IntegrityError where the stored weights are missing or not those that were recorded.
    """
    folder = JobFolder(Path(job))
    described = read_job(folder)
    trial = next(each for each in described.trials if each.number == number)
    material = gather(trial, described.data, described.code, torch.device("cpu"))
    model = build_model(trial, material, described.code)
    weights = _weights(folder, folder.trial(number), number)
    material.transforms.load_state_dict(weights["transforms"])
    model.load_state_dict(weights["model"])
    task = material.task
    parts = Parts(material.transforms, model.eval(), task.decode.eval(), described.data)
    return trial, parts, task


def _weights(folder: JobFolder, files: TrialFolder, number: int) -> dict[str, Any]:
    hashes = {each.trial: each.files for each in recorded(folder) if isinstance(each, Finished)}
    path = files.weights
    if number not in hashes or not path.exists():
        raise IntegrityError(f"trial {number} left no weights at {path}.", "Train it again.")
    if sha256_of(path) != hashes[number][path.name]:
        raise IntegrityError(f"{path} is not the file that trial {number} wrote.", "Restore it.")
    weights: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return weights
