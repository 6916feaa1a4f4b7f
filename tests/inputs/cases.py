"""A case of a bad input: which promise it belongs to, the files it is made of, what is said."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
SMALL = (HERE / "small.toml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Case:
    """`write` fills an empty folder; `words` follow `nnsearch check`, or `nnsearch run`."""

    promise: str
    name: str
    write: Callable[[Path], object]
    code: int = 2
    words: tuple[str, ...] = ("small.toml",)


def text_file(content: str | bytes, name: str = "small.toml") -> Callable[[Path], object]:
    """A folder with one file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def edits() -> Iterator[Case]:
    """Each entry of edits.txt as a case."""
    promise = ""
    for entry in (HERE / "edits.txt").read_text(encoding="utf-8").split("\n\n")[1:]:
        head, *lines = entry.strip("\n").split("\n")
        if head.startswith("## "):
            promise = head[3:]
        else:
            yield Case(promise, head[2:], text_file(_edited(lines)))


def messages() -> dict[str, list[str]]:
    """What messages.txt says of each case."""
    found: dict[str, list[str]] = {}
    for entry in (HERE / "messages.txt").read_text(encoding="utf-8").split("\n\n"):
        name, *lines = entry.strip("\n").split("\n")
        found[name.removeprefix("# ")] = lines
    return found


def _edited(lines: list[str]) -> str:
    """small.toml with each run of lines marked - replaced by the lines marked + behind it."""
    runs = [[line[2:] for line in run] for _, run in groupby(lines, key=lambda line: line[:1])]
    text = SMALL
    for old, new in zip(map("\n".join, runs[::2]), map("\n".join, runs[1::2]), strict=True):
        if text.count(old) != 1:
            raise ValueError(f"{old!r} does not stand in small.toml once")
        text = text.replace(old, new)
    return text
