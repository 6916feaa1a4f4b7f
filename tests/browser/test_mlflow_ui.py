"""What a person sees of a finished study in the MLflow UI, in a real browser.

NNSEARCH_SCREENSHOTS names a folder for the pictures, so that a person can look at them too.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import finished
import numpy as np
import pytest
from devtools import Page, page
from PIL import Image

from nnsearch.commands.show import show, show_trial
from nnsearch.commands.ui import Ui, ui

# The study, the server and the browser come up within the first test.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
# Curves of several epochs, and an objective of which no two trials have the same value.
STUDY = f"{finished.STUDY.replace('epochs = 2', 'epochs = 8')}objective = 'log_loss'\n"
NUM_EPOCHS = 8
NUM_COLOURS = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """A browser's page, the server it looks at, and the runs of that server's store."""

    page: Page
    server: Ui
    home: Path
    pictures: Path

    def run_page(self, number: int, below: str) -> str:
        """The address of a page of the run of trial `number` of `flowers`."""
        table = self.server.pages["flowers"].partition("?")[0]
        return f"{table}/{self.run_id(number)}/{below}?workflowType=machine_learning"

    def run_id(self, number: int) -> str:
        """MLflow's id of the run of a trial: its link in the table of runs."""
        link = f"[...document.querySelectorAll('a')].find(a => a.innerText == '{name(number)}')"
        self.page.open(self.server.pages["flowers"], until=link)
        return str(self.page.value(f"{link}.href")).rpartition("/")[2].partition("?")[0]

    def picture(self, title: str) -> np.ndarray:
        """A screenshot as colours [H, W, 3] of 0 to 255, kept below `pictures`."""
        path = self.page.picture(self.pictures / f"{title}.png")
        colours: np.ndarray = np.asarray(Image.open(path).convert("RGB"))
        return colours


@pytest.fixture(scope="module")
def seen(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("seen")
    (folder / "flowers.toml").write_text(STUDY)
    (folder / "parts.py").write_text(finished.PARTS)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "run", "flowers.toml", "--allow-code"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    home = folder / "mlruns"
    pictures = Path(os.environ.get("NNSEARCH_SCREENSHOTS", folder / "pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    with ui(home) as server, page(chromium, folder / "profile") as opened:
        yield Seen(opened, server, home, pictures)


def name(number: int) -> str:
    return f"trial-{number:04d}"


def best_first(seen: Seen) -> list[int]:
    """The complete trials as `nnsearch show` orders them: the best first."""
    return [row.trial for row in show("flowers", seen.home).trials if row.state == "complete"]


def assert_is_drawn(picture: np.ndarray) -> None:
    height, width, _ = picture.shape
    assert height > 800
    assert width >= 1400
    colours = np.unique(picture.reshape(-1, 3), axis=0)
    assert len(colours) > NUM_COLOURS, "a blank page has a handful of colours"


def test_the_link_opens_every_run_the_best_first(seen: Seen) -> None:
    complete = best_first(seen)
    (failed,) = set(range(finished.NUM_TRIALS)) - set(complete)
    seen.page.open(
        seen.server.pages["flowers"], until="document.body.innerText.includes('matching runs')"
    )
    seen.page.wait(f"document.body.innerText.includes('{name(failed)}')")
    text = seen.page.text()
    assert re.findall(r"trial-\d{4}", text) == [
        *map(name, complete),
        name(failed),  # without an objective: the last
    ]
    assert "Sort: objective" in text
    assert f"{finished.NUM_TRIALS + 1} matching runs" in text, "and the study's own run"
    assert_is_drawn(seen.picture("runs"))


def test_the_link_opens_columns_of_the_objective_and_of_what_was_searched(seen: Seen) -> None:
    rows = {row.trial: row for row in show("flowers", seen.home).trials}
    best = rows[best_first(seen)[0]]
    seen.page.open(
        seen.server.pages["flowers"],
        until=f"document.body.innerText.includes('{name(best.trial)}')",
    )
    names = "[...document.querySelectorAll('.ag-header-cell')].map(each => each.innerText.trim())"
    seen.page.wait(f"{names}.includes('model.width')")
    headers = seen.page.value(names)
    assert {"objective", "best_epoch", "model.width"} <= set(headers)
    assert "optimizer.lr" not in headers, "it was not searched"


def test_the_metrics_of_a_run_are_curves_over_its_epochs(seen: Seen) -> None:
    best = best_first(seen)[0]
    address = seen.run_page(best, "model-metrics")
    # The charts of valid/ lie below the first screen, where MLflow draws nothing.
    search = "document.querySelector('input[placeholder=\"Search metric charts\"]')"
    seen.page.open(address, until=search)
    seen.page.wait("document.body.innerText.includes('when_best/valid')")
    text = seen.page.text()
    groups = re.findall(r"^([a-z_/]+)\s*\(\d+\)", text, re.MULTILINE)
    assert groups[:4] == ["train", "valid", "when_best/train", "when_best/valid"], text
    seen.page.value(f"{search}.focus()")
    seen.page.call("Input.insertText", text="^valid/")
    # Each chart keeps what it draws: Plotly's x and y, and the key in MLflow's own history.
    curves = "[...document.querySelectorAll('.js-plotly-plot')].flatMap(each => each.data)"
    curves += ".filter(each => each.metricHistory?.[0]?.key.startsWith('valid/'))"
    lines = "document.querySelectorAll('.scatterlayer path.js-line').length"
    seen.page.wait(f"{curves}.length >= 3 && {lines} >= 3")
    told = seen.page.value(f"{curves}.map(each => [each.metricHistory[0].key, each.x, each.y])")
    drawn = {key: dict(zip(epochs, values, strict=True)) for key, epochs, values in told}
    recorded = show_trial("flowers", best, seen.home).history
    assert len(recorded) == NUM_EPOCHS
    assert "valid/accuracy" in drawn
    assert drawn == {key: {each["epoch"]: each[key] for each in recorded} for key in drawn}
    assert_is_drawn(seen.picture("metrics"))


def test_a_confusion_matrix_is_shown_as_the_picture_that_was_drawn(seen: Seen) -> None:
    address = seen.run_page(best_first(seen)[0], "artifacts/confusion_matrix.svg")
    image = "[...document.images].find(each => each.naturalWidth > 300)"
    seen.page.open(address, until=image)
    assert "confusion_matrix.svg" in seen.page.text()
    stored = next(
        seen.home.glob(f"artifacts/flowers/{address.split('/')[-3]}/**/confusion_matrix.svg")
    )
    drawn = ET.parse(stored).getroot()  # noqa: S314 - our own
    size = seen.page.value(f"[{image}.naturalWidth, {image}.naturalHeight]")
    assert size == [int(drawn.attrib["width"]), int(drawn.attrib["height"])]
    picture = seen.picture("confusion-matrix")
    assert_is_drawn(picture)
    blue = (picture[..., 2] > 120) & (picture[..., 0] < 60)
    assert blue.mean() > 0.01, "the cells of the diagonal are dark blue"
