"""Which of several points no other beats in everything: the Pareto front. Pure; knows no trial."""

from collections.abc import Sequence

from nnsearch.study.spec import Direction

Point = Sequence[float]


def front(points: Sequence[Point], directions: Sequence[Direction]) -> list[int]:
    """The places of the points that none dominates, in their order; of equal points the first.

    A point dominates another where it is nowhere worse and somewhere better.

    >>> front([(0.9, 5.0), (0.8, 1.0), (0.7, 2.0)], ["maximize", "minimize"])
    [0, 1]
    """
    signs = [-1.0 if each == "maximize" else 1.0 for each in directions]
    losses = [tuple(s * v for s, v in zip(signs, point, strict=True)) for point in points]
    kept: list[int] = []
    # In this order nothing that comes later dominates what came before it.
    for place in sorted(range(len(losses)), key=lambda each: (losses[each], each)):
        if not any(_covers(losses[each], losses[place]) for each in kept):
            kept.append(place)
    return sorted(kept)


def _covers(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(one <= other for one, other in zip(first, second, strict=True))
