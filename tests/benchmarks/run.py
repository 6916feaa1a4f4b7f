"""Compare nnsearch with its peers on the same work, in alternation, and print ratios of medians.

    python tests/benchmarks/run.py --workload w1 --peers nnsearch,tight,optuna --rounds 3
    python tests/benchmarks/run.py --workload w2 --same --keep w2.jsonl

Every contestant is measured as a whole process, start-up included. In a round each runs once, in
the order given, so that what else happens on the machine falls on all of them. Round r searches
from seed r, whoever does, on the division of the rows that nnsearch makes from it. The tight loop
trains the configurations that nnsearch drew in its round; with `--same` all others do too.

With `--keep` a run is written down as it ends and not repeated: the same command goes on where it
stopped, and with `--rounds 0` it only prints the table of all rounds kept. Take a new file when
nnsearch was changed: its version need not tell.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contestants import CONTESTANTS, EPOCHS, TRIALS, Contestant, Work, command
from environments import Environments, default_root
from kept import Book, about
from measure import Cost, measured
from splits import write_arrays
from table import table

LIMIT_SECONDS = 1800.0


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line asks for; 1 where a contestant failed."""
    given = _arguments(arguments)
    names = given.peers.split(",")
    work = Work(
        given.workload,
        given.trials or TRIALS[given.workload],
        given.epochs or EPOCHS[given.workload],
        is_same=given.same,
    )
    what = about(workload=work.workload, trials=work.trials, epochs=work.epochs, same=work.is_same)
    environments = Environments(given.environments)
    failed: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        book = Book(given.keep or Path(scratch) / "kept.jsonl", what)
        if given.rounds:
            for name in names:  # before anything is timed
                environments.python(CONTESTANTS[name].environment)
        for seed in range(given.first_seed, given.first_seed + given.rounds):
            left = [name for name in names if name not in failed]
            failed |= play(left, replace(work, seed=seed), environments, book)
        results = book.results()
    listed = {name: results[name] for name in names if name in results}
    sys.stdout.write("\n".join([heading(work, given.base), "", *table(listed, given.base)]) + "\n")
    return 1 if failed else 0


def play(names: Sequence[str], work: Work, environments: Environments, book: Book) -> set[str]:
    """One round of those that the book lacks; the names of those that failed, which it says."""
    failed: set[str] = set()
    done = book.results()
    missing = [name for name in names if work.seed not in done.get(name, {})]
    if not missing:
        return failed
    with tempfile.TemporaryDirectory() as scratch:
        arrays = write_arrays(work.workload, Path(scratch), work.seed)
        for name in missing:
            folder = Path(scratch) / name
            folder.mkdir()
            ours = book.results().get("nnsearch", {}).get(work.seed)
            try:
                amount = _with_given(name, replace(work, arrays=arrays), ours, folder)
                cost = measure_once(CONTESTANTS[name], amount, environments, folder)
            except RuntimeError as error:
                sys.stderr.write(f"{name} failed: {error}\n")
                failed.add(name)
                continue
            book.add(name, work.seed, cost)
            told = f"{name} {cost.wall_s:.1f} s, CPU {cost.cpu_s:.1f} s"
            sys.stderr.write(f"seed {work.seed}: {told}\n")
    return failed


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


def heading(work: Work, base: str) -> str:
    """The line above the table."""
    amount = f"{work.workload}: {work.trials} trials of {work.epochs} epochs"
    same = "; all train nnsearch's configurations" if work.is_same else ""
    return f"{amount}, each round on a seed of its own{same}; ratios to {base}"


def _with_given(name: str, work: Work, ours: Cost | None, folder: Path) -> Work:
    """The work with nnsearch's configurations of the round, for whoever shall not draw."""
    is_drawing = not work.is_same and (name != "tight" or ours is None)
    if is_drawing or CONTESTANTS[name].script == CONTESTANTS["nnsearch"].script:
        return work
    if ours is None:
        message = f"there is no run of nnsearch with seed {work.seed} whose trials it could train."
        raise RuntimeError(message)
    given = folder / "given.json"
    given.write_text(json.dumps(ours.report["configurations"]))
    return replace(work, given=given)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare nnsearch with its peers.")
    add = parser.add_argument
    add("--workload", choices=sorted(TRIALS), default="w1")
    add("--peers", default=",".join(CONTESTANTS), help="their names, in their order")
    add("--base", default="nnsearch", help="what the ratios refer to")
    add("--rounds", type=int, default=3)
    add("--first-seed", type=int, default=0, help="that of the first round")
    add("--same", action="store_true", help="all train the configurations that nnsearch drew")
    add("--trials", type=int, default=0, help="fewer or more than the workload's own")
    add("--epochs", type=int, default=0)
    add("--environments", type=Path, default=default_root(), help="where peers are installed")
    add("--keep", type=Path, default=None, help="a file that runs are written to and read from")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.peers.split(",")) - CONTESTANTS.keys())
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}. There are {', '.join(CONTESTANTS)}.")
    return given


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
