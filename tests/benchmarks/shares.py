"""Where the CPU seconds of W1 go: training, starting and concluding, and all the rest.

    python tests/benchmarks/shares.py --rounds 3

The study runs as a whole and, in turns, with one trial of one epoch, which costs what every study
costs once: imports, the look at the test split, the export, the report. Training is what the jobs
note of their own processes. What is left is the search, the tracking, the pictures.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contestants import EPOCHS, TRIALS, WORKLOADS
from measure import measured
from splits import write_arrays

WORKLOAD = "w1"
LIMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a whole run with all its processes, and those of its jobs."""

    total: float
    training: float


def main(arguments: Sequence[str]) -> None:
    """Print the medians over the rounds."""
    parser = argparse.ArgumentParser(description="Where the CPU seconds of W1 go.")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    whole: list[Cost] = []
    bare: list[Cost] = []
    with tempfile.TemporaryDirectory() as scratch:
        arrays = write_arrays(WORKLOAD, Path(scratch))
        for number in range(given.rounds):
            place = Path(scratch) / str(number)
            whole.append(cost(arrays, place / "whole", TRIALS[WORKLOAD], EPOCHS[WORKLOAD]))
            bare.append(cost(arrays, place / "bare", 1, 1))
    sys.stdout.write(json.dumps(shares(whole, bare), indent=1) + "\n")


def shares(whole: Sequence[Cost], bare: Sequence[Cost]) -> dict[str, float]:
    """Medians in seconds, and the rest's share of the total."""
    total = statistics.median(each.total for each in whole)
    training = statistics.median(each.training for each in whole)
    once = statistics.median(each.total - each.training for each in bare)
    rest = total - training - once
    return {
        "total_s": round(total, 2),
        "training_s": round(training, 2),
        "once_a_study_s": round(once, 2),
        "rest_s": round(rest, 2),
        "rest_share": round(rest / total, 3),
        "rest_share_without_once": round(rest / (rest + training), 3),
    }


def cost(arrays: Path, folder: Path, trials: int, epochs: int) -> Cost:
    """Run the workload's study in a new folder."""
    folder.mkdir(parents=True)
    script = str(WORKLOADS / "nnsearch_study.py")
    line = [sys.executable, script, WORKLOAD, str(arrays), str(trials), str(epochs)]
    found = measured(line, folder, os.environ, limit_seconds=LIMIT_SECONDS)
    notes = (folder / "mlruns" / "studies" / WORKLOAD / "jobs").glob("*/cost.jsonl")
    lines = [json.loads(text) for each in notes for text in each.read_text().splitlines()]
    return Cost(found.cpu_s, sum(each["cpu_seconds"] for each in lines))


if __name__ == "__main__":
    main(sys.argv[1:])
