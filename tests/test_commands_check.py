"""`nnsearch check`: what it says of a sound study, and what it refuses."""

import re
from itertools import takewhile
from pathlib import Path

import pytest
from finished import PARTS, STUDY, call

from nnsearch.commands.check import as_document, as_text, check, describe
from nnsearch.errors import StudyError
from nnsearch.study.spec import Choice, FloatRange, IntRange, Range


@pytest.fixture
def flowers(own_folder: Path) -> Path:
    (own_folder / "parts.py").write_text(PARTS)
    path = own_folder / "flowers.toml"
    path.write_text(STUDY.replace("[4, 8,", "[4,"))
    return path


def test_a_sound_study_is_described_and_nothing_is_written(flowers: Path) -> None:
    before = {path: path.read_bytes() for path in flowers.parent.iterdir() if path.is_file()}
    checked = check(flowers, overrides=["training.epochs=7"], allow_code=True)
    document = as_document(checked)
    assert document["searched"] == {"model.width": "4 | 16 | 32"}
    assert document["num_searched"] == 1
    assert document["study"]["training"]["epochs"] == 7
    assert document["num_rows"] == {"train": 96, "valid": 24, "test": 30}
    assert [each["code"] for each in document["findings"]] == ["W351"]
    text = as_text(checked)
    assert "the study and its data are sound" in text
    assert "iris: 4 columns, target" in text
    for said in ("model.width  4 | 16 | 32", "epochs 7", "train 96, valid 24, test 30", "trials 4"):
        assert said in text
    assert document["findings"][0]["message"] in text
    after = {path: path.read_bytes() for path in flowers.parent.iterdir() if path.is_file()}
    assert after == before


@pytest.fixture
def leaky(own_folder: Path) -> Path:
    rows = [f"{row % 25},{row % 2}" for row in range(100)]
    (own_folder / "twice.csv").write_text("\n".join(["a,y", *rows, *rows]))
    source = 'source = "csv"\n[data.csv]\npath = "twice.csv"\ntarget = "y"'
    study = STUDY.replace('source = "iris"', source).replace("parts.py:fragile", "mlp")
    path = own_folder / "leaky.toml"
    path.write_text(study)
    return path


def test_what_is_fixed_is_told_in_lines_of_whole_options(flowers: Path) -> None:
    checked = check(flowers, allow_code=True)
    lines = as_text(checked).splitlines()
    below = lines[lines.index("  fixed") + 1 : -1]
    assert max(map(len, below)) <= 100
    start = next(at for at, line in enumerate(below) if line.startswith("    training: "))
    rest = list(takewhile(lambda line: line.startswith("      "), below[start + 1 :]))
    assert rest, "one line is too short for all of them"
    options = " ".join([below[start].removeprefix("    training: "), *map(str.strip, rest)])
    told = dict(each.split(" ", 1) for each in options.split(", "))
    (wanted,) = checked.study.training.alternatives.values()
    assert told.keys() == wanted.keys()
    assert all(line.endswith(",") for line in (below[start], *rest[:-1]))


def test_how_many_are_confirmed_is_an_upper_bound(flowers: Path) -> None:
    text = as_text(check(flowers, overrides=["confirmation.trials=7"], allow_code=True))
    assert "confirmed    the best trials, up to 7, trained again on up to 5 fresh seeds\n" in text


def test_a_leak_is_refused_with_what_to_do_by_check_as_by_run(
    leaky: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("check", "run"):
        assert call([command, leaky], monkeypatch) == 3
        told = capsys.readouterr()
        assert "error[E351]" in told.err
        assert "dedupe = true" in told.err
        assert told.out == ""


def test_a_leak_that_is_allowed_is_not_called_sound(leaky: Path) -> None:
    text = as_text(check(leaky, overrides=["data.allow_leaky=true"]))
    assert "sound" not in text
    assert "its data leak, which allow_leaky lets pass" in text
    (line,) = (line for line in text.splitlines() if "equal to rows of train" in line)
    assert line.split()[0] == "warning"
    assert "look better than they are" in line
    assert "csv: 1 column, target" in text


def test_every_study_of_the_repository_is_sound(repository: Path) -> None:
    paths = sorted((repository / "studies").glob("*.toml"))
    # The others read files of packages, which have to be fetched: their first lines say how.
    fetched = re.compile(r"^#   (pip|sudo) ", re.MULTILINE)
    bundled = [path for path in paths if not fetched.search(path.read_text())]
    assert len(bundled) >= 3
    for path in bundled:
        assert as_document(check(path))["num_searched"] > 1, path


def test_a_model_that_refuses_the_data_is_named_once_with_what_to_do(flowers: Path) -> None:
    flowers.write_text(
        STUDY.replace('name = "parts.py:fragile"', 'name = "cnn"').replace(
            "width = { choice = [4, 8, 16, 32] }", "channels = { int = [4, 8] }"
        )
    )
    with pytest.raises(StudyError) as caught:
        check(flowers)
    (problem,) = caught.value.problems
    assert problem.code == "E420"
    line = flowers.read_text().splitlines().index('name = "cnn"') + 1
    assert problem.where == f"{flowers}:{line}"
    assert "needs images" in problem.message
    assert "mlp" in problem.hint


def test_a_model_of_the_users_that_raises_at_an_end_of_a_range_is_named(flowers: Path) -> None:
    flowers.write_text(STUDY.replace("[4, 8, 16, 32]", "[4, 8]"))
    with pytest.raises(StudyError, match="ValueError: a width of eight"):
        check(flowers, allow_code=True)


def test_code_of_the_users_is_not_run_unasked(flowers: Path) -> None:
    (flowers.parent / "parts.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(StudyError, match="--allow-code"):
        check(flowers)


def test_an_unknown_objective_lists_the_metrics(flowers: Path) -> None:
    with pytest.raises(StudyError, match=r"accuracy, .* Did you mean 'accuracy'"):
        check(flowers, overrides=["search.objective=acuracy"], allow_code=True)


@pytest.mark.parametrize(
    ("searched", "text"),
    [
        (Choice((1, "a", True)), "1 | a | True"),
        (IntRange(1, 3), "1 to 3"),
        (IntRange(1, 9, step=2), "1 to 9, step 2"),
        (IntRange(8, 32, log=True), "8 to 32, log"),
        (FloatRange(1e-4, 0.1, log=True), "0.0001 to 0.1, log"),
        (FloatRange(0, 1, step=0.25), "0 to 1, step 0.25"),
    ],
)
def test_a_range_in_words(searched: Range, text: str) -> None:
    assert describe(searched) == text
