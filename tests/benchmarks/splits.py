"""The train and valid arrays of a workload, as nnsearch divides them, for every peer to use."""

import json
import os
from pathlib import Path

import numpy as np

from nnsearch.commands.opening import prepare_data
from nnsearch.data.prepare import open_part
from nnsearch.study.folder import StudyFolder
from nnsearch.study.load import load_study

WORKLOADS = Path(__file__).resolve().parent / "workloads"


def write_arrays(workload: str, folder: Path, seed: int = 0) -> Path:
    """The NPZ archive of x_train, y_train, x_valid and y_valid; pixels from 0 to 1, float32.

    Beside it lies how many rows train and valid have, in JSON. `seed` is the study's, which divides
    its rows.
    """
    root = os.environ.get("FASHION_MNIST")
    overrides = [f"seed={seed}"]
    overrides += [f"data.idx.data_root={root}"] if workload == "w2" and root else []
    study = load_study(WORKLOADS / f"{workload}.toml", overrides=overrides)
    prepared = prepare_data(study, StudyFolder(folder / "study"))
    train, valid = (open_part(prepared.folder, part) for part in ("train", "valid"))
    brightest = np.float32(train.inputs.max())
    target = folder / f"{workload}-{seed}.npz"
    np.savez(
        target,
        x_train=train.inputs.astype(np.float32) / brightest,
        y_train=np.asarray(train.targets).astype(np.int64),
        x_valid=valid.inputs.astype(np.float32) / brightest,
        y_valid=np.asarray(valid.targets).astype(np.int64),
    )
    rows = {"train": len(train.targets), "valid": len(valid.targets)}
    target.with_suffix(".json").write_text(json.dumps(rows))
    return target
