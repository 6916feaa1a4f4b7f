"""Studies that were repeated on several seeds, against others on the same seeds. Draws nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nnsearch.commands.compare_budget import Family
from nnsearch.commands.compare_records import Compared, have_same_test
from nnsearch.reports.pairs import ALPHA, POWER
from nnsearch.reports.seeds import OverSeeds, over_seeds


@dataclass(frozen=True, slots=True)
class Repeated:
    """The second family against the first in the test values of the seeds that both have."""

    first: str
    second: str
    metric: str
    is_more_better: bool
    found: OverSeeds


def judge_families(found: Sequence[Family]) -> Iterator[Repeated]:
    """Each family against the first, where two seeds or more have both, on the same test rows."""
    first = found[0]
    for other in found[1:]:
        objective = first.members[0].objective
        if other.members[0].objective != objective:
            continue
        pairs = [
            (values[0], values[1])
            for one in first.members
            for two in other.members
            if have_same_test(one, two) and (values := _values(one, two)) is not None
        ]
        if len(pairs) > 1:
            rows = first.members[0].record["num_rows"]
            told = over_seeds([two - one for one, two in pairs], rows["test"] / rows["train"])
            is_more_better = objective.direction == "maximize"
            yield Repeated(first.name, other.name, objective.metric, is_more_better, told)


def _values(one: Compared, two: Compared) -> tuple[float, float] | None:
    """Both studies' test values of the objective, where both have one."""
    metric = one.objective.metric
    found = [each.tested.metrics.get(metric) for each in (one, two) if each.tested is not None]
    if len(found) < 2 or found[0] is None or found[1] is None:  # noqa: PLR2004 - both
        return None
    return found[0], found[1]


def sentence(each: Repeated) -> str:
    """The verdict for a person."""
    found = each.found
    how = f"corrected t-test over {found.num_seeds} seeds, each with its own division of the rows"
    if not found.p_value < ALPHA:
        change = f"{found.value:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"
        return (
            f"no evidence of a difference over seeds: {each.second} against {each.first},"
            f" {each.metric} {change}, p = {found.p_value:.2g} ({how}); {_more(found)}."
        )
    is_second = (found.value > 0) == each.is_more_better
    better, worse = (each.second, each.first) if is_second else (each.first, each.second)
    low, high = sorted(abs(end) for end in (found.low, found.high))
    change = f"{abs(found.value):.3g} [{low:.3g}, {high:.3g}]"
    return (
        f"over seeds {better} is better than {worse} by {change} in {each.metric},"
        f" p = {found.p_value:.2g} ({how})."
    )


def as_document(each: Repeated) -> dict[str, Any]:
    """The same as JSON values, flat."""
    told = asdict(each)
    return {**told, **told.pop("found"), "sentence": sentence(each)}


def _more(found: OverSeeds) -> str:
    if not found.value:
        return "the two came to the same, and no number of seeds would tell them apart"
    if found.needed is None:
        return "no number of seeds on these rows would settle a difference of this size"
    more = max(1, found.needed - found.num_seeds)
    return (
        f"about {more} more seeds would settle a difference of this size"
        f" (found {POWER:.0%} of the time)"
    )
