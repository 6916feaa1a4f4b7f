"""Constraints as texts and as numbers; what a study keeps of its goals."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.errors import StudyError
from nnsearch.study.fingerprint import comparable, difference, fingerprint, to_json
from nnsearch.study.limits import (
    COSTS,
    Limit,
    LimitError,
    costs_of,
    exceeded,
    excess_of,
    limit_of,
    limits_of,
)
from nnsearch.study.load import load_study
from nnsearch.study.objective import objective, other_objectives
from nnsearch.study.recorded import recorded_limits, recorded_study
from nnsearch.study.spec import Direction, Objective, Study
from nnsearch.study.toml_text import study_tables, toml

TEXT = """
[data]
source = "digits"
[task]
name = "classification"
[model]
name = "mlp"
[search]
trials = 4
"""
DIRECTIONS: dict[str, Direction] = {"accuracy": "maximize", "log_loss": "minimize"}


def study_of(*lines: str) -> Study:
    path = Path("goals.toml")
    path.write_text(TEXT + "\n".join(lines))
    return load_study(path)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("parameters <= 100_000", Limit("parameters", "<=", 100_000.0)),
        (" cost/latency<=.5e1 ".replace(".5e1", "0.5e1"), Limit("latency", "<=", 5.0)),
        ("valid/recall >= -1e-3", Limit("valid/recall", ">=", -0.001)),
    ],
)
def test_a_constraint_is_read_and_written_back(text: str, limit: Limit) -> None:
    assert limit_of(text) == limit
    assert limit_of(str(limit)) == limit


@given(st.sampled_from([*COSTS, "valid/mcc"]), st.floats(-1e300, 1e300))
def test_the_bound_survives_its_text_bit_for_bit(name: str, bound: float) -> None:
    limit = Limit(name, "<=", bound)
    assert limit_of(str(limit)).bound.hex() == (bound + 0.0).hex() or bound == 0


@pytest.mark.parametrize("text", ["latency <= 1_", "latency <= 1__0", "latency <= 0x1", "<= 1", ""])
def test_what_toml_would_not_take_for_a_number_is_none(text: str) -> None:
    with pytest.raises(LimitError):
        limit_of(text)


def test_excess_is_above_zero_where_a_constraint_is_broken() -> None:
    limits = [limit_of("parameters <= 100"), limit_of("valid/accuracy >= 0.9")]
    values = {"cost/parameters": 150.0, "valid/accuracy": 0.95}
    found = excess_of(limits, values)
    assert found["parameters <= 100"] == 50
    assert found["valid/accuracy >= 0.9"] == pytest.approx(-0.05)
    assert exceeded(found) == "parameters <= 100 by 50"
    assert limits[0].share(50) == 0.5
    assert excess_of(limits, {"cost/parameters": 100.0}) == {"parameters <= 100": 0.0}
    assert limits[1].excess(float("nan")) == float("inf")


def test_only_costs_that_somebody_asks_for_are_measured() -> None:
    goals = [Objective("accuracy", "maximize"), Objective("cost/latency", "minimize")]
    limits = [limit_of("latency <= 1"), limit_of("size <= 9"), limit_of("valid/mcc >= 0")]
    assert costs_of(goals, limits) == ("latency", "size")
    assert costs_of(goals[:1], limits[2:]) == ()


def test_a_study_without_goals_keeps_its_fingerprint_and_its_old_record() -> None:
    study = study_of()
    resolved = json.loads(json.dumps(to_json(study)))
    assert not {path for path in comparable(resolved) if path.endswith(("objectives", "traints"))}
    older = json.loads(json.dumps(resolved))
    del older["search"]["objectives"], older["search"]["constraints"]
    assert comparable(older) == comparable(resolved)
    assert difference(older, resolved) == []
    assert recorded_study({"study": older, "root": "."}).search == study.search
    assert recorded_limits({"study": older}) == ()


def test_goals_that_change_are_a_difference() -> None:
    plain, both = study_of(), study_of('objectives = ["accuracy", "latency"]')
    tight, loose = (study_of(f'constraints = ["latency <= {each}"]') for each in (1, 2))
    assert difference(to_json(plain), to_json(both)) == [
        'search.objectives: nothing -> ["accuracy", "cost/latency"]'
    ]
    assert difference(to_json(tight), to_json(loose)) == [
        'search.constraints: ["latency <= 1"] -> ["latency <= 2"]'
    ]
    assert len({fingerprint(each) for each in (plain, both, tight, loose)}) == 4
    spaced = study_of('constraints = ["cost/latency<=1.0"]')
    assert fingerprint(spaced) == fingerprint(tight)


def test_goals_come_back_from_the_record_and_from_a_new_file() -> None:
    study = study_of('objectives = ["valid/accuracy", "latency"]', 'constraints = ["size<=1_000"]')
    resolved = json.loads(json.dumps(to_json(study)))
    assert recorded_study({"study": resolved, "root": "."}).search == study.search
    assert recorded_limits({"study": resolved}) == limits_of(study) == (Limit("size", "<=", 1000),)
    again = Path("again.toml")
    again.write_text(toml(study_tables(resolved, Path())))
    assert load_study(again).search == study.search
    assert "objectives" not in toml(study_tables(to_json(study_of()), Path()))


def test_the_first_objective_is_the_main_one_and_costs_are_to_be_low() -> None:
    study = study_of('objectives = ["log_loss", "size", "accuracy"]')
    assert objective(study, DIRECTIONS) == Objective("log_loss", "minimize")
    assert other_objectives(study, DIRECTIONS) == (
        Objective("cost/size", "minimize"),
        Objective("accuracy", "maximize"),
    )
    assert [each.key for each in other_objectives(study, DIRECTIONS)] == [
        "cost/size",
        "valid/accuracy",
    ]


def test_a_metric_that_the_task_does_not_have_is_refused_wherever_it_stands() -> None:
    study = study_of('objectives = ["acuracy", "latncy"]', 'constraints = ["valid/mcc >= 0"]')
    with pytest.raises(StudyError) as caught:
        objective(study, DIRECTIONS)
    said = [str(each) for each in caught.value.problems]
    assert [line.split("'")[3] for line in said] == ["acuracy", "latncy", "mcc"]
    assert said[0].endswith("Did you mean 'accuracy'?")
    assert said[1].endswith("Did you mean 'latency'?")
