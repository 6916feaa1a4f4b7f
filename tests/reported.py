"""What tests of reports share: three small studies that have run, and a page taken apart."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

STUDIES = ("digits", "breast-cancer", "diabetes")
NUM_TRIALS = 12
_RUN = """
import sys
from pathlib import Path
from nnsearch import Options, run
for name in sys.argv[2:]:
    few = ("training.epochs=10", "search.trials=12", "search.pruner='none'")
    run(Path(sys.argv[1]) / f"{name}.toml", Options(overrides=few, workers=1, home=Path("mlruns")))
"""
_VOID = {"br", "img", "meta"}


@cache
def ran(base: Path, repository: Path) -> Path:
    """The folder of runs of digits, breast-cancer and diabetes, each a dozen short trials."""
    folder = base / "reported"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(repository / "studies"), *STUDIES],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "mlruns"


@dataclass
class Element:
    """One element of a page, with the text within it and the elements around it."""

    name: str
    attributes: dict[str, str]
    around: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """Every element of a page, in order. Raises AssertionError where tags are not balanced."""

    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        around = tuple(each.name for each in self._open)
        element = Element(tag, {key: value or "" for key, value in attrs}, around)
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """An element ends: the one that began last."""
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop().name == tag, f"</{tag}> crosses another element"

    def handle_data(self, data: str) -> None:
        """Text, of every element around it."""
        for each in self._open:
            each.text += data

    def all(self, *names: str) -> list[Element]:
        """The elements of these names."""
        return [each for each in self.elements if each.name in names]

    def one(self, name: str, **attributes: str) -> Element:
        """The only such element."""
        (found,) = (
            each
            for each in self.all(name)
            if all(each.attributes.get(key) == value for key, value in attributes.items())
        )
        return found

    @property
    def text(self) -> str:
        """What is on the page."""
        return self.one("body").text

    def rows(self, caption: str) -> list[list[str]]:
        """The cells of the table of this caption, its head first."""
        found: list[list[str]] = []
        is_inside = False
        for each in self.elements:
            if each.name == "table":
                is_inside = False
            if each.name == "caption":
                is_inside = each.text.startswith(caption)
            if is_inside and each.name == "tr":
                found.append([])
            if is_inside and each.name in {"th", "td"}:
                found[-1].append(each.text)
        assert found, f"no table '{caption}'"
        return found


def parsed(text: str) -> Page:
    """A page taken apart; whole, and nothing left open."""
    page = Page()
    page.feed(text)
    page.close()
    assert not page._open, [each.name for each in page._open]
    return page
