"""Pieces of the page that a small finished study does not show."""

import re
from dataclasses import replace

import numpy as np
import pytest
from reported import parsed

from nnsearch import events
from nnsearch.reports.html import page
from nnsearch.reports.html_advice import advice, at_edge
from nnsearch.reports.html_classes import classes
from nnsearch.reports.html_content import (
    Cost,
    Data,
    Mistake,
    Mistakes,
    Part,
    Report,
    Rival,
    Scored,
    Trial,
)
from nnsearch.reports.html_markup import Html, table, tag
from nnsearch.reports.html_numbers import numbers
from nnsearch.reports.html_pictures import png_of
from nnsearch.reports.statistics import Difference
from nnsearch.study.spec import Choice, FloatRange, IntRange, Objective

MANY = 40


def made(count: int = MANY, best: int = 30) -> Report:
    """A study of `count` trials, of which `best` is the best, at the high end of its rate."""
    trials = tuple(
        Trial(
            number=number,
            state="complete",
            value=0.99 if number == best else 0.9 - 0.001 * abs(number - best),
            epochs=5,
            seconds=1.0,
            params={"optimizer.lr": 0.1 if abs(number - best) < 5 else 0.001, "model.name": "mlp"},
            values={1: 0.5, 5: 0.9},
        )
        for number in range(count)
    )
    finished = events.Finished(best, 1.0, 0.99, 5, 1.0, {"valid/accuracy": 0.99})
    return Report(
        study="many",
        description="",
        state="finished",
        created="now",
        printed="now",
        reason="",
        objective=Objective("accuracy", "maximize"),
        ranges={
            "optimizer.lr": FloatRange(1e-4, 0.1, log=True),
            "model.name": Choice(("mlp", "cnn")),
        },
        trials=trials,
        labels=("a", "b"),
        cost=Cost(float(count), float(count), 5 * count, 100, None),
        data=Data("csv", "table", (3,), "y", "by class", "f" * 32, (Part("train", 10, (5, 5)),)),
        settings={"model": {"one_of": ["mlp", "cnn"]}},
        facts={"cpus": "2"},
        best=finished,
        epochs=(events.Epoch(best, 5, 1.0, 1.0, {"train/loss": 0.1, "valid/loss": 0.2}),),
        tested=events.Tested(best, 1.0, {"accuracy": 0.95}, {"accuracy": (0.9, 0.98)}, 100),
        num_looks=1,
        baseline=0.9,
        rivals=(Rival("the linear baseline", 0.9, Difference(0.09, 0.05, 0.12, 0.001), 50),),
    )


def told(report: Report) -> str:
    return " ".join(f"{each.what}: {each.why} {each.command}" for each in advice(report))


def test_a_best_trial_among_the_last_asks_for_more_and_an_early_one_for_something_else() -> None:
    late, early, middle = (made(best=number) for number in (38, 2, 20))
    assert "Search longer" in told(late)
    assert "nnsearch run many --trials 80" in told(late)
    assert "37 later ones found nothing better" in told(early)
    assert not re.search("Search longer|later ones", told(middle))


def test_values_that_crowd_at_the_end_of_a_range_ask_for_a_wider_one() -> None:
    report = made()
    assert at_edge(report) == {"optimizer.lr": "high"}
    assert "Widen the range of optimizer.lr" in told(report)
    few = replace(report, ranges={"optimizer.lr": IntRange(0, 2)})
    assert at_edge(few) == {}, "of three whole numbers one is always at an end"


def test_a_winner_that_is_no_better_than_a_line_is_said() -> None:
    report = made()
    assert "'linear'" not in told(report)
    for low, high, words in ((-0.01, 0.02, "cannot be told from it"), (-0.2, -0.1, "is worse")):
        rival = Rival("the linear baseline", 0.9, Difference((low + high) / 2, low, high, 0.5), 50)
        assert words in told(replace(report, rivals=(rival,)))


def test_a_winner_that_is_the_baselines_model_is_not_sent_to_it() -> None:
    report = made()
    rival = Rival("the linear baseline", 0.9, Difference(0.01, -0.01, 0.02, 0.5), 50)
    linear = tuple(replace(each, params={"model.name": "linear"}) for each in report.trials)
    assert "Consider the model" not in told(replace(report, trials=linear, rivals=(rival,)))


