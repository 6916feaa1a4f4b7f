"""What is wrong with a search space, as the trials in it show. Pure; knows no study and no file.

Whether a parameter matters is asked of trials whose values were exchanged at random: of those the
importance is what chance alone gives it. A sampler that learns draws later, better trials from a
smaller part of the space, so a parameter that only moved with another may pass for one that
matters: the correlations say which.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from scipy import special

from nnsearch.events import Scalar
from nnsearch.reports.association import association
from nnsearch.reports.importance import Importance, chances, importance
from nnsearch.reports.tables import number
from nnsearch.study.spec import Choice, Direction, FloatRange, IntRange, Range

Kind = Literal["edge", "dead", "confounded", "constant", "repeats", "few"]
End = Literal["low", "high"]
ENDS: tuple[End, End] = ("low", "high")

# As near to an end of a range, as a share of it, a value hugs it: where more is better throughout,
# the best tenth of even draws fills the last tenth of the range.
EDGE = 0.1
# Which of the best trials are asked where they lie, and which share of them has to.
NUM_BEST, BEST_SHARE, MOST_OF = 5, 0.1, 0.5
# Every range has two ends, and a study ten ranges: what is rare for one end is not for all.
RARE, RARE_EDGE = 0.05, 0.01
# A parameter without evidence counts as dead where even this share of all importance is unlikely.
NEXT_TO_NOTHING = 0.25
# From here on two parameters moved together so much that their effects cannot be told apart.
TOGETHER, FEWEST_PAIRS = 0.7, 10
MANY_REPEATS = 0.1


@dataclass(frozen=True, slots=True)
class Sampled:
    """One trial: what was drawn, and its value, None where it did not complete."""

    number: int
    params: Mapping[str, Scalar]
    value: float | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is wrong, with the parameters it is about and what to do."""

    kind: Kind
    params: tuple[str, ...]
    message: str
    advice: str
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Checkup:
    """The parameters' importance with its interval, how often chance gives as much, and symptoms.

    `verdicts` says of each parameter whether it `matters`, is `dead`, or that it is `unclear`.
    """

    importance: Importance
    chances: dict[str, float]
    verdicts: dict[str, str]
    symptoms: tuple[Symptom, ...]


def examine(
    trials: Sequence[Sampled], ranges: Mapping[str, Range], direction: Direction, *, seed: int = 0
) -> Checkup:
    """Everything that the trials show of the space. The same seed gives the same answer."""
    complete = [(each.params, each.value) for each in trials if _has_value(each)]
    known = [(params, value) for params, value in complete if value is not None]
    weights = importance(known, ranges, direction, seed=seed)
    by_chance = chances(known, ranges, direction, seed=seed)
    constant = list(_constant(trials, ranges))
    verdicts = {each.name: _verdict(each.high, by_chance[each.name]) for each in weights.weights}
    # Of values that were never tried nothing is known, so that none can be called dead.
    verdicts |= dict.fromkeys((name for each in constant for name in each.params), "unclear")
    symptoms = [
        *_few(weights),
        *constant,
        *_edges(trials, ranges, direction),
        *_dead(verdicts, weights),
        *_confounded(trials, ranges),
        *_repeats(trials),
    ]
    return Checkup(weights, by_chance, verdicts, tuple(symptoms))


def _has_value(each: Sampled) -> bool:
    return each.value is not None and math.isfinite(each.value)


def _verdict(high: float, chance: float) -> str:
    if chance < RARE:
        return "matters"
    return "dead" if high < NEXT_TO_NOTHING else "unclear"


def _few(found: Importance) -> Iterator[Symptom]:
    if found.problem:
        yield Symptom("few", (), found.problem, "Run more trials before you judge the space.")


def _dead(verdicts: Mapping[str, str], found: Importance) -> Iterator[Symptom]:
    for each in found.weights:
        if verdicts[each.name] == "dead":
            told = f"at most {each.high:.0%} of all importance, and chance alone gives as much"
            yield Symptom(
                "dead",
                (each.name,),
                f"{each.name} made no difference that could be seen: {told}.",
                "Set it to one value: the search then spends its trials on the others.",
            )


def _constant(trials: Sequence[Sampled], ranges: Mapping[str, Range]) -> Iterator[Symptom]:
    for name, searched in ranges.items():
        values = [each.params[name] for each in trials if name in each.params]
        is_one = isinstance(searched, Choice) and len(searched.choices) == 1
        if len(values) > 1 and len(set(values)) == 1 and not is_one:
            yield Symptom(
                "constant",
                (name,),
                f"{name} was {number(values[0])} in all {len(values)} trials that have it.",
                "Nothing is known of its other values: run more trials.",
            )


