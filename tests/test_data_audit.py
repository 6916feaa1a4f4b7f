"""What the audit compares: near copies, telling columns, times, groups and parts unlike train."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nnsearch.data import bundled
from nnsearch.data.checks import audit
from nnsearch.data.dates import is_moment, mixed_times, torn_groups
from nnsearch.data.examples import Array, Examples
from nnsearch.data.findings import Finding
from nnsearch.data.near_copies import near_copies
from nnsearch.data.shift import largest_gap, least_gap, shift
from nnsearch.data.split import RowsOf, split
from nnsearch.data.targets import as_numbers, encode_classes
from nnsearch.data.telling_columns import telling_columns
from nnsearch.data.watch import opened_files
from nnsearch.signature import Column, Signature
from nnsearch.study.spec import Split

Numbers = npt.NDArray[np.float64]
RANDOM = Split(by="random")


def table(cells: Numbers, targets: Array, *, labels: int = 0) -> Examples:
    columns = tuple(Column(f"x{place}") for place in range(cells.shape[1]))
    texts = tuple(f"class {index}" for index in range(labels))
    signature = Signature("table", (len(columns),), "float64", "y", columns, texts)
    return Examples(cells, targets, signature)


def drawn(seed: int) -> Examples:
    """Numbers of one of five kinds, some of which depend on the target, but none altogether."""
    generator = np.random.default_rng(seed)
    num_rows, num_columns = int(generator.integers(80, 900)), int(generator.integers(2, 15))
    cells = generator.normal(size=(num_rows, num_columns))
    match seed % 5:
        case 1:
            cells = np.exp(1.5 * cells)
        case 2:
            cells = cells.round(1)
        case 3:  # clusters, each as dense as it likes
            middles = 6 * generator.normal(size=(4, num_columns))
            which = generator.integers(0, 4, num_rows)
            cells = middles[which] + np.array([0.1, 0.5, 1.0, 3.0])[which, None] * cells
        case 4:  # a plane with a little noise about it
            plane = generator.normal(size=(2, num_columns))
            cells = generator.normal(size=(num_rows, 2)) @ plane + 0.01 * cells
    cells[generator.random(cells.shape) < 0.02] = np.nan
    if seed % 2:
        return table(cells, generator.integers(0, 3, num_rows), labels=3)
    return table(cells, np.nan_to_num(cells[:, 0]) + generator.normal(size=num_rows))


def test_data_without_a_fault_gives_no_finding() -> None:
    found = [
        (seed, str(each))
        for seed in range(100)
        for each in audit(drawn(seed), split(drawn(seed), Split(), seed))
        if each.code not in {"E351", "W351"}  # what is rounded may well agree
    ]
    assert found == []


@pytest.mark.parametrize("seed", range(5))
def test_bundled_data_gives_no_finding(seed: int) -> None:
    for name in ("digits", "breast_cancer", "wine", "iris", "diabetes"):
        raw = getattr(bundled, name)(Path())
        examples = as_numbers(raw) if name == "diabetes" else encode_classes(raw)
        found = audit(examples, split(examples, Split(), seed))
        # One flower of iris was measured twice, which is true.
        assert [each for each in found if (name, each.code) != ("iris", "W351")] == []


def test_near_copies_are_counted_and_shown() -> None:
    generator = np.random.default_rng(0)
    cells = generator.normal(size=(300, 6))
    cells[295:] = cells[:5] + 0.01 * generator.normal(size=(5, 6))
    rows = {"train": np.arange(200), "valid": np.arange(200, 250), "test": np.arange(250, 300)}
    (found,) = near_copies(table(cells, np.zeros(300)), rows)
    assert found.message == (
        "5 of 100 rows of valid and test are almost rows of train, such as row 296 of the source,"
        " which is nearly its row 1."
    )
    apart = {**rows, "train": np.arange(5, 200)}
    assert list(near_copies(table(cells, np.zeros(300)), apart)) == []


def test_near_copies_of_images_are_found_and_other_images_are_none() -> None:
    digits = encode_classes(bundled.digits(Path()))
    rows = split(digits, Split(), 0)
    assert list(near_copies(digits, rows)) == []
    inputs = digits.inputs.astype(np.float32)
    noise = np.random.default_rng(0).normal(size=(20, *inputs.shape[1:])) * 0.05
    inputs[rows["test"][:20]] = inputs[rows["train"][:20]] + noise
    (found,) = near_copies(replace(digits, inputs=inputs), rows)
    assert found.message.startswith("20 of 647 rows")


def test_of_many_rows_some_are_looked_at_and_that_is_said() -> None:
    generator = np.random.default_rng(0)
    cells = generator.normal(size=(30_000, 8))
    cells[25_000:] = cells[:5000] + 0.001
    examples = table(cells, np.zeros(30_000))
    rows = {"train": np.arange(20_000), "valid": np.arange(20_000, 25_000)}
    (found,) = near_copies(examples, {**rows, "test": np.arange(25_000, 30_000)})
    assert "of a sample of 1,500 rows of valid and test" in found.message


def telling(cells: Numbers, targets: Array, *, labels: int = 0) -> list[Finding]:
    examples = table(cells, targets, labels=labels)
    return list(telling_columns(examples, split(examples, RANDOM, 0)))


def test_a_column_that_tells_the_target_is_named_with_its_score() -> None:
    generator = np.random.default_rng(0)
    cells = generator.normal(size=(400, 3))
    numbers = generator.normal(size=400)
    cells[:, 1] = -np.exp(numbers) + 0.01 * generator.normal(size=400)
    (found,) = telling(cells, numbers)
    assert found.column == "x1"
    assert "of the variance of the target's ranks" in found.message
    assert telling(cells, numbers + generator.normal(size=400) * 0.5) == []
    # Neither the order nor the sign says anything of this one, but the distance from 0 does.
    classes = (np.abs(cells[:, 2]) > 0.7).astype(np.int64)
    (found,) = telling(cells, classes, labels=2)
    assert found.column == "x2"
    assert "rows right, where the most frequent class has" in found.message


def test_the_score_is_that_of_rows_that_were_not_fitted() -> None:
    # Each value once: who fits and judges on the same rows could tell every one of them.
    generator = np.random.default_rng(0)
    cells = generator.permutation(400).astype(np.float64)[:, None] * np.ones((1, 2)) + 0.5
    assert telling(cells, generator.integers(0, 2, 400), labels=2) == []


def test_a_rare_class_that_is_missed_is_not_told() -> None:
    classes = (np.arange(400) % 40 == 0).astype(np.int64)
    assert telling(np.random.default_rng(0).normal(size=(400, 2)), classes, labels=2) == []


def moment(column: Column, cells: Array, notes: tuple[str, ...] = ()) -> bool:
    signature = Signature("table", (1,), "float64", "y", (column,))
    values = cells.astype(np.float64)[:, None]
    return is_moment(Examples(values, np.zeros(len(cells)), signature, notes=notes), 0)


def test_what_is_a_time_and_what_is_none() -> None:
    def text(*categories: str) -> bool:
        column = Column("seen", "categorical", categories)
        return moment(column, np.arange(len(categories)))

    assert text("2024-01-31", "2024-02-01T12:00")
    assert not text("2024-01-31", "spring")
    assert not text("2024-01-31"), "one date alone divides nothing"
    epoch = 1_700_000_000 + np.arange(50.0)
    assert moment(Column("event_time"), epoch)
    assert moment(Column("Timestamp"), epoch * 1000)
    assert moment(Column("date"), np.array([20240131, 20240201]))
    assert not moment(Column("date"), np.array([20249931, 20240201]))
    assert not moment(Column("price"), epoch)
    assert not moment(Column("time"), np.arange(50.0)), "seconds of a run are no date"
    assert moment(Column("x"), epoch, ("column 'x' is a time: read as seconds since 1970",))


def test_a_split_that_respects_time_is_left_alone() -> None:
    examples = table(np.random.default_rng(0).normal(size=(100, 1)), np.zeros(100))
    cells = np.column_stack([1_700_000_000 + np.arange(100.0), examples.inputs])
    signature = replace(examples.signature, shape=(2,), columns=(Column("when"), Column("x")))
    dated = replace(examples, inputs=cells, signature=signature)
    (found,) = mixed_times(dated, split(dated, RANDOM, 0))
    assert found.column == "when"
    assert 'split = { by = "time", column = "when" }' in found.hint
    ordered = {"train": np.arange(60), "valid": np.arange(60, 80), "test": np.arange(80, 100)}
    assert list(mixed_times(dated, ordered)) == []
    grouped = replace(dated, groups=np.arange(100) // 5)
    assert list(mixed_times(grouped, split(grouped, Split(by="group"), 0))) == []


def test_groups_that_are_torn_are_an_error_that_names_two_rows() -> None:
    examples = table(np.zeros((40, 1)), np.zeros(40))
    grouped = replace(examples, groups=np.repeat(["a", "b", "c", "d"], 10).astype(object))
    assert list(torn_groups(grouped, split(grouped, Split(by="group"), 0))) == []
    rows: RowsOf = {
        "train": np.arange(5, 25),
        "valid": np.arange(25, 40),
        "test": np.arange(5),
    }
    of_valid, of_test = torn_groups(grouped, rows)
    assert (of_valid.level, of_valid.code) == ("error", "E358")
    start = "1 groups of the source have rows in train and in "
    assert of_valid.message == start + "valid, such as row 21 and row 26."
    assert of_test.message == start + "test, such as row 6 and row 1."
    timed = replace(grouped, times=np.arange(40.0))
    assert list(torn_groups(timed, rows)) == []


def test_parts_unlike_train_are_named_with_column_and_class() -> None:
    generator = np.random.default_rng(0)
    cells = generator.normal(size=(600, 3))
    classes = generator.integers(0, 2, 600)
    rows = {"train": np.arange(300), "valid": np.arange(300, 450), "test": np.arange(450, 600)}
    assert list(shift(table(cells, classes, labels=2), rows)) == []
    cells[450:, 2] += 1.5
    classes[300:440] = 1
    of_valid, of_test = shift(table(cells, classes, labels=2), rows)
    assert (of_valid.code, of_test.code) == ("W360", "W359")
    assert "are of class 'class" in of_valid.message
    assert of_test.message.startswith("column 'x2' has other values in test than in train")
    assert of_test.column == "x2"


def test_the_largest_gap_is_kolmogorovs_and_its_level_holds() -> None:
    assert largest_gap(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])) == 0.5
    # Of 1.358 divided by the root of n it is known that 5 % lie above (Smirnov, 1948).
    assert least_gap(10**8, 10**8, 0.05) == pytest.approx(1.358 / (10**8 / 2) ** 0.5, rel=1e-3)
    generator = np.random.default_rng(0)
    least = least_gap(80, 30, 0.05)
    alarms = [
        largest_gap(generator.normal(size=80), generator.normal(size=30)) >= least
        for _ in range(1000)
    ]
    assert 0.02 < np.mean(alarms) < 0.07


def test_files_that_are_opened_are_noted_with_the_line_that_led_there(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a")
    with opened_files(Path(__file__)) as opened:
        file.read_text()
    file.with_name("b.txt").write_text("b")
    line = next(
        at for at, each in enumerate(Path(__file__).read_text().splitlines(), start=1)
        if each == "        file.read_text()"
    )  # fmt: skip
    assert opened == {str(file.resolve()): f"{Path(__file__).name}:{line}"}
