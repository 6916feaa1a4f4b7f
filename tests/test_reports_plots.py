"""Pictures: real SVG files, of everything that data may hold, that say what they should."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from nnsearch.events import Epoch
from nnsearch.reports import canvas, matrices, panels, plots
from nnsearch.reports.canvas import Figure

ODD_LABELS = ["$x_1$", "_hidden", "中文", "a\nb", "", "a very long name of one", "a very long name of two", "<b> & \x01"]  # fmt: skip # noqa: E501
NUM_ODD = len(ODD_LABELS)


def opened(drawn: Figure) -> ET.Element:
    """The picture as a browser reads it: what is not well-formed fails here."""
    return ET.fromstring(plots.svg(drawn))  # noqa: S314 - our own


def size_of(drawn: Figure) -> tuple[int, int]:
    root = opened(drawn)
    return int(root.attrib["width"]), int(root.attrib["height"])


def num_shapes(drawn: Figure, color: str) -> int:
    """How many boxes, dots or lines of one colour there are."""
    shapes = [each for each in opened(drawn).iter() if color in each.attrib.values()]
    return sum(each.attrib.get("d", "M").count("M") for each in shapes)


def epochs(num: int, **extra: float) -> list[Epoch]:
    return [
        Epoch(0, each, 0.0, 0.1, {"train/loss": 1 / each, "valid/loss": 1.2 / each, **extra})
        for each in range(1, num + 1)
    ]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a picture shows."""
    texts: list[str] = []
    real = canvas.write

    def spy(drawn: Figure, words: list[canvas.Words], **style: object) -> None:
        words = list(words)
        texts.extend(each.text for each in words)
        real(drawn, words, **style)  # type: ignore[arg-type]

    for module in (canvas, matrices, panels, plots):
        monkeypatch.setattr(module, "write", spy)
    return texts


@pytest.mark.parametrize("num_classes", [2, 3, 10, 30, 41, 100])
def test_confusion_matrix_grows_with_its_classes(num_classes: int) -> None:
    counts = np.arange(num_classes**2).reshape(num_classes, num_classes)
    drawn = plots.confusion_matrix(counts, [f"class {n}" for n in range(num_classes)])
    size = size_of(drawn)
    assert min(size) >= 200
    assert max(size) <= 1700
    assert opened(drawn)[0].attrib == {"width": "100%", "height": "100%", "fill": "white"}


def test_confusion_matrix_writes_counts_and_shares_of_rows(written: list[str]) -> None:
    plots.confusion_matrix(np.array([[997, 3], [25, 75]]), ["cat", "dog"], title="Trial 3")
    assert {"Trial 3", "cat", "dog", "997", "3", "25", "75", "99%", "<1%", "25%"} <= set(written)
    assert any("1072 of 1100 right (97.5%)" in text for text in written)


def test_confusion_matrix_never_rounds_a_fault_away(written: list[str]) -> None:
    plots.confusion_matrix(np.array([[99999, 1], [0, 5]]), ["a", "b"])
    assert {"99%", "<1%", "100%"} <= set(written)
    assert any("99.9%" in text for text in written)


def test_right_cells_are_blue_and_wrong_ones_are_not() -> None:
    blue, labels = "#084594", ["a", "b"]
    assert num_shapes(plots.confusion_matrix(np.eye(2, dtype=int) * 5, labels), blue) == 2
    assert num_shapes(plots.confusion_matrix(5 - np.eye(2, dtype=int) * 5, labels), blue) == 0


def test_matrices_stand_beside_each_other_in_rows_of_three(written: list[str]) -> None:
    counts = np.eye(3, dtype=int)
    one = size_of(plots.confusion_matrices({"s1": counts}, list("abc")))
    four = size_of(plots.confusion_matrices({f"s{n}": counts for n in range(4)}, list("abc")))
    assert four[0] == pytest.approx(one[0] * 3, abs=3)
    assert four[1] == pytest.approx(one[1] * 2, abs=3)
    assert {"s0", "s1", "s2", "s3"} <= set(written)


