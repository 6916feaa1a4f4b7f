"""Whether one study's chosen network is better than another's on the same test rows, in a sentence.

Where the test rows are not the same ones, or cannot be read, there is a refusal that says why.
Knows no picture and no table.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from nnsearch.commands.compare_budget import families
from nnsearch.commands.compare_records import (
    Array,
    Compared,
    groups_of_test,
    have_same_test,
    predictions_of,
)
from nnsearch.events import Finished
from nnsearch.reports.measures import measure
from nnsearch.reports.pairs import ALPHA, POWER, Paired, compare_pair, units_needed
from nnsearch.reports.statistics import holm
from nnsearch.reports.tables import number

ACCURACY = "accuracy"
# Beyond this nobody collects rows to settle a difference: it is next to none.
MOST_NEEDED = 1_000_000
# From fewer repeats nothing is said of how networks differ from seed to seed.
FEWEST_REPEATS = 3
TESTS = {"mcnemar": "McNemar's exact test", "permutation": "permutation test"}


class Spread(NamedTuple):
    """How far networks of one configuration lie apart from seed to seed, from so many repeats."""

    deviation: float
    num_repeats: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Second against first in one metric. `found` has the p-value corrected for `num_tests`.

    `needed` is how many test rows, or groups of them, in all would settle a difference of the size
    seen; `seeds` how far the two lie apart by their seeds alone, where repeats tell.
    """

    first: str
    second: str
    metric: str
    is_more_better: bool
    found: Paired
    num_tests: int = 1
    needed: int | None = None
    seeds: Spread | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is evidence of a difference."""
        return self.found.p_value < ALPHA


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no verdict on two studies."""

    first: str
    second: str
    reason: str


def judge(
    studies: Sequence[Compared], differences: dict[str, list[str]]
) -> list[Verdict | Refusal]:
    """Each study against the first; `differences` are why their validation values do not compare.

    A repeat of the first on another seed is not judged; against other studies it stands in for the
    first where it has their test rows. The p-values are corrected for there being several (Holm).
    """
    every = families(studies)
    ours, found = every[0].members, list[Verdict | Refusal]()
    for other in studies[1:]:
        if len(every) > 1 and any(other is each for each in ours):
            continue
        rivals = (each for each in ours if each is not other and have_same_test(each, other))
        first = next(rivals, studies[0])
        reason = _obstacle(first, other, differences[other.name])
        made = [] if reason else list(_verdicts(first, other))
        found += made
        if not made:
            reason = reason or f"no test is known for {_metrics(first, other)[0]}"
            found.append(Refusal(first.name, other.name, reason))
    return _corrected(found)


def sentence(each: Verdict | Refusal) -> str:
    """The verdict for a person."""
    if isinstance(each, Refusal):
        return f"no verdict on {each.second} against {each.first}: {each.reason}."
    found = each.found
    if math.isnan(found.p_value):
        return f"no verdict on {each.second} against {each.first}: {each.metric} is not finite."
    is_second = (found.value > 0) == each.is_more_better
    test = f"p = {found.p_value:.2g} ({_how(each)})"
    if not each.is_shown:
        change = f"{found.value:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"
        return (
            f"no evidence of a difference: {each.second} against {each.first}, {each.metric}"
            f" {change}, {test}; {_more(each)}."
        )
    better, worse = (each.second, each.first) if is_second else (each.first, each.second)
    ends = sorted((found.low, found.high) if found.value > 0 else (-found.low, -found.high))
    change = f"{abs(found.value):.3g} [{ends[0]:.3g}, {ends[1]:.3g}]"
    return f"{better} is better than {worse} by {change} in {each.metric}, {test}{_seeds(each)}."


def as_document(each: Verdict | Refusal) -> dict[str, Any]:
    """The same as JSON values, flat."""
    told = asdict(each)
    found, seeds = told.pop("found", {}), told.pop("seeds", None)
    is_shown = {"is_shown": each.is_shown} if isinstance(each, Verdict) else {}
    spread = {} if seeds is None else {"seed_deviation": seeds[0], "num_repeats": seeds[1]}
    return {**told, **found, **is_shown, **spread, "sentence": sentence(each)}


def seed_spread(study: Compared) -> Spread | None:
    """Of configurations that the study trained on several seeds: their pooled deviation."""
    values: dict[str, list[float]] = {}
    for ending in study.ledger.in_order():
        if isinstance(ending, Finished):
            fingerprint = study.ledger.specs[ending.trial].fingerprint
            values.setdefault(fingerprint, []).append(ending.value)
    again = () if study.confirmed is None else study.confirmed.candidates
    every = [*values.values(), *(each.values for each in again)]
    repeated = [np.asarray(each) for each in every if len(each) > 1]
    num_repeats = sum(len(each) - 1 for each in repeated)
    if num_repeats < FEWEST_REPEATS:
        return None
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in repeated)
    return Spread(float(np.sqrt(squares / num_repeats)), num_repeats)


