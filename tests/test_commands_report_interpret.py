"""What the winner of a real study looks at, in the report and in its document."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import reported
from finished import call, completed, copied, finished
from PIL import Image

from nnsearch.commands.compare_records import load
from nnsearch.commands.report import report
from nnsearch.commands.report_interpret import as_document, interpretation
from nnsearch.data import prepare
from nnsearch.data.examples import Examples
from nnsearch.reports.html_pictures import heat_of
from nnsearch.study.folder import Home

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    return reported.ran(tmp_path_factory.getbasetemp(), repository)


@pytest.mark.parametrize("study", ["breast-cancer", "diabetes"])
def test_every_column_of_a_table_has_its_loss_with_an_interval(study: str, home: Path) -> None:
    compared = load(Home(home).study(study))
    found = interpretation(compared)
    assert found is not None
    assert not found.problem
    columns = [each["name"] for each in compared.record["signature"]["columns"]]
    assert sorted(each.name for each in found.features) == sorted(columns)
    assert all(each.low <= each.drop <= each.high for each in found.features)
    assert found.features[0].drop > 0
    assert found.num_rows <= compared.record["num_rows"]["valid"]
    page = reported.parsed(report(study, home).read_text(encoding="utf-8"))
    _, *rows = page.rows("Loss by column with its 95 % interval")
    assert [row[0] for row in rows] == [each.name for each in found.features]


def test_images_stand_beside_what_their_pixels_weigh(home: Path) -> None:
    found = interpretation(load(Home(home).study("digits")))
    assert found is not None
    assert found.gap is not None
    assert found.gap < 0.1
    assert [each.truth for each in found.sights if each.is_right] == list("012345")
    assert all(each.truth != each.answer for each in found.sights if not each.is_right)
    page = reported.parsed(report("digits", home).read_text(encoding="utf-8"))
    shown = [each for each in page.all("img") if "what its pixels weigh" in each.attributes["alt"]]
    assert len(shown) == len(found.sights)
    document = as_document(found)
    assert json.loads(json.dumps(document)) is not None
    assert document is not None
    assert "heat" not in document["sights"][0]


WAVES = """
name = "waves"
[data]
source = "ts"
[data.ts]
path = "waves.ts"
[task]
name = "classification"
[model]
name = "gru"
width = 8
[optimizer]
name = "adam"
lr = 0.02
[training]
epochs = 15
[search]
trials = 1
[confirmation]
trials = 0
"""


MOODS = """[data.text_table]
path = "moods.csv"
column = "text"
target = "mood"
"""


def write_waves(folder: Path) -> None:
    """Series of four channels, of which the third goes up or down about step 5, as the class."""
    generator = np.random.default_rng(0)
    lines = ["@classLabel true up down", "@data"]
    for row in range(160):
        series = generator.normal(size=(4, 10 + row % 4)) * 0.3
        series[2, 4:7] += 2 if row % 2 else -2
        lines.append(":".join(",".join(f"{each:.4f}" for each in one) for one in series))
        lines[-1] += ":up" if row % 2 else ":down"
    (folder / "waves.ts").write_text("\n".join(lines))


def test_the_steps_that_tell_a_series_class_weigh_most(tmp_path: Path) -> None:
    write_waves(tmp_path)
    home = completed(tmp_path, "waves", WAVES) / "mlruns"
    found = interpretation(load(Home(home).study("waves")))
    assert found is not None
    assert not found.problem
    assert found.gap is not None
    assert found.gap < 0.05
    assert {each.truth for each in found.sights} == {"up", "down"}
    for sight in found.sights:
        weights = np.array([each.weights for each in sight.traces])
        assert weights.shape[0] == 4
        assert 10 <= weights.shape[1] <= 13, "nothing stands behind the end"
        assert int(np.abs(weights).sum(axis=1).argmax()) == 2
        assert np.abs(weights[2, 4:7]).sum() > np.abs(weights).sum() / 3
    page = reported.parsed(report("waves", home).read_text(encoding="utf-8"))
    labels = [each.attributes.get("aria-label", "") for each in page.all("svg")]
    drawn = [each for each in labels if "the most weight is on channel 3 at step" in each]
    assert len(drawn) == len(found.sights)
    row = found.sights[0].row
    head, first, *rest = page.rows(f"Row {row}: what each channel adds to the answer")
    assert head == ["channel", "sum", "for", "against"]
    assert (first[0], len(rest)) == ("channel 3", 3)


def test_the_words_that_tell_a_text_class_weigh_most(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    others = [f"word{number}" for number in range(30)]
    rows = ["text,mood"]
    for row in range(200):
        words = [*generator.choice(others, 7), "splendid" if row % 2 else "dreadful"]
        rows.append(f"{' '.join(generator.permutation(words))},{'good' if row % 2 else 'bad'}")
    (tmp_path / "moods.csv").write_text("\n".join(rows))
    study = WAVES.replace('"waves"', '"moods"').replace('"ts"', '"text_table"')
    study = study.replace('[data.ts]\npath = "waves.ts"', MOODS)
    home = completed(tmp_path, "moods", study) / "mlruns"
    found = interpretation(load(Home(home).study("moods")))
    assert found is not None
    assert not found.problem
    for sight in found.sights:
        word, _ = max(sight.tokens, key=lambda each: abs(each[1]))
        assert word == {"good": "splendid", "bad": "dreadful"}[sight.truth]
        assert len(sight.tokens) == 8
    page = reported.parsed(report("moods", home).read_text(encoding="utf-8"))
    row = found.sights[0].row
    _, first, *_ = page.rows(f"Row {row}: what its words add to the answer")
    assert first[0] in {"splendid", "dreadful"}
    lined = [each.text for each in page.all("span") if "border-bottom" in str(each.attributes)]
    assert {"splendid", "dreadful"} <= set(lined)


def test_the_test_split_stays_closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = prepare.open_part

    def spy(folder: Path, part: Literal["train", "valid"]) -> Examples:
        opened.append(part)
        return real(folder, part)

    for module in ("training.material", "commands.report_interpret"):
        monkeypatch.setattr(f"nnsearch.{module}.open_part", spy)
    for study in ("digits", "diabetes"):
        interpretation(load(Home(home).study(study)))
    assert set(opened) == {"train", "valid"}


def test_weights_that_are_gone_are_said_to_be_gone(home: Path, tmp_path: Path) -> None:
    shutil.copytree(Home(home).study("diabetes").root, tmp_path / "studies" / "diabetes")
    study = load(Home(tmp_path).study("diabetes"))
    assert study.best is not None
    study.ledger.folder(study.folder, study.best.trial).weights.unlink()
    found = interpretation(study)
    assert found is not None
    assert "left no weights" in found.problem
    page = reported.parsed(report("diabetes", tmp_path).read_text(encoding="utf-8"))
    assert "left no weights" in page.text


def test_code_of_ones_own_is_not_run_for_a_report(
    tmp_path_factory: pytest.TempPathFactory, own_folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    whole = finished(tmp_path_factory.getbasetemp())
    home = copied(whole, own_folder)
    assert call(["report", "flowers", "--json", "--mlruns", home], monkeypatch) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["interpretation"]["problem"].startswith("A report runs no code of your own")


def test_heat_is_orange_for_and_blue_against_and_dark_elsewhere() -> None:
    weights = np.zeros((4, 4))
    weights[0, 0], weights[3, 3] = 1.0, -1.0
    png = heat_of(np.full((1, 4, 4), 255, np.uint8), weights)
    shown = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
    red, _, blue = shown[0, 0]
    assert red > blue + 100
    red, _, blue = shown[3, 3]
    assert blue > red + 100
    assert len(set(shown[1, 1].tolist())) == 1
    assert shown[1, 1, 0] < 128
    nothing = heat_of(np.zeros((3, 400, 300), np.float32), np.zeros((400, 300)))
    assert max(Image.open(BytesIO(nothing)).size) <= 160