def test_odd_labels_are_shown_as_they_are_or_by_number(written: list[str]) -> None:
    counts = np.ones((NUM_ODD, NUM_ODD), int)
    opened(plots.confusion_matrix(counts, ODD_LABELS))
    assert {"$x_1$", "_hidden", "中文", "a b", "#4", "#5", "#6", "<b> & ?"} <= set(written)


def test_the_width_of_a_text() -> None:
    assert canvas.width_of("ab") > canvas.width_of("a") > 0
    assert canvas.width_of("W") > canvas.width_of("i")
    assert canvas.width_of("a", bold=True) > canvas.width_of("a")
    assert canvas.width_of("中") > canvas.width_of("a")
    assert canvas.width_of(" ") > 0


def test_a_line_keeps_its_shape_without_the_points_between() -> None:
    drawn = canvas.figure(100, 100)
    nan = float("nan")
    canvas.stroke(drawn, [0, 1, 2, 2, 2, nan, 5, 5, 5], [9, 9, 9, 8, 7, nan, 1, 3, 2])
    (line,) = [each.attrib["d"] for each in opened(drawn).iter() if "d" in each.attrib]
    assert line == "M0 91L2 91L2 93M5 99L5 97L5 98"


def test_a_curve_of_many_rows_is_a_small_file() -> None:
    generator = np.random.default_rng(0)
    targets = np.arange(30_000) % 10
    predictions = generator.dirichlet(np.ones(10), 30_000)
    predictions[np.arange(30_000), targets] += 0.3
    drawn = plots.roc_curves(predictions, targets, [str(each) for each in range(10)])
    assert len(plots.svg(drawn)) < 100_000


@pytest.mark.parametrize("draw", [plots.roc_curves, plots.precision_recall_curves])
def test_curves_have_a_line_a_class_up_to_ten(
    draw: Callable[..., Figure], written: list[str]
) -> None:
    generator = np.random.default_rng(0)
    for num_classes, lines in ((2, 1), (3, 4), (10, 11), (11, 1)):
        written.clear()
        targets = np.arange(60) % num_classes
        predictions = generator.dirichlet(np.ones(num_classes), 60)
        opened(draw(predictions, targets, [f"c{each}" for each in range(num_classes)]))
        assert sum(text.endswith(")") for text in written) == lines
    assert any(text.startswith("mean of 11 classes (0.") for text in written)


@pytest.mark.parametrize("draw", [plots.roc_curves, plots.precision_recall_curves])
def test_curves_say_which_class_has_no_rows(
    draw: Callable[..., Figure], written: list[str]
) -> None:
    predictions = np.full((4, 3), 1 / 3, np.float32)
    opened(draw(predictions, np.array([0, 1, 0, 1]), ["a", "b", "c"]))
    assert "c (no rows)" in written
    opened(draw(predictions[:, :2], np.zeros(4, int), ["a", "b"]))
    assert "b (no rows)" in written


def test_learning_curves_mark_the_kept_epoch(written: list[str]) -> None:
    history = epochs(5, **{"valid/accuracy": 0.5})
    drawn = plots.learning_curves(history, objective_key="valid/accuracy", kept_epoch=3)
    assert num_shapes(drawn, canvas.PALETTE[0]) == 2, "its line and the legend's"
    assert [each.tag.endswith("circle") for each in opened(drawn).iter()].count(True) == 2
    assert {"kept: epoch 3", "loss", "accuracy", "epoch"} <= set(written)


def test_learning_curves_of_a_loss_alone_are_one_panel() -> None:
    alone = size_of(plots.learning_curves(epochs(4), objective_key="valid/loss", kept_epoch=4))
    both = size_of(plots.learning_curves(epochs(4), objective_key="valid/mae", kept_epoch=4))
    assert both[0] > 1.8 * alone[0]


