"""Study files that are wrong as a whole, and words beside them that are."""

import os
from collections.abc import Callable
from pathlib import Path

from cases import SMALL, Case, edits, text_file

SECRET = "geheim"  # noqa: S105 - no password of anybody's


def _parts(folder: Path) -> None:
    own = SMALL.partition("[model]")[0] + '[model]\nname = "../parts.py:net"\n\n[optimizer]'
    (folder / "small.toml").write_text(own + SMALL.partition("[optimizer]")[2])


def _folder(folder: Path) -> None:
    (folder / "small.toml").mkdir()


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "small.toml")


def _near(folder: Path) -> None:
    (folder / "studies").mkdir()
    (folder / "studies" / "small.toml").write_text(SMALL)


def _choices(number: int) -> Callable[[Path], object]:
    return text_file(SMALL.replace("[32, 64]", str(list(range(1, number + 1)))))


def _stored(url: str) -> tuple[str, ...]:
    return ("small.toml", "--storage", url)


FILE = "not UTF-8, empty, a folder, 20 MB, nested deep"
STORAGE = "bad storage URL"
CODE = "user code without --allow-code"

WHOLE = (
    Case("choices", "257 choices", _choices(257)),
    Case(
        FILE, "bytes that are no UTF-8", text_file(SMALL.replace("small", "été").encode("latin-1"))
    ),
    Case(FILE, "an empty file", text_file("")),
    Case(FILE, "a file of spaces", text_file(" \n\n")),
    Case(FILE, "a folder", _folder),
    Case(FILE, "a pipe", _pipe, words=("./small.toml",)),
    Case(FILE, "20 MB", text_file(b"#" * 20_000_000)),
    Case(FILE, "arrays nested 5000 deep", text_file(SMALL.replace("= 7", "= " + "[" * 5000))),
    Case(FILE, "tables nested 5000 deep", text_file(f"[{'.'.join('a' * 5000)}]\n{SMALL}")),
    Case(FILE, "no TOML", text_file(SMALL.replace("= 7", "="))),
    Case(FILE, "a key twice", text_file(SMALL.replace("seed = 7", "seed = 7\nseed = 8"))),
    Case(FILE, "a number of 5000 digits", text_file(SMALL.replace("= 7", "= " + "7" * 5000))),
    Case(FILE, "nothing of that name", _near, words=("smal",)),
    Case(CODE, "a file outside the folder", _parts, words=("small.toml", "--allow-code")),
    Case(
        "unknown table or key",
        "a --set of an unknown key",
        text_file(SMALL),
        words=("small.toml", "--set", "optimizer.lrr=1"),
    ),
)
RUN_ONLY = (
    Case(STORAGE, "no URL", text_file(SMALL), words=_stored(f"u:{SECRET}@host")),
    Case(STORAGE, "no database", text_file(SMALL), words=_stored(f"http://u:{SECRET}@host/db")),
    Case(
        STORAGE, "a port that is none", text_file(SMALL), words=_stored(f"mysql://u:{SECRET}@h:x/d")
    ),
    Case(STORAGE, "no driver", text_file(SMALL), words=_stored(f"oracle://u:{SECRET}@host/db")),
    Case(STORAGE, "a brace", text_file(SMALL), words=_stored(f"sqlite:////{SECRET}/{{}}.db")),
    Case(
        "trials that are no count",
        "--trials 0",
        text_file(SMALL),
        words=("small.toml", "--trials", "0"),
    ),
)
STUDIES = (*edits(), *WHOLE)
