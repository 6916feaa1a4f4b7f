"""The study file that is written for a table: it passes the checks, and says why it is so."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnsearch.commands.check import check
from nnsearch.commands.new import new
from nnsearch.errors import DataError, UsageError
from nnsearch.study.load import load_study
from nnsearch.study.spec import Choice, FloatRange, IntRange, Study

NUM_ROWS = 120


def columns(num_rows: int = NUM_ROWS) -> dict[str, Sequence[object]]:
    """A table of people: numbers, texts, missing cells, and columns that say nothing."""
    generator = np.random.default_rng(0)
    age = generator.normal(45, 12, num_rows).round(1)
    return {
        "id": list(range(7, num_rows + 7)),
        "name": [f"{place} Smith" for place in range(num_rows)],
        "age": [None if place % 10 == 0 else value for place, value in enumerate(age.tolist())],
        "city": [("Bonn", "Graz", None)[place % 3] for place in range(num_rows)],
        "country": ["DE"] * num_rows,
        "rooms": generator.integers(1, 6, num_rows).tolist(),
        "price": (age * 1000 + generator.normal(0, 500, num_rows)).round(2).tolist(),
        "bought": np.where(age > 45, "yes", "no").tolist(),
    }


def table(folder: Path, columns: Mapping[str, Sequence[object]], name: str = "people.csv") -> Path:
    pd.DataFrame(columns).to_csv(folder / name, index=False)
    return folder / name


def checked(path: Path) -> Study:
    """The study, after `check` has read it and its data."""
    return check(path).study


def test_a_classification_that_passes_check(tmp_path: Path) -> None:
    path = new(table(tmp_path, columns()), "bought")
    study = checked(path)
    assert path == tmp_path / "people.toml"
    assert study.name == "people"
    assert list(study.task.alternatives) == ["classification"]
    assert study.source.options["drop"] == ("id", "name", "country")
    assert study.search.objective == "accuracy"
    assert study.search.trials
    assert "moments" not in path.read_text(encoding="utf-8")
    assert study.training.alternatives["recipe"]["patience"] > 0


def test_depth_width_dropout_rate_decay_and_optimizer_are_searched(tmp_path: Path) -> None:
    ranges = checked(new(table(tmp_path, columns()), "bought")).ranges()
    assert isinstance(ranges["model.mlp.depth"], IntRange)
    assert isinstance(ranges["model.mlp.width"], Choice)
    assert isinstance(ranges["model.mlp.dropout"], FloatRange)
    rate, decay = ranges["optimizer.lr"], ranges["optimizer.weight_decay"]
    assert isinstance(rate, FloatRange)
    assert isinstance(decay, FloatRange)
    assert rate.log
    assert decay.log
    assert ranges["optimizer.name"] == Choice(("adamw", "sgd"))


def test_every_key_is_explained_and_the_columns_are_listed(tmp_path: Path) -> None:
    text = new(table(tmp_path, columns()), "bought").read_text(encoding="utf-8")
    assert re.search(r"^# +age +numeric +12 +from ", text, re.MULTILINE)
    assert re.search(r"^# +city +categorical +40 +Bonn, Graz$", text, re.MULTILINE)
    assert re.search(r"^# +country +dropped +constant$", text, re.MULTILINE)
    assert re.search(r'^ +"id", +# an ID', text, re.MULTILINE)
    assert '# categorical = ["rooms"]' in text
    lines = [line for line in text.splitlines() if not line.startswith("#   nnsearch ")]
    assert max(map(len, lines)) <= 100


def test_numbers_make_a_regression(tmp_path: Path) -> None:
    study = checked(new(table(tmp_path, columns()), "price"))
    assert list(study.task.alternatives) == ["regression"]
    assert study.search.objective == "rmse"
    assert study.split.by == "random"


def test_few_whole_numbers_are_classes_unless_told(tmp_path: Path) -> None:
    file = table(tmp_path, columns())
    guessed = new(file, "rooms", out=tmp_path / "guessed.toml")
    assert list(checked(guessed).task.alternatives) == ["classification"]
    assert "A guess" in guessed.read_text(encoding="utf-8")
    told = new(file, "rooms", task="regression", out=tmp_path / "told.toml")
    assert list(checked(told).task.alternatives) == ["regression"]
    assert "A guess" not in told.read_text(encoding="utf-8")


def test_uneven_classes_are_weighed_and_judged_evenly(tmp_path: Path) -> None:
    rare = columns() | {"bought": ["yes" if place % 12 == 0 else "no" for place in range(NUM_ROWS)]}
    study = checked(new(table(tmp_path, rare), "bought"))
    assert study.ranges()["task.class_weights"] == Choice(("none", "balanced"))
    assert study.search.objective == "balanced_accuracy"


def test_a_column_that_tells_the_target_is_dropped(tmp_path: Path) -> None:
    leaking = columns()
    leaking["answer"] = [{"yes": "J", "no": "N"}[str(each)] for each in leaking["bought"]]
    path = new(table(tmp_path, leaking), "bought")
    assert "answer" in checked(path).source.options["drop"]
    assert '"answer",   # equal to the target' in path.read_text(encoding="utf-8")


def test_moments_are_dropped_with_the_way_to_split_by_them(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=NUM_ROWS).strftime("%Y-%m-%d").tolist()
    path = new(table(tmp_path, columns() | {"day": days}), "bought")
    assert "day" in checked(path).source.options["drop"]
    text = path.read_text(encoding="utf-8")
    assert 'take by = "time"' in text
    as_advised = text.replace('by = "class" }', 'by = "time", column = "day" }')
    path.write_text(re.sub(r'    "day",.*\n', "", as_advised), encoding="utf-8")
    assert checked(path).split.column == "day"


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%d"])
def test_a_kept_column_of_moments_comes_with_the_way_to_split_by_it(
    tmp_path: Path, form: str
) -> None:
    days = pd.date_range("2024-01-01", periods=4).strftime(form)
    cells: list[object] = [days[place * 4 // NUM_ROWS] for place in range(NUM_ROWS)]
    path = new(table(tmp_path, columns() | {"day": cells}), "bought")
    assert "day" not in checked(path).source.options["drop"]
    text = path.read_text(encoding="utf-8")
    assert '"day" holds moments' in text
    as_advised = text.replace('by = "class" }', 'by = "time", column = "day" }')
    path.write_text(as_advised, encoding="utf-8")
    assert checked(path).split.column == "day"


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    few = {key: list(values) for key, values in columns().items() if key not in {"id", "name"}}
    doubled = {key: values + values[:40] for key, values in few.items()}
    path = new(table(tmp_path, doubled), "bought")
    study = checked(path)
    assert study.source.options["dedupe"] is True
    assert not study.allow_leaky
    assert "40 of 160 rows are equal to an earlier one" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("times", [2, 5])
def test_a_table_of_which_every_row_is_copied_leaks_nothing(tmp_path: Path, times: int) -> None:
    few = {key: list(values) for key, values in columns().items() if key not in {"id", "name"}}
    path = new(table(tmp_path, {key: each * times for key, each in few.items()}), "bought")
    found = check(path)
    assert found.study.source.options["dedupe"] is True
    assert "allow_leaky" not in path.read_text(encoding="utf-8")
    assert sum(found.prepared.num_rows.values()) == NUM_ROWS
    assert [each.code for each in found.prepared.findings] == []


def test_rows_of_few_categories_are_left_to_a_person_to_decide(tmp_path: Path) -> None:
    few = {"city": ["Bonn", "Graz"] * 60, "plan": ["a", "a", "b"] * 40, "bought": ["y", "n"] * 60}
    few["bought"][5] = "y"  # else the city would be equal to it
    path = new(table(tmp_path, few), "bought")
    assert not load_study(path).allow_leaky
    with pytest.raises(DataError, match=r"equal to rows of train, .*Set dedupe = true"):
        check(path)
    text = path.read_text(encoding="utf-8")
    assert "refuses to run this until you decide" in text.replace("\n# ", " ")
    path.write_text(text.replace("# dedupe = true", "dedupe = true"), encoding="utf-8")
    assert load_study(path).source.options["dedupe"] is True


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_and_decimal_commas_are_found(tmp_path: Path, delimiter: str) -> None:
    file = tmp_path / "people.csv"
    pd.DataFrame(columns()).to_csv(file, sep=delimiter, decimal=",", index=False)
    study = checked(new(file, "bought"))
    assert study.source.options["delimiter"] == delimiter
    assert study.source.options["decimal"] == ","
    text = file.with_suffix(".toml").read_text(encoding="utf-8")
    assert re.search(r"# +age +numeric", text)
    assert "NEW.csv --delimiter " in text


def test_usual_words_for_a_missing_number_are_found(tmp_path: Path) -> None:
    ages = ["unknown" if place % 9 == 0 else 20 + place for place in range(NUM_ROWS)]
    study = checked(new(table(tmp_path, columns() | {"age": ages}), "bought"))
    assert "unknown" in study.source.options["missing"]


def test_text_among_numbers_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    ages = ["oops" if place == 3 else 20 + place for place in range(NUM_ROWS)]
    with pytest.raises(DataError, match=r"people\.csv:5: .*'oops'"):
        new(table(tmp_path, columns() | {"age": ages}), "bought")
    assert not (tmp_path / "people.toml").exists()


def test_a_parquet_file(tmp_path: Path) -> None:
    pd.DataFrame(columns()).to_parquet(tmp_path / "people.parquet")
    study = checked(new(tmp_path / "people.parquet", "price"))
    assert study.source.name == "parquet"


def test_names_that_toml_and_comments_must_escape(tmp_path: Path) -> None:
    odd = {f'say "{key}"\\\n\x7fü' if key == "city" else key: v for key, v in columns().items()}
    odd["a]#="] = ["x", "y"] * (NUM_ROWS // 2)
    file = table(tmp_path, odd, "my people (ü).csv")
    path = new(file, "bought")
    assert path.name == "my-people.toml"
    names = [column.name for column in check(path).prepared.signature.columns]
    assert 'say "city"\\\n\x7fü' in names
    path.unlink()
    strange = 'na"me,\n'
    targets = columns() | {strange: columns()["bought"]}
    path = new(table(tmp_path, targets), strange.strip())
    assert load_study(path).source.options["target"] == strange.strip()


def test_a_study_beside_another_folder_names_its_data_root(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    file = table(tmp_path / "data", columns())
    below = checked(new(file, "bought", out=tmp_path / "below.toml"))
    assert below.source.options["path"] == "data/people.csv"
    beside = checked(new(file, "bought", out=tmp_path / "elsewhere" / "beside.toml"))
    assert beside.source.options["data_root"] == "../data"


def test_an_existing_file_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"people\.toml is there already"):
        new(table(tmp_path, columns()), "bought")
    assert (tmp_path / "people.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("asked", "out", "message"),
    [
        (("bougt", None), "x.toml", "Did you mean 'bought'?"),
        (("", None), "x.toml", "\n  rooms\n  price\n  bought"),
        (("bought", "clasification"), "x.toml", "Did you mean 'classification'?"),
        (("bought", None), "x.yaml", "ends in .toml"),
        (("bought", None), "ü.toml", "A-Z a-z 0-9"),
        (("bought", None), "nowhere/x.toml", "there is no folder"),
    ],
)
def test_what_is_asked_for_wrongly(
    tmp_path: Path, asked: tuple[str, str | None], out: str, message: str
) -> None:
    file = table(tmp_path, columns())
    with pytest.raises(UsageError) as raised:
        new(file, *asked, tmp_path / out)
    assert message in str(raised.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["people.csv"]


def test_a_table_without_a_useful_column_is_refused(tmp_path: Path) -> None:
    useless = {key: columns()[key] for key in ("name", "bought")}
    with pytest.raises(DataError, match="no column is left to learn from"):
        new(table(tmp_path, useless), "bought")


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*none\.csv"):
        new(tmp_path / "none.csv", "bought")
    with pytest.raises(UsageError, match=r"is a folder.*components images"):
        new(tmp_path, "bought")


@pytest.mark.parametrize("content", ["", "a,b\n", 'a,b\n"1,2\n'])
def test_a_file_that_is_no_table(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match=r"x\.csv"):
        new(tmp_path / "x.csv", "b")


def test_texts_are_told_classification_when_regression_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape('task.name = "classification"')):
        new(table(tmp_path, columns()), "bought", "regression")


@pytest.mark.parametrize("num_rows", [60, 1500, 12_000])
def test_ranges_grow_with_the_table(tmp_path: Path, num_rows: int) -> None:
    text = new(table(tmp_path, columns(num_rows)), "bought").read_text(encoding="utf-8")
    widths = re.search(r"^width = \{ choice = (\[.*\]) \}", text, re.MULTILINE)
    assert widths is not None
    assert max(json.loads(widths[1])) == {60: 64, 1500: 128, 12_000: 256}[num_rows]
