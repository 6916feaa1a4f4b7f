"""Seconds and trials until digits reach 97.5 % validation accuracy: nnsearch against Optuna's TPE.

    python tests/benchmarks/target.py --seeds 10

The rival asks Optuna's TPE for one trial after the other and trains it with the tight loop, with
nothing tracked. Both search W1's space from the same seeds and on the same division of
the rows, each as a whole process, in turns.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contestants import EPOCHS, WORKLOADS
from measure import measured
from splits import write_arrays

TARGET = 0.975
MOST_TRIALS = 96
LIMIT_SECONDS = 1800.0


def main(arguments: Sequence[str]) -> None:
    """Print both's medians over the seeds, and their ratio."""
    parser = argparse.ArgumentParser(description="Time to a validation accuracy.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--target", type=float, default=TARGET)
    parser.add_argument("--trials", type=int, default=MOST_TRIALS, help="give up after")
    parser.add_argument("--pruner", default="median", help="nnsearch's")
    given = parser.parse_args(arguments)
    runs: dict[str, list[dict[str, Any]]] = {"nnsearch": [], "tpe": []}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(given.seeds):
            arrays = write_arrays("w1", Path(scratch), seed)
            amount = ["w1", str(arrays), str(given.trials), str(EPOCHS["w1"])]
            options = {
                "nnsearch": [f"search.target={given.target}", f"search.pruner={given.pruner}"],
                "tpe": [str(given.target)],
            }
            scripts = {"nnsearch": "nnsearch_study.py", "tpe": "tpe_to_target.py"}
            for name, script in scripts.items():
                folder = Path(scratch) / f"{seed}-{name}"
                folder.mkdir()
                line = [sys.executable, str(WORKLOADS / script), "--seed", str(seed)]
                line += [*amount, *options[name]]
                runs[name].append(_once(line, folder, given.target))
                sys.stderr.write(f"seed {seed}: {name} {runs[name][-1]}\n")
    sys.stdout.write(json.dumps(summary(runs), indent=1) + "\n")


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the seeds; a seed that never got there counts with all it spent."""
    told: dict[str, Any] = {
        name: {
            "wall_s": round(statistics.median(each["wall_s"] for each in of), 1),
            "cpu_s": round(statistics.median(each["cpu_s"] for each in of), 1),
            "trials": statistics.median(each["trials"] for each in of),
            "reached": f"{sum(each['reached'] for each in of)} of {len(of)}",
        }
        for name, of in runs.items()
    }
    told["times_faster"] = round(told["tpe"]["wall_s"] / told["nnsearch"]["wall_s"], 2)
    return told


def _once(line: Sequence[str], folder: Path, target: float) -> dict[str, Any]:
    cost = measured(line, folder, os.environ, limit_seconds=LIMIT_SECONDS)
    return {
        "wall_s": round(cost.wall_s, 2),
        "cpu_s": round(cost.cpu_s, 2),
        "trials": cost.report["trials"],
        "reached": cost.report["best_valid_accuracy"] >= round(target, 4),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
