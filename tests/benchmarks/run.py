"""Compare nnsearch with its peers on the same work, in alternation, and print ratios of medians.

    python tests/benchmarks/run.py --workload w1 --peers nnsearch,tight,optuna --rounds 3

Every contestant is measured as a whole process, start-up included. In a round each runs once, in
the order given, so that what else happens on the machine falls on all of them. The tight loop
trains the configurations that nnsearch drew where both take part.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS, EPOCHS, TRIALS, Contestant, Work, command
from environments import PACKAGES, Environments, default_root
from measure import Cost, measured
from splits import write_arrays

LIMIT_SECONDS = 1800.0
COLUMNS = (
    *("rounds", "wall s", "spread", "CPU s", "peak MiB", "best accuracy", "GFLOP"),
    *("wall x", "CPU x", "wall a GFLOP x"),
)
Rounds = dict[str, list[Cost]]


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line asks for; 1 where a contestant failed."""
    given = _arguments(arguments)
    names = given.peers.split(",")
    environments = Environments(given.environments)
    for name in names:  # before anything is timed
        environments.python(CONTESTANTS[name].environment)
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(
            given.workload,
            write_arrays(given.workload, Path(scratch)),
            given.trials or TRIALS[given.workload],
            given.epochs or EPOCHS[given.workload],
        )
        rounds, failed = compare(names, work, environments, num_rounds=given.rounds)
    sys.stdout.write("\n".join(table(rounds, given.base, work)) + "\n")
    if given.json:
        given.json.write_text(json.dumps(as_record(rounds, work), indent=1) + "\n")
    return 1 if failed else 0


def compare(
    names: Sequence[str], work: Work, environments: Environments, *, num_rounds: int
) -> tuple[Rounds, set[str]]:
    """The costs of each contestant, a round after the other, and those that failed.

    One that fails says so on standard error and takes no further part.
    """
    rounds: Rounds = {name: [] for name in names}
    failed: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / "configurations.json"
        for index in range(num_rounds):
            for name in names:
                if name in failed:
                    continue
                folder = Path(scratch) / f"{index}-{name}"
                folder.mkdir()
                try:
                    cost = measure_once(_with_drawn(name, drawn), work, environments, folder)
                except RuntimeError as error:
                    sys.stderr.write(f"{name} failed: {error}\n")
                    failed.add(name)
                    continue
                rounds[name].append(cost)
                if name == "nnsearch":
                    drawn.write_text(json.dumps(cost.report["configurations"]))
                sys.stderr.write(
                    f"round {index + 1}: {name} {cost.wall_s:.1f} s, CPU {cost.cpu_s:.1f} s\n"
                )
    return {name: costs for name, costs in rounds.items() if costs}, failed


def measure_once(
    contestant: Contestant, work: Work, environments: Environments, folder: Path
) -> Cost:
    """One run of one contestant in an empty folder."""
    variables = {"MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    # On networks this small one thread a process is the fastest for each of them, peers included.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, **variables}
    line = command(contestant, work, environments)
    return measured(line, folder, environment, limit_seconds=LIMIT_SECONDS)


def table(rounds: Rounds, base: str, work: Work) -> list[str]:
    """The lines of a Markdown table: medians, and how many times the base's each of them is.

    `wall x` and `CPU x` are ratios of medians; `spread` is the slowest wall time over the fastest.
    The last ratio is of wall time for the same arithmetic, as every searcher draws its own trials.
    """
    lines = [
        f"{work.workload}: {work.trials} trials of {work.epochs} epochs; ratios to {base}",
        "",
        f"| | {' | '.join(COLUMNS)} |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    reference = rounds.get(base)
    for name, costs in rounds.items():
        cells = [CONTESTANTS[name].title, str(len(costs)), *_cells(costs)]
        ratios = ["", "", ""] if reference is None else _ratios(costs, reference)
        lines.append(f"| {' | '.join([*cells, *ratios])} |")
    return lines


def as_record(rounds: Rounds, work: Work) -> dict[str, Any]:
    """Everything that was measured, with versions and date, to be kept."""
    names = ("nnsearch", "torch", "optuna", "mlflow", "numpy", "scikit-learn")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version.split()[0]}",
        "versions": {name: version(name) for name in names},
        "peers": PACKAGES,
        "work": asdict(replace(work, arrays=Path())) | {"arrays": ""},
        "rounds": {name: [asdict(each) for each in costs] for name, costs in rounds.items()},
    }


def median(costs: Sequence[Cost], name: str) -> float:
    """The median of one of `Cost`'s numbers over the rounds."""
    return float(statistics.median(getattr(each, name) for each in costs))


def _cells(costs: Sequence[Cost]) -> list[str]:
    walls = [each.wall_s for each in costs]
    return [
        f"{median(costs, 'wall_s'):.1f}",
        f"{max(walls) / min(walls):.2f}",
        f"{median(costs, 'cpu_s'):.1f}",
        f"{median(costs, 'peak_mib'):.0f}",
        f"{costs[-1].report['best_valid_accuracy']:.4f}",
        f"{costs[-1].report['gflop']:.0f}",
    ]


def _ratios(costs: Sequence[Cost], reference: Sequence[Cost]) -> list[str]:
    wall = median(costs, "wall_s") / median(reference, "wall_s")
    arithmetic = costs[-1].report["gflop"] / reference[-1].report["gflop"]
    cpu = median(costs, "cpu_s") / median(reference, "cpu_s")
    return [f"{wall:.2f}", f"{cpu:.2f}", f"{wall / arithmetic:.2f}"]


def _with_drawn(name: str, drawn: Path) -> Contestant:
    contestant = CONTESTANTS[name]
    if name == "tight" and drawn.exists():
        return replace(contestant, options=(str(drawn),))
    return contestant


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare nnsearch with its peers.")
    add = parser.add_argument
    add("--workload", choices=sorted(TRIALS), default="w1")
    add("--peers", default=",".join(CONTESTANTS), help="their names, in their order")
    add("--base", default="nnsearch", help="what the ratios refer to")
    add("--rounds", type=int, default=3)
    add("--trials", type=int, default=0, help="fewer or more than the workload's own")
    add("--epochs", type=int, default=0)
    add("--environments", type=Path, default=default_root(), help="where peers are installed")
    add("--json", type=Path, default=None, help="a file for all that was measured")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.peers.split(",")) - CONTESTANTS.keys())
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}. There are {', '.join(CONTESTANTS)}.")
    return given


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
