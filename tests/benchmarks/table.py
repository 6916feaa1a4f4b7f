"""The table of a comparison, in Markdown. Pure: runs nothing and reads no file."""

from collections.abc import Callable, Sequence
from statistics import median

from contestants import CONTESTANTS
from kept import Results
from measure import Cost

COLUMNS = (
    *("rounds", "wall s", "spread", "CPU s", "peak MiB", "best accuracy (from-to)", "GFLOP"),
    *("wall x", "CPU x", "wall a GFLOP x"),
)
Number = Callable[[Cost], float]


def table(results: Results, base: str) -> list[str]:
    """The lines of the table: medians over the rounds, and how many times the base's they are.

    `wall x` and `CPU x` are ratios of medians. `spread` is the slowest wall time over the fastest;
    what each seed draws is a part of it. The last ratio is of wall time for the same arithmetic, as
    every searcher draws its own trials: the median of the ratios of the rounds that both were in.
    """
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, rounds in results.items():
        cells = [CONTESTANTS[name].title, str(len(rounds)), *_cells(list(rounds.values()))]
        lines.append(f"| {' | '.join([*cells, *_ratios(rounds, results.get(base, {}))])} |")
    return lines


def _cells(costs: Sequence[Cost]) -> list[str]:
    walls = [each.wall_s for each in costs]
    best = [float(each.report["best_valid_accuracy"]) for each in costs]
    return [
        f"{median(walls):.1f}",
        f"{max(walls) / min(walls):.2f}",
        f"{median(each.cpu_s for each in costs):.1f}",
        f"{median(each.peak_mib for each in costs):.0f}",
        f"{median(best):.4f} ({min(best):.4f}-{max(best):.4f})",
        f"{median(each.report['gflop'] for each in costs):.0f}",
    ]


def _ratios(rounds: dict[int, Cost], reference: dict[int, Cost]) -> list[str]:
    if not reference:
        return ["", "", ""]
    of_medians: list[Number] = [lambda cost: cost.wall_s, lambda cost: cost.cpu_s]
    found = [
        median(map(number, rounds.values())) / median(map(number, reference.values()))
        for number in of_medians
    ]
    same_work = [_pace(cost) / _pace(reference[r]) for r, cost in rounds.items() if r in reference]
    return [f"{each:.2f}" for each in found] + [f"{median(same_work):.2f}" if same_work else ""]


def _pace(cost: Cost) -> float:
    return cost.wall_s / float(cost.report["gflop"])
