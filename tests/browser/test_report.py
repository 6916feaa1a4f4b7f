"""A report as a person sees it: on a desk and on a phone, by day and by night, and on paper.

NNSEARCH_SCREENSHOTS names a folder for the pictures, so that a person can look at them too.
"""

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reported
from devtools import FLAGS, Page, page
from PIL import Image
from test_reports_html import made

from nnsearch.reports.html import page as report_page
from nnsearch.reports.html_content import Examples, Scored
from nnsearch.study.folder import Home

# The three studies and the browser come up within the first test.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
WIDTHS = (1440, 768, 390)
SCHEMES = ("light", "dark")
# Chromium's numbers for them.
PREFERRED = {"dark": 0, "light": 1}

# Elements that stick out on the right, but for what scrolls within itself.
STICKING_OUT = """
[...document.querySelectorAll('body *')]
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .filter(each => !each.closest('.scroll, pre'))
  .map(each => each.tagName + ' ' + each.getAttribute('class'))
"""
# Words that are too faint on what lies below them (WCAG 2.2, 1.4.3).
FAINT = r"""
(() => {
  const numbers = text => {
    const found = text.match(/[\d.]+/g).map(Number);
    const rgb = text.startsWith('color(') ? found.slice(0, 3) : found.slice(0, 3).map(n => n / 255);
    return {rgb, alpha: found.length > 3 ? found[3] : 1};
  };
  const light = ({rgb}) => rgb
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const below = each => {
    for (let at = each; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.alpha > 0.99) return found;
    }
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !each.getClientRects().length) continue;
    if (each.tagName === 'title') continue;
    const style = getComputedStyle(each);
    const inside = each instanceof SVGElement;
    const pair = [light(numbers(inside ? style.fill : style.color)), light(below(each))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) faint.push([walker.currentNode.data.trim().slice(0, 30), ratio]);
  }
  return faint;
})()
"""
# Drawings whose words are smaller than a person reads without a glass.
TINY = """
[...document.querySelectorAll('svg[role=img]')]
  .filter(each => each.getBoundingClientRect().width > 0)
  .filter(each => each.getBoundingClientRect().width / each.viewBox.baseVal.width < 0.85)
  .map(each => each.getAttribute('aria-label'))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    return reported.ran(tmp_path_factory.getbasetemp(), repository)


@pytest.fixture(scope="module")
def tab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page(chromium, tmp_path_factory.mktemp("report") / "profile") as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("NNSEARCH_SCREENSHOTS", tmp_path / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def show(tab: Page, path: Path, *, width: int, scheme: str) -> None:
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < WIDTHS[1],
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.call("Emulation.setEmulatedMedia", media="", features=features)
    tab.open(path.as_uri(), until="document.readyState == 'complete'")


def whole_picture(tab: Page, path: Path, width: int) -> np.ndarray:
    """The page from top to bottom as colours [H, W, 3]."""
    height = tab.value("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = tab.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    path.write_bytes(base64.b64decode(shot["data"]))
    colours: np.ndarray = np.asarray(Image.open(path).convert("RGB")) / 255
    return colours


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("study", reported.STUDIES)
def test_the_page_fits_and_can_be_read(
    study: str, width: int, scheme: str, *, home: Path, tab: Page, pictures: Path
) -> None:
    show(tab, Home(home).study(study).report, width=width, scheme=scheme)
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.value(STICKING_OUT) == []
    assert tab.value(FAINT) == []
    assert tab.value(TINY) == []
    colours = whole_picture(tab, pictures / f"report-{study}-{width}-{scheme}.png", width)
    paper = colours[2, 2].mean()
    assert paper > 0.9 if scheme == "light" else paper < 0.2
    assert len(set(map(bytes, colours[::7, ::7].reshape(-1, 3)))) > 20, "not a blank page"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_images_and_forecasts_fit_and_can_be_read(
    width: int, scheme: str, *, tab: Page, pictures: Path
) -> None:
    path = pictures / "examples.html"
    path.write_text(examples_page(), encoding="utf-8")
    show(tab, path, width=width, scheme=scheme)
    sheets = "[...document.querySelectorAll('.sheets img')]"
    assert tab.value(f"{sheets}.filter(each => each.naturalWidth > 300).length") == 2
    assert tab.value(f"{sheets}.every(each => each.width == each.naturalWidth)")
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.value(STICKING_OUT) == []
    assert tab.value(FAINT) == []
    assert tab.value(TINY) == []
    whole_picture(tab, pictures / f"examples-{width}-{scheme}.png", width)


def examples_page() -> str:
    """A report with masks over images and with forecasts, as far as that goes together."""
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (16, 1, 8, 8), np.uint8)
    shown = {"note": np.array("orange is class 1"), "image": images, "wrong pixels": images > 200}
    targets = random.normal(size=(40, 3, 12))
    forecasts = Scored("valid", targets[:, 0] + 0.3, targets)
    return report_page(replace(made(), labels=(), examples=Examples(shown, forecasts)))


@pytest.mark.parametrize("study", reported.STUDIES)
def test_opened_details_fit_on_a_phone_too(study: str, home: Path, tab: Page) -> None:
    show(tab, Home(home).study(study).report, width=390, scheme="light")
    count = "document.querySelectorAll('details').forEach(each => each.open = true)"
    tab.value(count)
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.value(STICKING_OUT) == []
    assert tab.value(FAINT) == []


@pytest.mark.parametrize("study", reported.STUDIES)
def test_on_paper_everything_fits_and_is_dark_on_white(
    study: str, home: Path, tab: Page, pictures: Path
) -> None:
    show(tab, Home(home).study(study).report, width=794, scheme="dark")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.value(FAINT) == []
    pdf = base64.b64decode(tab.call("Page.printToPDF", printBackground=True)["data"])
    assert pdf.startswith(b"%PDF")
    (pictures / f"report-{study}.pdf").write_bytes(pdf)


def console(chromium: str, path: Path, scheme: str, profile: Path) -> list[str]:
    """What the page says on the browser's console."""
    flags = [each for each in FLAGS if "remote-debugging" not in each]
    told = ["--enable-logging=stderr", "--v=0", "--window-size=390,900", "--dump-dom"]
    preferred = f"--blink-settings=preferredColorScheme={PREFERRED[scheme]}"
    done = subprocess.run(
        [chromium, *flags, *told, preferred, f"--user-data-dir={profile}", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "</html>" in done.stdout
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_console_has_nothing_to_say(
    scheme: str, home: Path, chromium: str, tmp_path: Path
) -> None:
    for study in reported.STUDIES:
        path = Home(home).study(study).report
        assert console(chromium, path, scheme, tmp_path / study) == []


def test_what_got_into_a_page_could_neither_load_nor_run(
    home: Path, chromium: str, tmp_path: Path
) -> None:
    """The page's own policy stops what escaping would have let through."""
    text = Home(home).study("diabetes").report.read_text(encoding="utf-8")
    bad = "<script>document.title='run'</script><img src='http://127.0.0.1:9/x.png' alt=''>"
    path = tmp_path / "hostile.html"
    path.write_text(text.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    said = console(chromium, path, "light", tmp_path / "profile")
    assert len(said) == 2
    assert all("Content Security Policy" in line for line in said)
