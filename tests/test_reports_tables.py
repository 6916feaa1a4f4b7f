"""Text tables: aligned, within their width, and true to what they are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.reports.tables import (
    WIDTH,
    BestTrial,
    comparison,
    duration,
    number,
    table,
    with_interval,
)


def trial(study: str, value: float, **fields: object) -> BestTrial:
    known: dict[str, object] = {"trial": 1, "metric": "accuracy", "direction": "maximize"}
    return BestTrial(study=study, value=value, **(known | fields))  # type: ignore[arg-type]


def test_table_aligns_numbers_right_and_text_left() -> None:
    rows = [{"name": "mlp", "accuracy": 0.9}, {"name": "a cnn", "accuracy": 12}]
    assert table(rows) == ("name   accuracy\n-----  --------\nmlp       0.900\na cnn        12")


def test_table_takes_columns_headings_and_gaps() -> None:
    rows: list[dict[str, object]] = [{"b": 1, "a": True}, {"a": None}]
    assert table(rows, ["a"]) == "a\n---\nyes\n"
    assert table(rows, {"b": "count"}) == "count\n-----\n    1\n"
    assert table([], ["a", "b"]) == "a  b\n-  -"
    assert table([]) == ""


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abcdefghijklmnop"),
            st.one_of(st.text(max_size=150), st.floats(), st.integers(), st.none()),
        ),
        max_size=6,
    )
)
def test_no_line_is_longer_than_the_width(rows: list[dict[str, object]]) -> None:
    for line in table(rows).split("\n"):
        assert len(line) <= WIDTH
        assert line.isprintable()


def test_what_is_too_wide_is_cut_and_said() -> None:
    lines = table([{"name": "x" * 200, "n": 1}], width=30).splitlines()
    assert lines[-1] == "x" * 26 + "…" + "  1"


def test_columns_that_do_not_fit_follow_below_under_the_first() -> None:
    rows = [{"name": "one", **{f"column {each}": "y" * 20 for each in range(6)}}]
    blocks = table(rows).split("\n\n")
    assert len(blocks) == 2
    assert all(block.startswith("name") and "\none " in block for block in blocks)
    assert sum(block.count("y" * 20) for block in blocks) == 6


def test_wide_letters_take_two_columns() -> None:
    first, second = table([{"a": "中文", "b": "x"}, {"a": "abcd", "b": "x"}]).splitlines()[2:]
    assert (first, second) == ("中文  x", "abcd  x")


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in table([{"a": "red\x1b[31m", "b": "two\nlines"}])
    assert "two lines" in table([{"b": "two\nlines"}])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.975, "0.975"),
        (0.0, "0.000"),
        (53.214, "53.21"),
        (-5321.7, "-5322"),
        (0.00312, "0.00312"),
        (1.2345e7, "1.23e+07"),
        (float("nan"), "nan"),
        (17226, "17226"),
        (True, "yes"),
        (None, ""),
    ],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.975, (0.953, 0.988), "0.975 [0.953, 0.988]"),
        (53.2, (48.9, 57.77), "53.20 [48.90, 57.77]"),
        (9.9, (8.0, 11.0), "9.90 [8.00, 11.00]"),
        (0.0012, (0.001, 0.0021), "0.0012 [0.001, 0.0021]"),
        (0.5, None, "0.500"),
        (0.5, (float("nan"), float("nan")), "0.500"),
    ],
)
def test_with_interval(value: float, interval: tuple[float, float] | None, text: str) -> None:
    assert with_interval(value, interval) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (200, "3 min 20 s"),
     (3599.7, "1 h 00 min"), (7512, "2 h 05 min")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_comparison_marks_the_best_and_shows_every_setting() -> None:
    text = comparison(
        [
            trial("tpe", 0.975, interval=(0.953, 0.988), params={"optimizer.lr": 0.1}),
            trial("random", 0.96, params={"model.width": 64}, seconds=4.0, p_value=0.031),
        ]
    )
    lines = dict(line.split(maxsplit=1) for line in text.splitlines()[2:])
    assert lines["accuracy"].split("  ")[0] == "0.975 [0.953, 0.988] *"
    assert lines["accuracy"].endswith("0.960")
    assert lines["optimizer.lr"] == "0.1"
    assert lines["model.width"] == "64"
    assert lines["p"].endswith("0.031")
    assert "parameters" not in text


def test_comparison_does_not_compare_different_metrics_or_directions() -> None:
    assert "*" not in comparison([trial("a", 0.9), trial("b", 0.8, metric="f1")])
    assert "*" not in comparison([trial("a", 0.9), trial("b", 0.8, direction="minimize")])
    lower = [trial("a", 0.9, direction="minimize"), trial("b", 0.8, direction="minimize")]
    assert comparison(lower).count("0.800 *") == 1
    assert "*" not in comparison(lower, is_comparable=False)
    assert "0.800" in comparison(lower, is_comparable=False)


def test_two_studies_of_one_name_are_both_shown() -> None:
    text = comparison([trial("same", 0.25), trial("same", 0.75)])
    assert "0.250" in text
    assert "0.750 *" in text
