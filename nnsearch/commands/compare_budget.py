"""What studies had found by when: best-so-far curves, and the values at equal budget. No picture.

Studies that differ in their seed only are repeats of one; together they have a curve with a band.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from nnsearch.commands.compare_records import Compared, seconds_of
from nnsearch.reports.budget_curves import Course
from nnsearch.reports.statistics import best_so_far
from nnsearch.reports.tables import duration, number, table


@dataclass(frozen=True, slots=True)
class Family:
    """Studies that differ in their seed only: one, or several repeats."""

    members: tuple[Compared, ...]

    @property
    def name(self) -> str:
        """The first one's, and how many others there are."""
        first = self.members[0].name
        return first if len(self.members) == 1 else f"{first} and {len(self.members) - 1} repeats"

    @property
    def key(self) -> Hashable:
        """Equal for families whose values compare: the same rows, split alike, one objective."""
        data = frozenset(each.record["data"] for each in self.members)
        return data, self.members[0].objective

    @property
    def courses(self) -> list[Course]:
        """The best-so-far curve of each member."""
        return [course_of(each) for each in self.members]


def families(studies: Sequence[Compared]) -> list[Family]:
    """The studies with their repeats; two of the same seed and data stay apart."""
    found: list[list[Compared]] = []
    for each in studies:
        for family in found:
            if family[0].family == each.family and all(
                other.record["study"]["seed"] != each.record["study"]["seed"] for other in family
            ):
                family.append(each)
                break
        else:
            found.append([each])
    return [Family(tuple(each)) for each in found]


def alike(studies: Sequence[Compared]) -> list[list[Family]]:
    """Families whose values compare, together."""
    groups: dict[Hashable, list[Family]] = {}
    for each in families(studies):
        groups.setdefault(each.key, []).append(each)
    return list(groups.values())


def course_of(study: Compared) -> Course:
    """The best value after each trial, in the order asked, and the seconds trained until then."""
    endings = study.ledger.in_order()
    feasible = {each.trial: each.value for each in study.ledger.feasible()}
    values = [feasible.get(each.trial) for each in endings]
    best = best_so_far(values, study.objective.direction)
    return Course(tuple(best), tuple(accumulate(map(seconds_of, endings))))


def equal_budget(group: Sequence[Family]) -> dict[str, Any]:
    """The best values after as many trials, and after as many seconds, as all of them had."""
    courses = {each.name: each.courses for each in group}
    every = [course for found in courses.values() for course in found if course.best]
    if not every:
        return {"num_trials": 0, "seconds": 0.0, "by_trials": {}, "by_seconds": {}}
    num_trials = min(len(each.best) for each in every)
    seconds = min(each.seconds[-1] for each in every)
    return {
        "num_trials": num_trials,
        "seconds": seconds,
        "by_trials": {
            name: _middle([each.after_trials(num_trials) for each in found])
            for name, found in courses.items()
        },
        "by_seconds": {
            name: _middle([each.after_seconds(seconds) for each in found])
            for name, found in courses.items()
        },
    }


def as_document(studies: Sequence[Compared]) -> list[dict[str, Any]]:
    """The curves and the equal budget of each group whose values compare, as JSON values."""
    return [
        {
            "objective": group[0].members[0].objective.key,
            "equal_budget": equal_budget(group),
            "curves": {
                each.name: {"best": list(course.best), "seconds": list(course.seconds)}
                for family in group
                for each, course in zip(family.members, family.courses, strict=True)
            },
            "families": {each.name: [one.name for one in each.members] for each in group},
        }
        for group in alike(studies)
    ]


def as_text(studies: Sequence[Compared]) -> str:
    """A table a group of more than one family; nothing where no two compare."""
    return "\n\n".join(_table(group) for group in alike(studies) if len(group) > 1)


def _table(group: Sequence[Family]) -> str:
    found = equal_budget(group)
    if not found["num_trials"]:
        return ""
    by_trials = f"after {found['num_trials']} trials"
    by_seconds = f"after {duration(found['seconds'])} of training"
    rows = [
        {
            "study": name,
            by_trials: number(found["by_trials"][name]),
            by_seconds: number(found["by_seconds"][name]),
        }
        for name in found["by_trials"]
    ]
    has_repeats = any(len(each.members) > 1 for each in group)
    told = "the median of the repeats" if has_repeats else "one seed each, so without a band"
    key = group[0].members[0].objective.key
    return f"best {key} at equal budget ({told})\n\n{table(rows)}"


def _middle(values: list[float]) -> float:
    found = [each for each in values if np.isfinite(each)]
    return float(np.median(found)) if found else float("nan")
