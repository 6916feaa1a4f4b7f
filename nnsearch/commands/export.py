"""Export a trained trial as a folder that predicts without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnsearch.commands.chosen import chosen_of
from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.commands.result import tested_from_json
from nnsearch.errors import UsageError
from nnsearch.events import Finished, Tested
from nnsearch.exporting.standalone_rows import READING
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import StudyFolder, read_json
from nnsearch.study.spec import Objective

PARITY_ROWS = 256
# Their pixels are those of image files, so that a predictor can be given such files as well.
OF_IMAGE_FILES = frozenset({"images", "image_table", "hugging_face", "torchvision"})


def export(name: str, *, to: str = "onnx", trial: int | None = None, home: Path = MLRUNS) -> Path:
    """Export a study's winner, or the one asked for; the folder it now lies in.

    Raises UsageError for a study or a trial that there is not, and for a format nobody writes.
    """
    if to != "onnx":
        raise UsageError(f"unknown format '{to}'.", "There is: onnx.")
    folder = find_study_folder(name, home)
    recorded, ledger = read_json(folder.spec), read_ledger(folder)
    best = chosen_of(folder, ledger, Objective(**recorded["objective"]))
    if best is None:
        raise UsageError(f"study '{name}' has no complete trial.", "Run it first.")
    number = best.trial if trial is None else trial
    if number not in ledger.jobs:
        raise UsageError(f"study '{name}' has no trial {number}.", "`nnsearch show` lists them.")
    told = facts(
        recorded["study"], number, recorded_metrics(folder, number), recorded_look(folder, number)
    )
    job, target = folder.job(ledger.jobs[number]).root, folder.export(number)
    return Path(export_trial(str(job), number, str(target), told))


def facts(
    study: Mapping[str, Any], number: int, metrics: Mapping[str, float], tested: Tested | None
) -> dict[str, Any]:
    """What the manifest of an export says of its origin; `study` as `fingerprint.to_json` has it.

    `metrics` are those of the trial's kept epoch, of which the validation metrics are told;
    `tested` is its look at the test split, if there was one.
    `reading` is how the study's CSV file is written, so that a file of the same kind can be
    predicted, or how image files became pixels. A source of one's own may mean something else by
    these options.
    """
    task = study["task"]
    told: dict[str, Any] = {"study": study["name"], "trial": number}
    told["metrics"] = {key: each for key, each in metrics.items() if key.startswith("valid/")}
    if tested is not None:
        told["test"] = {
            "num_rows": tested.num_rows,
            "metrics": dict(tested.metrics),
            "intervals": {key: list(ends) for key, ends in tested.intervals.items()},
            "notes": list(tested.notes),
        }
    told["task"] = task["name"] if "name" in task else task["one_of"][0]
    if study["data"]["source"] == "csv":
        options = study["data"]["csv"]
        told["reading"] = {key: options[key] for key in READING if key in options}
    if study["data"]["source"] in OF_IMAGE_FILES:
        options = study["data"][study["data"]["source"]]
        how = {"fit": options.get("fit", "stretch"), "is_resized": options.get("size") is not None}
        told["reading"] = {"images": how}
    return told


def recorded_metrics(folder: StudyFolder, number: int) -> dict[str, float]:
    """The metrics of a finished trial's kept epoch."""
    ending = read_ledger(folder).endings.get(number)
    return dict(ending.metrics) if isinstance(ending, Finished) else {}


def recorded_look(folder: StudyFolder, number: int) -> Tested | None:
    """The trial's look at the test split; only trials that were once the best have one."""
    looks = map(tested_from_json, read_json(folder.looks) or [])
    return next((look for look in looks if look.trial == number), None)


def export_trial(job: str, number: int, folder: str, told: dict[str, Any]) -> str:
    """Write the export of a finished trial into `folder`; runs in a worker too.

    The rows on which torch and ONNX Runtime must agree are validation rows, filled up from the
    training split: the test split stays closed. Where a task serves something else, they are its.
    `told` are facts for the manifest.
    """
    import numpy as np
    from torch import nn

    from nnsearch.data.prepare import open_part
    from nnsearch.exporting.folder import write_export
    from nnsearch.exporting.predictor import Predictor
    from nnsearch.training.examine import rebuild

    _, parts, task = rebuild(job, number)
    splits = [open_part(parts.data, part) for part in ("valid", "train")]
    signature = splits[0].signature
    predictor: nn.Module = Predictor(parts.transforms, parts.model, parts.decode)
    rows = np.concatenate([np.asarray(each.inputs[:PARITY_ROWS]) for each in splits])[:PARITY_ROWS]
    served = task.serve(parts.model, signature) if task.serve else None
    if served is not None:
        predictor, signature, rows = served
    return str(write_export(predictor, rows, rows, signature, Path(folder), told))