def test_learning_curves_take_the_last_of_an_epoch_recorded_twice() -> None:
    once = epochs(4)
    twice = [Epoch(0, 2, 0.0, 0.1, {"valid/loss": 50.0}), *reversed(once)]
    first, second = (
        plots.svg(plots.learning_curves(each, objective_key="valid/loss", kept_epoch=4))
        for each in (once, twice)
    )
    assert first == second


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1e300, 1e-300])
def test_learning_curves_stand_any_number(value: float) -> None:
    for history in (epochs(1, **{"valid/r2": value}), epochs(3, **{"valid/r2": value})):
        history[-1].metrics["valid/loss"] = value
        opened(plots.learning_curves(history, objective_key="valid/r2", kept_epoch=1))


def test_regression_pictures_say_what_they_leave_out(written: list[str]) -> None:
    targets = np.linspace(0, 9, 10)
    predictions = targets[:, None].astype(np.float32) + 1
    predictions[3] = np.nan
    predictions[4] = np.inf
    opened(plots.residuals(predictions, targets))
    opened(plots.predicted_against_true(predictions, targets, "price"))
    assert sum("2 not finite, left out" in text for text in written) == 2
    assert any("mean 1, deviation 0" in text for text in written)
    assert {"true price", "predicted price"} <= set(written)


@pytest.mark.parametrize("num_rows", [0, 1, 20_000])
def test_regression_pictures_of_none_one_and_many_rows(num_rows: int) -> None:
    rows = np.random.default_rng(0).normal(size=num_rows)
    for draw in (plots.residuals, plots.predicted_against_true):
        assert len(plots.svg(draw(rows[:, None] * 1e9, rows))) < 60_000


@pytest.mark.parametrize("spread", [0.0, 1e-300, 1e-15, 1e-6])
@pytest.mark.parametrize("level", [0.0, 1.0, 1e9])
def test_errors_that_are_all_but_equal_have_a_picture(spread: float, level: float) -> None:
    true = np.full(50, level)
    predicted = true + np.linspace(0, spread, 50)
    assert num_shapes(plots.residuals(predicted[:, None], true), canvas.PALETTE[0]) > 1


def test_best_so_far_names_each_study_and_its_best(written: list[str]) -> None:
    curves = {"tpe": [0.5, 0.75], "none": [], "failed": [float("nan")] * 3}
    opened(plots.best_so_far(curves, metric="accuracy", direction="maximize"))
    assert {"tpe (0.75)", "none (none yet)", "failed (none yet)"} <= set(written)
    opened(plots.best_so_far({}, metric="accuracy", direction="minimize"))


def test_ten_studies_look_different() -> None:
    assert len({plots._look(number) for number in range(12)}) == 12


def test_scales_have_round_ticks_within_their_ends() -> None:
    made = panels.scale([0.013, 0.87])
    assert made.labels == ("0", "0.2", "0.4", "0.6", "0.8")
    assert all(made.low <= tick <= made.high for tick in made.ticks)
    assert panels.scale([1, 3], whole=True).labels == ("1", "2", "3")
    log = panels.scale([1e-3, 1.0], may_log=True)
    assert log.is_log
    assert log.labels == ("0.001", "0.01", "0.1", "1")
    assert not panels.scale([0.0, 1.0], may_log=True).is_log
    assert panels.scale([-1, 0, 1]).labels[0].startswith("\N{MINUS SIGN}")


def test_data_is_placed_within_the_frame() -> None:
    frame = panels.Frame(10, 20, 100, 200)
    made = panels.Panel(frame, panels.Scale(0, 1, (), ()), panels.Scale(0, 2, (), (), is_log=True))
    xs, ys = made.place([0, 0.5, 1], [1, 10, -3])
    assert xs.tolist() == [10, 60, 110]
    assert ys[:2].tolist() == [20, 120]
    assert np.isnan(ys[2])


def test_threads_draw_the_same_picture_at_once() -> None:
    counts = np.arange(100).reshape(10, 10)
    labels = [str(each) for each in range(10)]

    def draw(_: int) -> bytes:
        return plots.svg(plots.confusion_matrix(counts, labels))

    expected = draw(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(24))) == {expected}