def _obstacle(first: Compared, other: Compared, differences: Sequence[str]) -> str:
    """What keeps the two from being tested on the same rows; nothing where they can be."""
    for each in (first, other):
        if each.tested is None:
            return f"{each.name} has not looked at its test rows"
    if not have_same_test(first, other):
        # The differences themselves are told once, beside the verdicts.
        is_told = any(not each.startswith("objective: ") for each in differences)
        why = "" if is_told else "the data is gone"
        if first.family == other.family:
            why = "they are one study, so there is no evidence of a difference to be had"
        return "their test rows are not the same ones" + (f" ({why})" if why else "")
    for each in (first, other):
        if predictions_of(each, of_test=True) is None:
            assert each.best is not None  # noqa: S101 - it has been tested
            if each.folder.test_predictions(each.best.trial).exists():
                return f"an answer of {each.name} is neither one class nor one number"
            return f"the predictions of {each.name} are no longer on the disk"
    return ""


def _metrics(first: Compared, second: Compared) -> list[str]:
    """The objectives' metrics; accuracy where there is no test for any of them."""
    names = dict.fromkeys((first.objective.metric, second.objective.metric))
    known = [name for name in names if measure(name, len(first.labels)) is not None]
    return known or ([ACCURACY] if first.labels else list(names))


def _verdicts(first: Compared, second: Compared) -> Iterator[Verdict]:
    sides = [predictions_of(each, of_test=True) for each in (first, second)]
    assert sides[0] is not None  # noqa: S101 - the caller has looked
    assert sides[1] is not None  # noqa: S101 - the same
    (ours, targets), (theirs, _) = sides[0], sides[1]
    for name in _metrics(first, second):
        found = _paired(first, name, (ours, theirs), targets)
        if found is None:
            continue
        owner = first if first.objective.metric == name else second
        yield Verdict(
            first=first.name,
            second=second.name,
            metric=name,
            is_more_better=name == ACCURACY or owner.objective.direction == "maximize",
            found=found,
            seeds=_both_seeds(first, second, name),
        )


def _paired(
    study: Compared, name: str, sides: tuple[Array, Array], targets: Array
) -> Paired | None:
    chosen = measure(name, len(study.labels))
    if chosen is None:
        return None
    groups = groups_of_test(study)
    return compare_pair(
        chosen, *sides, targets, groups=groups, is_accuracy=name == ACCURACY and bool(study.labels)
    )


def _both_seeds(first: Compared, second: Compared, name: str) -> Spread | None:
    if not first.objective.metric == second.objective.metric == name:
        return None
    spreads = [seed_spread(each) for each in (first, second)]
    if spreads[0] is None or spreads[1] is None:
        return None
    deviation = math.hypot(spreads[0].deviation, spreads[1].deviation)
    return Spread(deviation, spreads[0].num_repeats + spreads[1].num_repeats)


def _corrected(found: list[Verdict | Refusal]) -> list[Verdict | Refusal]:
    verdicts = [(place, each) for place, each in enumerate(found) if isinstance(each, Verdict)]
    known = [(place, each) for place, each in verdicts if np.isfinite(each.found.p_value)]
    p_values = holm([each.found.p_value for _, each in known])
    for (place, each), p_value in zip(known, p_values, strict=True):
        found[place] = replace(
            each,
            found=replace(each.found, p_value=p_value),
            num_tests=len(known),
            needed=units_needed(each.found, num_tests=len(known)),
        )
    return found


def _how(each: Verdict) -> str:
    found = each.found
    rows = f"the same {found.num_rows} test rows"
    if found.num_units < found.num_rows:
        rows += f" in {found.num_units} groups"
    told = f"{TESTS[found.test]}, {rows}"
    if found.test == "mcnemar":
        told += f", {found.only_second} only {each.second} gets right"
        told += f" and {found.only_first} only {each.first}"
    return told + (f"; Holm's correction for {each.num_tests}" if each.num_tests > 1 else "")


def _more(each: Verdict) -> str:
    """How many more rows would settle it."""
    found, unit = each.found, "row"
    if found.num_units < found.num_rows:
        unit = "group"
    if each.needed is None:
        return "the two were equally good, and no number of rows would tell them apart"
    more = each.needed - found.num_units
    if more > MOST_NEEDED:
        return f"a difference this small would take over a million more test {unit}s"
    return (
        f"about {_rounded(max(more, 1))} more test {unit}s would settle a difference of this size"
        f" (found {POWER:.0%} of the time)"
    )


def _seeds(each: Verdict) -> str:
    """What the seeds alone may do, where repeats in both studies tell."""
    spread = each.seeds
    if spread is None or not spread.deviation:
        return ""
    wanted = float(special.ndtri(1 - ALPHA / 2))
    told = f". Two seeds alone differ by {number(spread.deviation)}"
    told += f" ({spread.num_repeats} repeats)"
    if abs(each.found.value) > wanted * spread.deviation:
        return f"{told}: retraining would hardly reverse it"
    ratio = (wanted + float(special.ndtri(POWER))) * spread.deviation / each.found.value
    return (
        f"{told}: retraining may reverse it; about {math.ceil(ratio**2)} seeds each would settle it"
    )


def _rounded(count: int) -> str:
    """A count with two digits that mean something."""
    if count < 100:  # noqa: PLR2004 - two digits
        return str(count)
    unit = 10 ** (len(str(count)) - 2)
    return f"{math.ceil(count / unit) * unit:,}"