def _edges(
    trials: Sequence[Sampled], ranges: Mapping[str, Range], direction: Direction
) -> Iterator[Symptom]:
    """Where more of the best trials lie at an end than even draws would put there."""
    sign = -1.0 if direction == "maximize" else 1.0
    complete = sorted(
        (each for each in trials if _has_value(each)),
        key=lambda each: (sign * (each.value or 0.0), each.number),
    )
    num_best = max(NUM_BEST, math.ceil(BEST_SHARE * len(complete)))
    for name, searched in ranges.items():
        steps = _steps(searched)
        if steps is None or len(complete) < 2 * NUM_BEST:
            continue
        own = [each for each in complete if name in each.params][:num_best]
        places = [_place(searched, each.params[name]) for each in own]
        share = EDGE if math.isinf(steps) else max(EDGE, 1 / steps)
        for end in ENDS:
            near = sum((each if end == "low" else 1 - each) <= share for each in places)
            is_rare = _tail(near, len(places), share) < RARE_EDGE
            if steps > 1 and near > MOST_OF * len(places) and is_rare:
                yield _edge(name, searched, end, (near, len(places)))


def _edge(name: str, searched: Range, end: End, counts: tuple[int, int]) -> Symptom:
    limit, (near, total) = _limit(searched, end), counts
    return Symptom(
        "edge",
        (name,),
        f"{name} hugs its {end} end, {number(limit)}: {near} of the {total} best trials lie there.",
        "The best value may lie beyond: widen the range.",
        end,
    )


def _limit(searched: Range, end: End) -> float:
    if isinstance(searched, Choice):
        ends = [float(each) for each in searched.choices]
        return min(ends) if end == "low" else max(ends)
    return searched.low if end == "low" else searched.high


def _steps(searched: Range) -> float | None:
    """How many values a range of numbers has; None for choices that are no numbers."""
    if isinstance(searched, Choice):
        is_numeric = all(
            isinstance(each, int | float) and not isinstance(each, bool)
            for each in searched.choices
        )
        return float(len(searched.choices)) if is_numeric else None
    if isinstance(searched, FloatRange):
        return (
            math.inf
            if searched.step is None
            else (searched.high - searched.low) / searched.step + 1
        )
    return (searched.high - searched.low) // searched.step + 1


def _place(searched: Range, value: Scalar) -> float:
    """Where a value lies among all, from 0 to 1; a step has the middle of its part."""
    if isinstance(searched, Choice):
        order = sorted(float(each) for each in searched.choices)
        return (order.index(float(value)) + 0.5) / len(order)
    low, high, at = float(searched.low), float(searched.high), float(value)
    if searched.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    share = (at - low) / (high - low) if high > low else 0.5
    if isinstance(searched, IntRange) and not searched.log:
        steps = (searched.high - searched.low) // searched.step + 1
        return (share * (steps - 1) + 0.5) / steps
    return share


def _tail(successes: int, total: int, chance: float) -> float:
    """How often so many of `total` or more happen by chance."""
    return float(special.bdtrc(successes - 1, total, chance)) if successes else 1.0


def _confounded(trials: Sequence[Sampled], ranges: Mapping[str, Range]) -> Iterator[Symptom]:
    """Pairs that moved together so that what one did cannot be told from what the other did."""
    for first, second in combinations(ranges, 2):
        both = [each.params for each in trials if first in each.params and second in each.params]
        if len(both) < FEWEST_PAIRS:
            continue
        strength = association(
            *([params[name] for params in both] for name in (first, second)),
            are_numbers=(_steps(ranges[first]) is not None, _steps(ranges[second]) is not None),
        )
        if strength >= TOGETHER:
            yield Symptom(
                "confounded",
                (first, second),
                f"{first} and {second} moved together in {len(both)} trials ({strength:.2f} of 1):"
                " their effects cannot be told apart.",
                "Set one of them and search the other, or draw some trials at random"
                ' (search.sampler = "random").',
            )


def _repeats(trials: Sequence[Sampled]) -> Iterator[Symptom]:
    counts = Counter(each.fingerprint for each in trials)
    repeats = len(trials) - len(counts)
    if repeats:
        many = repeats > MANY_REPEATS * len(trials)
        told = f"{repeats} of {len(trials)} trials repeat a configuration that was tried before"
        advice = "They show how much a seed alone does, and cost little."
        if many:
            advice = "The space is nearly used up: widen it, or search less."
        yield Symptom("repeats", (), f"{told}, on other seeds.", advice)


def summary(found: Checkup) -> list[dict[str, Any]]:
    """The parameters as rows: importance, its interval, the chance, the verdict."""
    return [
        {
            "parameter": each.name,
            "importance": each.share,
            "95 % interval": f"{each.low:.3f} to {each.high:.3f}",
            "by chance": found.chances[each.name],
            "verdict": found.verdicts[each.name],
        }
        for each in found.importance.weights
    ]
