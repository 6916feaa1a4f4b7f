"""The resolved study, what makes trials comparable, and what is said where they are not."""

import json
import shutil
from pathlib import Path

import pytest

from nnsearch.study.fingerprint import difference, fingerprint, to_json
from nnsearch.study.load import load_study
from nnsearch.study.spec import Study

GOLDEN = Path(__file__).parent / "golden" / "study"
WIDTH = 'model."parts.py:mlp".width'


def load(*overrides: str) -> Study:
    for name in ("small.toml", "parts.py"):
        shutil.copyfile(GOLDEN / name, name)
    return load_study(Path("small.toml"), overrides=overrides, allow_code=True)


def test_the_resolved_study_is_the_golden_one() -> None:
    resolved = to_json(load())
    # the options of [training] and the defaults of a sampler are not this test's
    resolved["training"] = {"epochs": resolved["training"]["epochs"]}
    assert resolved == json.loads((GOLDEN / "small.json").read_text(encoding="utf-8"))


def test_the_resolved_study_is_json() -> None:
    resolved = to_json(load())
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "description=text",
        "search.trials=100",
        "search.timeout=10",
        "search.sampler=tpe",
        "search.pruner=median",
        "search.target=0.5",
        "training.device=cpu",
        "optimizer.lr={ float = [0.0001, 0.1], log = true }",
    ],
)
def test_what_changes_no_trial_changes_no_fingerprint(override: str) -> None:
    assert fingerprint(load(override)) == fingerprint(load())
    assert difference(to_json(load()), to_json(load(override))) == []


CHANGES = [
    ("seed=8", "seed: 7 -> 8"),
    ("search.direction=minimize", 'search.direction: null -> "minimize"'),
    ("search.objective=loss", 'search.objective: "" -> "loss"'),
    ("data.split.by=random", 'data.split.by: "class" -> "random"'),
    ("training.epochs=6", "training.epochs: 5 -> 6"),
    ("optimizer.lr=0.5", "optimizer.lr: float [0.0001, 0.1], log true -> 0.5"),
    ("task.smoothing=0.5", "task.smoothing: 0.0 -> 0.5"),
    (
        f"{WIDTH}={{ choice = [32, 128] }}",
        "model.parts.py:mlp.width: choice [32, 64] -> choice [32, 128]",
    ),
    (
        "data.'parts.py:source'.path=b.csv",
        'data.parts.py:source.path: "a.csv" -> "b.csv"',
    ),
    (
        'data.transforms=["parts.py:table"]',
        'data.transforms: [] -> ["parts.py:table"]',
    ),
]


@pytest.mark.parametrize(("override", "line"), CHANGES)
def test_what_changes_trials_is_told_by_its_path(override: str, line: str) -> None:
    old, new = load(), load(override)
    assert fingerprint(old) != fingerprint(new)
    assert line in difference(to_json(old), to_json(new))


def test_a_difference_survives_the_way_through_a_file() -> None:
    old, new = to_json(load()), to_json(load("seed=8"))
    assert difference(json.loads(json.dumps(old)), new) == ["seed: 7 -> 8"]


def test_an_option_that_is_new_or_gone_is_told() -> None:
    one, two = to_json(load()), to_json(load("model.name=parts.py:cnn"))
    lines = difference(one, two)
    assert 'model.name: nothing -> "parts.py:cnn"' in lines
    assert 'model.one_of: ["parts.py:mlp", "parts.py:cnn"] -> nothing' in lines


def test_the_order_of_keys_does_not_matter() -> None:
    load()
    text = Path("small.toml").read_text(encoding="utf-8")
    swapped = text.replace("seed = 7\n", "").replace('name = "small"', 'seed = 7\nname = "small"')
    lines = swapped.split("\n")
    first, second = (
        next(index for index, line in enumerate(lines) if line.startswith(key))
        for key in ("depth", "width")
    )
    lines[first], lines[second] = lines[second], lines[first]
    Path("other.toml").write_text("\n".join(lines), encoding="utf-8")
    other = load_study(Path("other.toml"), allow_code=True)
    assert fingerprint(other) == fingerprint(load())
    assert list(other.ranges()) == list(load().ranges())


@pytest.mark.parametrize(
    "path", ["task.focal_gamma", "model.mlp.initialiser", "optimizer.sgd.nesterov", "training.l1"]
)
def test_an_option_that_came_with_a_later_version_is_no_difference(
    path: str, repository: Path
) -> None:
    digits = repository / "studies" / "digits.toml"
    new = to_json(load_study(digits))
    old = json.loads(json.dumps(new))
    *tables, option = path.split(".")
    table = old
    for each in tables:
        table = table[each]
    del table[option]
    assert difference(old, new) == []
    value = {"task.focal_gamma": 1.0, "training.l1": 0.1}.get(path)
    if value is not None:
        table = new
        for each in tables:
            table = table[each]
        table[option] = value
        assert difference(old, new) == [f"{path}: nothing -> {value}"]
