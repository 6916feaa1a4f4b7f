"""Where the CPU seconds of a workload go: training, starting and concluding, and all the rest.

    python tests/benchmarks/shares.py --rounds 3
    python tests/benchmarks/shares.py --workload w2 --rounds 1

The study runs as a whole and, in turns, with one trial of one epoch, which costs what every study
costs once: imports, the look at the test split, the export, the report. Training is what the jobs
note of their own processes, validation, metrics and files included. What is left is the search, the
tracking, the pictures. Training's useful arithmetic a second is set against one core's fastest
matrix product, as matmul.py measures it at the end.
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

import matmul
from contestants import EPOCHS, TRIALS, WORKLOADS
from measure import measured
from splits import write_arrays
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

LIMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a whole run with all its processes, and those of its jobs; useful GFLOP."""

    total: float
    training: float
    gflop: float


def main(arguments: Sequence[str]) -> None:
    """Print the medians over the rounds."""
    parser = argparse.ArgumentParser(description="Where the CPU seconds of a workload go.")
    parser.add_argument("--workload", choices=sorted(TRIALS), default="w1")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    workload: str = given.workload
    whole: list[Cost] = []
    bare: list[Cost] = []
    with tempfile.TemporaryDirectory() as scratch:
        arrays = write_arrays(workload, Path(scratch))
        amount = (TRIALS[workload], EPOCHS[workload])
        for number in range(given.rounds):
            place = Path(scratch) / str(number)
            whole.append(cost(workload, arrays, place / "whole", amount))
            bare.append(cost(workload, arrays, place / "bare", (1, 1)))
    with threadpool_limits(1):
        rate = max(matmul.measure(matmul.SECONDS).values())
    sys.stdout.write(json.dumps(shares(whole, bare) | reached(whole, rate), indent=1) + "\n")


def reached(whole: Sequence[Cost], rate: float) -> dict[str, float]:
    """GFLOP/s a core while training, the median, and what share of `rate` that is."""
    training = statistics.median(each.gflop / each.training for each in whole)
    return {
        "training_gflop_s": round(training, 1),
        "product_gflop_s": round(rate, 1),
        "of_the_product": round(training / rate, 3),
    }


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


def cost(workload: str, arrays: Path, folder: Path, amount: tuple[int, int]) -> Cost:
    """Run the workload's study in a new folder, with so many trials and epochs."""
    folder.mkdir(parents=True)
    script = str(WORKLOADS / "nnsearch_study.py")
    line = [sys.executable, script, workload, str(arrays), *map(str, amount)]
    found = measured(line, folder, os.environ, limit_seconds=LIMIT_SECONDS)
    notes = (folder / "mlruns" / "studies" / workload / "jobs").glob("*/cost.jsonl")
    lines = [json.loads(text) for each in notes for text in each.read_text().splitlines()]
    training = sum(each["cpu_seconds"] for each in lines)
    return Cost(found.cpu_s, training, found.report["gflop"])


if __name__ == "__main__":
    main(sys.argv[1:])
