"""Literals and ranges, good and bad."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import MultipleOf

from nnsearch.components import Count, Option, Unit
from nnsearch.study.complaints import Complaints, Spot
from nnsearch.study.ranges import check_literal, check_value
from nnsearch.study.spec import Choice, FloatRange, IntRange

AT = ("model", "mlp", "width")
Kernel = Literal[3, 5, 7]
Even = Annotated[int, MultipleOf(2)]


def spot_of(annotation: Any) -> Spot:
    return Spot(AT, Option("width", annotation, 0).complaint, Complaints("x.toml"))


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Count, {"int": [1, 3]}, IntRange(1, 3)),
        (Count, {"int": [3, 3]}, IntRange(3, 3)),
        (Count, {"int": [8, 32], "log": True}, IntRange(8, 32, log=True)),
        (Count, {"int": [16, 64], "step": 16}, IntRange(16, 64, step=16)),
        (Count, {"int": [1, 2**53]}, IntRange(1, 2**53)),
        (float, {"int": [1, 3]}, IntRange(1, 3)),
        (Unit, {"float": [0, 0.5]}, FloatRange(0.0, 0.5)),
        (Unit, {"float": [1e-5, 0.1], "log": True}, FloatRange(1e-5, 0.1, log=True)),
        (Unit, {"float": [0.0, 0.3], "step": 0.1}, FloatRange(0.0, 0.3, step=0.1)),
        (float, {"float": [-2, 2], "step": 1}, FloatRange(-2.0, 2.0, step=1.0)),
        (Count, {"choice": [32, 64]}, Choice((32, 64))),
        (bool, {"choice": [True, False]}, Choice((True, False))),
        (Count, {"choice": list(range(1, 257))}, Choice(tuple(range(1, 257)))),
        (Kernel, {"int": [3, 7], "step": 2}, IntRange(3, 7, step=2)),
        (Even, {"int": [0, 2000], "step": 2}, IntRange(0, 2000, step=2)),
        (Unit, {"float": [0.0, 0.9], "step": 0.0001}, FloatRange(0.0, 0.9, step=0.0001)),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, ...], [], ()),
        (float, 1, 1),
    ],
)
def test_what_is_right_is_kept(annotation: Any, value: object, expected: object) -> None:
    spot = spot_of(annotation)
    assert check_value(value, spot) == expected
    assert not spot.complaints.found


@pytest.mark.parametrize(
    ("annotation", "value", "code"),
    [
        (Count, 0, "E201"),
        (Count, True, "E201"),
        (bool, 1, "E201"),
        (tuple[int, ...], ["1"], "E201"),
        (tuple[int, ...], [1, [2]], "E205"),
        (float, {"float": [0, 10**400]}, "E204"),
        (Count, {"int": [True, 3]}, "E301"),
        (Count, {"int": [1, 3], "log": 1}, "E301"),
        (Count, {"int": [1, 3], "step": 0.5}, "E301"),
        (Count, {"int": [1, 3], "step": "1"}, "E202"),
        (Count, {"int": [1, 3], "step": 0}, "E305"),
        (Count, {"int": [1, 3], "step": -1}, "E305"),
        (float, {"float": [0, 1], "step": 1e-300}, "E305"),
        (float, {"float": [-1.7e308, 1.7e308], "step": 1.0}, "E305"),
        (Count, {"float": [1, 3]}, "E201"),
        (Kernel, {"int": [3, 7]}, "E201"),
        (Kernel, {"int": [3, 7], "log": True}, "E201"),
        (Even, {"int": [0, 1998], "step": 3}, "E201"),
        (Count, {"choice": 3}, "E301"),
        (Count, {"choice": [1, 2], "log": True}, "E301"),
        (float, {"choice": [1, 1.0]}, "E307"),
        (float, {"choice": [1.0, float("nan")]}, "E203"),
        (Count, {"choice": [{"a": 1}]}, "E308"),
        (Count, {}, "E301"),
    ],
)
def test_what_is_wrong_is_named(annotation: Any, value: object, code: str) -> None:
    spot = spot_of(annotation)
    assert check_value(value, spot) is None
    assert {problem.code for _, problem in spot.complaints.found} == {code}


def test_each_bad_end_is_a_problem_of_its_own() -> None:
    spot = spot_of(Unit)
    check_value({"float": [-0.5, 1.0]}, spot)
    assert [str(problem) for _, problem in spot.complaints.found] == [
        (
            "x.toml: error[E201]: the lower end -0.5 of width in [model.mlp]: "
            "must be greater than or equal to 0."
        ),
        "x.toml: error[E201]: the upper end 1.0 of width in [model.mlp]: must be less than 1.",
    ]


@pytest.mark.parametrize(
    ("annotation", "value", "complaint", "hint"),
    [
        (Kernel, {"int": [3, 7]}, "value 4 in the range width", "choice = [3, 5, 7]."),
        (Kernel, {"int": [3, 7], "log": True}, "value 4 in the range", "choice = [3, 5, 7]."),
        (Literal[1, 4], {"int": [1, 4], "step": 3}, "", ""),
        (Even, {"int": [0, 12], "step": 3}, "value 3 in the range", "choice = [0, 6, 12]."),
        (Even, {"int": [0, 998]}, "value 1 in the range", "choice = [0, 2, 4, 6, 8, 10, ...]."),
        (
            Annotated[float, MultipleOf(0.5)],
            {"float": [0.0, 1.0], "step": 0.25},
            "value 0.25 in the range",
            "choice = [0.0, 0.5, 1.0].",
        ),
    ],
)
def test_a_value_between_two_good_ends_is_named(
    annotation: Any, value: object, complaint: str, hint: str
) -> None:
    spot = spot_of(annotation)
    found = check_value(value, spot)
    problems = [problem for _, problem in spot.complaints.found]
    assert len(problems) == (found is None) == bool(complaint)
    for problem in problems:
        assert complaint in problem.message
        assert problem.hint.endswith(hint)


def test_only_the_ends_of_very_many_values_are_checked() -> None:
    spot = spot_of(Even)
    assert check_value({"int": [0, 2000]}, spot) == IntRange(0, 2000)
    assert not spot.complaints.found


def test_a_range_is_no_literal() -> None:
    spot = spot_of(Count)
    assert check_literal({"int": [1, 3]}, spot) is None
    assert [problem.code for _, problem in spot.complaints.found] == ["E310"]
