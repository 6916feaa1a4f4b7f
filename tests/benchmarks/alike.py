"""What sharing a shape costs the search and saves the machine: W1 at several `search.alike`.

    python tests/benchmarks/alike.py --settings 1,2,4 --seeds 10 --trials 48

For each setting the median number of trials to 97.5 % validation accuracy, the mean of the best
accuracy, the number of programs and the CPU seconds of a search, all in one process and thread.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from nnsearch.commands.opening import prepare_data
from nnsearch.events import Failed, Finished
from nnsearch.search import samplers
from nnsearch.search.asking import make_asker
from nnsearch.search.jobs import BATCHES_IN_FLIGHT
from nnsearch.search.ledger import Ledger
from nnsearch.study.folder import StudyFolder
from nnsearch.study.load import load_study
from nnsearch.study.spec import Objective, TrialSpec
from nnsearch.training.fit_many import fit_many
from nnsearch.training.fuse import plan
from nnsearch.training.group import make_group
from nnsearch.training.material import Material, gather

STUDY = Path(__file__).resolve().parent / "workloads" / "w1.toml"
OBJECTIVE = Objective("accuracy", "maximize")
TARGET = 0.975


class Outcome(NamedTuple):
    """One search: the trials that it took to the target, its best value, programs, CPU seconds."""

    num_to_target: int
    best: float
    num_programs: int
    seconds: float


def main() -> None:
    """Search with every setting and every seed; a line for each setting."""
    parser = argparse.ArgumentParser(description="W1 at several values of search.alike.")
    parser.add_argument("--settings", default="1,2,4")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=48)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sys.stdout.write("| alike | trials to 97.5 % | mean best | programs | CPU s a search |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    with TemporaryDirectory() as folder:
        material = _material(Path(folder))
        for alike in map(int, given.settings.split(",")):
            found = [one_search(material, seed, alike, given.trials) for seed in range(given.seeds)]
            sys.stdout.write(
                f"| {alike} | {median(each.num_to_target for each in found):g} "
                f"| {mean(each.best for each in found):.4f} "
                f"| {mean(each.num_programs for each in found):.1f} "
                f"| {mean(each.seconds for each in found):.1f} |\n"
            )
            sys.stdout.flush()


def one_search(material: Material, seed: int, alike: int, num_trials: int) -> Outcome:
    """A search as the driver would do it, batch after batch, with nothing written down."""
    start = time.process_time()
    study = load_study(STUDY, overrides=[f"seed={seed}", f"search.alike={alike}"])
    asker, ledger, num_programs = make_asker(study, OBJECTIVE, samplers.tpe), Ledger(), 0
    while len(ledger.specs) < num_trials:
        for batch in ledger.batches[: len(ledger.batches) - BATCHES_IN_FLIGHT + 1]:
            asker.tell(ledger, batch)
        drawn = asker.ask(ledger, min(study.search.batch, num_trials - len(ledger.specs)))
        ledger.add_batch(drawn)
        for group in plan(drawn):
            num_programs += 1
            _train(group, material, ledger)
    values = [getattr(ledger.endings[number], "value", 0.0) for number in range(num_trials)]
    hits = [number + 1 for number, value in enumerate(values) if value >= TARGET]
    reached = hits[0] if hits else num_trials + 1
    return Outcome(reached, max(values), num_programs, time.process_time() - start)


def _material(folder: Path) -> Material:
    study = load_study(STUDY)
    data = prepare_data(study, StudyFolder(folder)).folder
    drawn = make_asker(study, OBJECTIVE, samplers.random).ask(Ledger(), 1)
    return gather(drawn[0], data, folder, torch.device("cpu"))


def _train(group: Sequence[TrialSpec], material: Material, ledger: Ledger) -> None:
    key = OBJECTIVE.key
    run = fit_many(make_group(group, lambda _: material, Path()), OBJECTIVE)
    try:
        each = next(run)
        while True:
            for number, error in each.failed.items():
                ledger.take(Failed(number, 0.0, error))
            for number, kept in each.finished.items():
                value = kept.metrics[key]
                ledger.take(Finished(number, 0.0, value, kept.epoch, 0.0, kept.metrics))
            each = run.send(())
    except StopIteration:
        return


if __name__ == "__main__":
    main()
