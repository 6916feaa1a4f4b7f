"""Studies side by side, from records that the tests write: each verdict is known beforehand."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnsearch import events
from nnsearch.commands.compare import Comparison, compare
from nnsearch.commands.opening import open_study
from nnsearch.data.prepare import open_part
from nnsearch.errors import UsageError
from nnsearch.events import Failed, Finished, Pruned, Started, append_lines, to_line
from nnsearch.search.ledger import record_batch
from nnsearch.study.folder import Home, write_json
from nnsearch.study.load import load_study
from nnsearch.study.space import sample
from nnsearch.study.spec import Choice, FloatRange
from nnsearch.training.evaluate import save_predictions
from nnsearch.training.job import Job, write_job

STUDY = """
[data]
source = "SOURCE"
[task]
name = "TASK"
[model]
name = "mlp"
width = { choice = [4, 8] }
[optimizer]
name = "adam"
lr = { float = [1e-3, 1e-1], log = true }
[search]
trials = 4
"""
HOME = Path("mlruns")
Answer = Callable[[Any], Any]


def text_of(source: str = "iris", task: str = "classification") -> str:
    return STUDY.replace("SOURCE", source).replace("TASK", task)


def say(targets: Any, num_wrong: int) -> Any:
    """Probabilities of three classes that are wrong in the first so many rows."""
    said = np.array(targets)
    said[:num_wrong] = (said[:num_wrong] + 1) % 3
    return np.eye(3, dtype=np.float32)[said] * 0.8 + 0.1


def noisy(spread: float) -> Answer:
    """Numbers that miss the target by about so much."""
    noise = np.random.default_rng(0).normal(0, spread, 2000)
    return lambda targets: (targets + noise[: len(targets)])[:, None]


def faulty(num_wrong: int) -> Answer:
    """`say`, to be asked later."""
    return lambda targets: say(targets, num_wrong)


PERFECT = faulty(0)


def record(
    name: str,
    *,
    values: tuple[float | None, ...] = (0.7, None, 0.9),
    answer: Answer | None = PERFECT,
    text: str = "",
    num_looks: int = 1,
) -> None:
    """A study's records as a run leaves them; None stands for a pruned trial.

    `answer` gives the best trial's predictions from the test split's targets; None: no look.
    """
    Path(f"{name}.toml").write_text(text or text_of())
    study = load_study(Path(f"{name}.toml"))
    folder = Home(HOME).study(name)
    opened = open_study(study, folder)
    best = int(np.argmax([-1 if each is None else each for each in values]))
    if opened.objective.direction == "minimize":
        best = int(np.argmin([np.inf if each is None else each for each in values]))

    def draw(_: str, each: object) -> Any:
        assert isinstance(each, Choice | FloatRange)
        return each.choices[0] if isinstance(each, Choice) else each.low

    specs = [sample(study, draw, number=number, seed=0) for number in range(len(values))]
    record_batch(folder, specs)
    job = folder.job("00000")
    write_job(job, Job(tuple(specs), opened.prepared.folder, study.root, opened.objective))
    lines = []
    for number, value in enumerate(values):
        lines.append(to_line(Started(number, "", 1.0, num_parameters=123)))
        ending: Finished | Pruned = Pruned(number, 2.0, 1, 0.1, 4.0)
        if value is not None:
            metrics = {opened.objective.key: value}
            ending = Finished(number, 2.0, value, 1, 10.0, metrics)
        lines.append(to_line(ending))
    append_lines(job.events, lines, sync=False)
    valid = np.asarray(open_part(opened.prepared.folder, "valid").targets)
    files = job.trial(best)
    files.root.mkdir(parents=True)
    is_class = opened.objective.metric == "accuracy"
    guesses = say(valid, 0) if is_class else valid[:, None].astype(np.float32)
    save_predictions(files.predictions, guesses, valid)
    if answer is None:
        return
    targets = np.asarray(open_part(opened.prepared.folder, "test").targets)
    predictions = answer(targets)
    save_predictions(folder.root / f"test-{best:05d}.npz", predictions, targets)
    tested = events.Tested(best, 3.0, {"accuracy": 0.5}, {"accuracy": (0.4, 0.6)}, len(targets))
    if not is_class:
        error = float(np.sqrt(np.mean((predictions[:, 0] - targets) ** 2)))
        tested = replace(tested, metrics={"rmse": error}, intervals={"rmse": (1.0, 2.0)})
    looks = [asdict(replace(tested, trial=best + later)) for later in range(num_looks)]
    write_json(folder.root / "test.json", looks)


def side_by_side(compared: Comparison) -> dict[str, list[str]]:
    """The rows of the second table, by their names."""
    below = compared.text.partition("the best trial of each\n\n")[2].partition("\n\n")[0]
    return {line.split()[0]: line.split()[1:] for line in below.splitlines()[2:]}


def test_counts_values_intervals_seconds_and_parameters_stand_side_by_side() -> None:
    record("one")
    record("two", values=(0.8,))
    compared = compare(["one", "two"], HOME)
    lines = compared.text.splitlines()
    (first,) = [line.split() for line in lines if line.startswith("one ") and "[" in line]
    (second,) = [line.split() for line in lines if line.startswith("two ") and "[" in line]
    assert " ".join(first) == "one 3 (1 pruned) 0.900 0.500 [0.400, 0.600] 30 24.0 s 123"
    assert " ".join(second) == "two 1 0.800 0.500 [0.400, 0.600] 30 10.0 s 123"
    rows = side_by_side(compared)
    assert rows["valid/accuracy"] == ["0.900", "*", "0.800"]
    assert rows["optimizer.lr"] == ["0.001", "0.001"]
    assert rows["model.width"] == ["4", "4"]


def test_equal_data_is_no_reason_for_a_warning() -> None:
    record("one")
    record("two")
    compared = compare(["one", "two"], HOME)
    assert "do not compare" not in compared.text
    assert compared.document["differences"] == {"two": []}


def test_few_faults_more_or_less_are_no_difference() -> None:
    record("one", answer=faulty(2))
    record("two", answer=faulty(4))
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert (test["kind"], test["only_first"], test["only_second"]) == ("mcnemar", 2, 0)
    assert test["p_value"] == 0.5  # two rows on one side: 2 x (1/2)^2
    assert "neither is shown to be better" in " ".join(compared.text.split())


def test_many_faults_more_are_a_difference_and_the_better_one_is_named() -> None:
    record("one", answer=faulty(12))
    record("two", answer=faulty(0))
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert test["p_value"] == pytest.approx(2 / 2**12)
    assert test["value"] == pytest.approx(0.4)
    assert test["low"] > 0.2
    assert "two is better on such rows" in " ".join(compared.text.split())
    assert "one network, trained once" in compared.text


def test_p_values_are_corrected_for_their_number() -> None:
    for name, num_wrong in (("one", 0), ("two", 6), ("three", 7)):
        record(name, answer=faulty(num_wrong))
    tests = compare(["one", "two", "three"], HOME).document["tests"]
    assert [each["second"] for each in tests] == ["two", "three"]
    # Holm: the smaller of two twice, the larger once
    assert [each["p_value"] for each in tests] == [2 / 2**6, 2 * 2 / 2**7]


def test_another_seed_is_another_split() -> None:
    record("one")
    record("two", text="seed = 1\n" + text_of(), values=(0.95,))
    compared = compare(["one", "two"], HOME)
    assert compared.document["differences"] == {"two": ["seed: 0 -> 1"]}
    assert compared.document["tests"] == []
    assert compared.text.startswith("These studies do not compare")
    assert "have not been tested on the same rows" in compared.text
    assert side_by_side(compared)["valid/accuracy"] == ["0.900", "0.950"], "no mark of the best"


def test_other_data_and_another_task_are_named_and_drawn_apart() -> None:
    record("one")
    numbers = text_of("diabetes", "regression")
    record("two", text=numbers, values=(60.0, 50.0), answer=lambda t: t[:, None] + 1.0)
    compared = compare(["one", "two"], HOME)
    (found,) = compared.document["differences"].values()
    assert "objective: accuracy (maximize) -> rmse (minimize)" in found
    assert 'data.source: "iris" -> "diabetes"' in found
    assert "target: species -> progression" in found
    assert sorted(path.name for path in compared.pictures) == [
        "best_so_far_one.png",
        "best_so_far_two.png",
        "confusion_matrices_one.png",
        "predicted_true_two.png",
    ]


def own_table(last: float, more: str = "") -> str:
    """A study of a table of its own, beside it, whose last row is at `last`."""
    rows = [f"{x},{x * x % 11},{'ab'[x % 3 == 0]}" for x in range(5, 50)]
    Path("own.csv").write_text("\n".join(["x,z,y", *rows, f"{last},3,a", ""]))
    options = f'[data.csv]\npath = "own.csv"\ntarget = "y"\n{more}\n[task]'
    return text_of("csv").replace("[task]", options)


def test_rows_that_changed_under_the_same_name_are_noticed() -> None:
    record("one", text=own_table(100.5), answer=None)
    record("two", text=own_table(200.5), answer=None)
    compared = compare(["one", "two"], HOME)
    assert compared.document["differences"] == {"two": ["the contents of the rows"]}


def test_a_column_less_makes_other_data_of_the_same_test_rows() -> None:
    record("one", text=own_table(100.5))
    record("two", text=own_table(100.5, 'drop = ["z"]'), answer=faulty(1))
    compared = compare(["one", "two"], HOME)
    assert 'data.csv.drop: [] -> ["z"]' in compared.document["differences"]["two"]
    assert "The test rows are the same" in compared.text
    (test,) = compared.document["tests"]
    assert (test["only_first"], test["only_second"]) == (1, 0)


def test_a_transform_that_differs_leaves_the_studies_comparable() -> None:
    record("one")
    record("two", text=text_of().replace("[task]", '[data.table]\nscale = "robust"\n[task]'))
    compared = compare(["one", "two"], HOME)
    assert compared.document["differences"] == {"two": []}
    assert len(compared.document["tests"]) == 1


def test_a_regression_has_a_paired_bootstrap() -> None:
    numbers = text_of("diabetes", "regression")
    for name, spread in (("one", 50.0), ("two", 5.0)):
        record(name, text=numbers, values=(spread,), answer=noisy(spread))
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert (test["kind"], test["metric"], test["is_more_better"]) == ("bootstrap", "rmse", False)
    assert test["high"] < 0
    assert test["p_value"] < 0.01
    assert "two is better on such rows" in " ".join(compared.text.split())
    assert side_by_side(compared)["valid/rmse"] == ["50.00", "5.000", "*"]


def test_an_option_that_one_study_searches_and_another_sets() -> None:
    record("one")
    record("two", text=text_of().replace("{ choice = [4, 8] }", "16") + "batch = 2\n")
    branch = text_of().replace(
        'name = "mlp"\nwidth = { choice = [4, 8] }',
        'one_of = ["mlp", "linear"]\n[model.mlp]\nwidth = { choice = [5, 6] }',
    )
    record("three", text=branch)
    rows = side_by_side(compare(["one", "two", "three"], HOME))
    assert rows["model.width"] == ["4", "16", "5"]
    assert "model.mlp.width" not in rows
    assert "search.batch" not in rows


def test_more_looks_than_one_are_told() -> None:
    record("one", num_looks=3)
    record("two")
    text = " ".join(compare(["one", "two"], HOME).text.split())
    assert "For one the test rows have been looked at 3 times" in text
    assert "For two" not in text


def test_a_study_without_a_complete_trial_is_shown_as_it_is() -> None:
    record("one")
    record("two", values=(None, None), answer=None)
    folder = Home(HOME).study("two")
    (folder.root / "jobs" / "00000" / "events.jsonl").write_text(
        to_line(Failed(0, 2.0, "out of memory"))
    )
    compared = compare(["one", "two"], HOME)
    assert "two    1 (1 failed)" in compared.text
    assert compared.document["studies"][1]["best"] is None
    assert compared.document["studies"][1]["counts"]["failed"] == 1


def test_the_pictures_are_pictures_and_old_ones_go() -> None:
    record("one")
    record("two", values=(0.5, 0.8, None, 0.85))
    folder = HOME / "compare" / "one+two"
    folder.mkdir(parents=True)
    (folder / "stale.png").write_text("of an earlier comparison")
    compared = compare(["one", "two"], HOME)
    assert [path.name for path in compared.pictures] == [
        "best_so_far.png",
        "confusion_matrices.png",
    ]
    assert sorted(folder.iterdir()) == sorted(compared.pictures)
    sizes = [Image.open(BytesIO(path.read_bytes())).size for path in compared.pictures]
    assert sizes[1][0] > sizes[1][1] > 200, "two matrices, beside each other"


def test_the_document_is_strict_json() -> None:
    record("one", values=(float("inf"), 0.5))
    record("two", answer=None)
    document = compare(["one", "two"], HOME).document
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("names", [[], ["one"], ["one", "one"], ["one", "one.toml"]])
def test_two_studies_or_more_each_once(names: list[str]) -> None:
    record("one")
    with pytest.raises(UsageError, match="two studies or more"):
        compare(names, HOME)


def test_a_study_that_has_not_run_is_named_with_the_nearest() -> None:
    record("digits")
    with pytest.raises(UsageError, match="Did you mean 'digits'"):
        compare(["digits", "digist"], HOME)