@pytest.mark.parametrize("name", ["linear", "constant", "independent"])
def test_the_baseline_is_called_by_its_own_name(name: str) -> None:
    difference = Difference(-0.1, -0.2, 0.0, 0.5)
    wide = events.Tested(20, 1.0, {"accuracy": 0.95}, {"accuracy": (0.5, 0.99)}, 100)
    rival = Rival(f"the {name} baseline", 0.9, difference, 50)
    report = replace(made(), rivals=(rival,), tested=wide)
    assert f"Consider the model '{name}'" in told(report)
    assert f"gained over the {name} baseline" in told(report)
    text = page(report)
    assert f"accuracy of the winner and of the {name} baseline" in text
    assert f"{name}, valid." in text
    assert ("linear" in text) == (name == "linear")


def test_a_second_look_at_the_test_split_is_no_longer_called_the_only_one() -> None:
    text = parsed(page(replace(made(), num_looks=3))).text
    assert "looked at 3 times" in text
    assert "looked at once" not in text


def test_the_page_of_two_thousand_trials_stays_small() -> None:
    text = page(made(count=2000, best=1500))
    assert len(text.encode()) < 4_000_000
    assert "1500 more are left out" in parsed(text).text


@pytest.mark.parametrize("num_classes", [2, 12, 13, 100, 300])
def test_any_number_of_classes_has_its_confusions(num_classes: int) -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, num_classes, 3000)
    scores = random.dirichlet(np.ones(num_classes), 3000)
    labels = [f"class {number}" for number in range(num_classes)]
    made_page = parsed(tag("body", classes(Scored("test", scores, targets), labels)).text)
    confused = made_page.rows("The most frequent confusions")
    first = dict(zip(confused[0], confused[1], strict=True))
    answers = scores.argmax(axis=1)
    counts = np.zeros((num_classes, num_classes), int)
    np.add.at(counts, (targets, answers), 1)
    np.fill_diagonal(counts, 0)
    assert int(first["rows"]) == counts.max()
    assert f"{int((answers == targets).sum())} of 3000 right" in made_page.text
    assert len(made_page.rows("ROC")) - 1 == (num_classes if num_classes > 2 else 1)


def test_errors_of_a_regression_are_those_of_its_finite_rows() -> None:
    true = np.linspace(0, 10, 50)
    predicted = true[:, None] + 2.0
    predicted[7] = np.nan
    made_page = parsed(tag("body", numbers(Scored("test", predicted, true), "y")).text)
    assert "1 are not finite and left out" in made_page.text
    assert {row[1] for row in made_page.rows("Quantiles of the errors")[1:]} == {"2.000"}


def test_pictures_keep_colours_and_dark_ones_are_made_visible() -> None:
    import io

    from PIL import Image

    colours = np.zeros((3, 4, 5), np.uint8)
    colours[0] = 200
    back = np.asarray(Image.open(io.BytesIO(png_of(colours))))
    assert back.shape == (4, 5, 3)
    assert back[0, 0].tolist() == [200, 0, 0]
    dark = np.full((1, 8, 8), 16, np.uint8)
    assert np.asarray(Image.open(io.BytesIO(png_of(dark, top=16.0)))).min() == 255
    wide = np.random.default_rng(0).normal(size=(7, 1000, 10)).astype(np.float32)
    small = np.asarray(Image.open(io.BytesIO(png_of(wide))))
    assert max(small.shape) <= 160
    assert (small.min(), small.max()) == (0, 255)


def test_what_is_not_markup_is_escaped_wherever_it_stands() -> None:
    bad = "<b>&\"'\x00\u202e\udcff"
    assert tag("p", bad, title=bad).text == (
        '<p title="&lt;b&gt;&amp;&quot;&#x27;���">&lt;b&gt;&amp;&quot;&#x27;���</p>'
    )
    cells = table([{"<i>": "<u>", "n": 1.5}], caption="<s>").text
    assert not re.search("<[bius]>", cells)
    assert tag("p", Html("<b>"), None, "").text == "<p><b></p>"


def test_a_gallery_says_of_each_picture_what_it_is() -> None:
    png = png_of(np.zeros((1, 2, 2), np.uint8))
    wrong = Mistake(7, "<a>", "b", 0.9, 0.05, png=png)
    made_page = parsed(page(replace(made(), mistakes=Mistakes("valid", (wrong,), 1, 50))))
    assert made_page.one("img").attributes["alt"] == "Row 7: <a>, taken for b"
    assert "1 of 50 validation rows are wrong" in made_page.text
