"""Ranges that grow at one end, as far as an option lets them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch import components
from nnsearch.study.spec import Choice, FloatRange, IntRange, Range
from nnsearch.study.widen import End, widened


def anything(_: object) -> str:
    return ""


def option(kind: str, name: str, key: str) -> components.Option:
    return components.options(components.load(kind, name))[key]


@pytest.mark.parametrize(
    ("searched", "end", "expected"),
    [
        (FloatRange(0.2, 0.4), "high", FloatRange(0.2, 0.5)),
        (FloatRange(0.2, 0.4), "low", FloatRange(0.1, 0.4)),
        (FloatRange(1e-4, 1e-2, log=True), "high", FloatRange(1e-4, 0.1, log=True)),
        (FloatRange(1e-4, 1e-2, log=True), "low", FloatRange(1e-5, 1e-2, log=True)),
        (FloatRange(0.0, 1.0, step=0.25), "high", FloatRange(0.0, 1.5, step=0.25)),
        (IntRange(1, 3), "high", IntRange(1, 4)),
        (IntRange(8, 32, log=True), "high", IntRange(8, 60, log=True)),
        (IntRange(4, 64, step=4), "high", IntRange(4, 96, step=4)),
        (Choice((32, 64, 128)), "high", Choice((32, 64, 128, 256))),
        (Choice((32, 64, 128)), "low", Choice((16, 32, 64, 128))),
        (Choice((0.1, 0.2, 0.3)), "high", Choice((0.1, 0.2, 0.3, 0.4))),
        (Choice(("relu", "tanh")), "high", None),
        (Choice((True, False)), "high", None),
        (Choice((7,)), "high", None),
    ],
)
def test_half_a_width_or_one_choice_more(searched: Range, end: End, expected: Range) -> None:
    assert widened(searched, end, anything) == expected


def test_what_an_option_does_not_take_is_not_tried() -> None:
    dropout = option("models", "mlp", "dropout").complaint
    assert widened(FloatRange(0.0, 0.5), "low", dropout) is None
    assert widened(FloatRange(0.0, 0.5), "high", dropout) == FloatRange(0.0, 0.75)
    assert widened(FloatRange(0.0, 0.9), "high", dropout) == FloatRange(0.0, 0.956)
    depth = option("models", "mlp", "depth").complaint
    assert widened(IntRange(1, 3), "low", depth) is None
    assert widened(IntRange(1, 8, log=True), "low", depth) is None


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.sampled_from(["low", "high"]))
def test_the_old_range_is_always_inside(low: float, width: float, end: End) -> None:
    searched = FloatRange(low, low + width)
    found = widened(searched, end, anything)
    assert isinstance(found, FloatRange)
    assert found.low <= searched.low < searched.high <= found.high
    assert found != searched
