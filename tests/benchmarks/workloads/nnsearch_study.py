"""nnsearch on a workload's own study file: everything on that a person gets by `nnsearch run`.

It is the command that runs, as a person types it. The data that is prepared for the others only
says how much arithmetic there was: the study reads and divides its source itself. Options are
settings of the study, as for `--set`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from task import Configuration, task_from, tell

HOME = Path("mlruns")


def main() -> None:
    """Run the study in the working folder and tell what it came to."""
    task = task_from(sys.argv[1:])
    began = time.perf_counter()
    study = Path(__file__).resolve().with_name(f"{task.workload}.toml")
    settings = [f"seed={task.seed}", f"training.epochs={task.epochs}", *task.options]
    if task.workload == "w2" and "FASHION_MNIST" in os.environ:
        settings.append(f"data.idx.data_root={os.environ['FASHION_MNIST']}")
    line = [sys.executable, "-m", "nnsearch", "run", str(study), "--trials", str(task.trials)]
    line += ["--mlruns", str(HOME), *(part for each in settings for part in ("--set", each))]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    folder = HOME / "studies" / task.workload
    best = json.loads((folder / "result.json").read_text())["conclusion"]["best"]["value"]
    tell(task, list(configurations(folder)), best, began)


def configurations(folder: Path) -> Iterator[Configuration]:
    """What was drawn, under the names that the peers use."""
    for line in (folder / "trials.jsonl").read_text().splitlines():
        for trial in json.loads(line):
            params = {key.partition(".")[2]: value for key, value in trial["params"].items()}
            yield {"optimizer": params.pop("name"), **params}


if __name__ == "__main__":
    main()
