"""Read the text of a study file. Knows TOML and files, no key of a study.

Loads nothing that knows components: a study that is finished is found out from here alone.
"""

import re
import stat
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nnsearch.study.complaints import Complaints
from nnsearch.study.overrides import MAX_DEPTH

MAX_BYTES = 1_000_000
# tomllib needs the square of the parts of a key, so that a key of thousands would take minutes
MAX_DOTS = 100


def read_tables(path: Path) -> dict[str, Any]:
    """What a study file holds, unchecked. Raises StudyError where it is no TOML."""
    return parse(read_text(path), Complaints(str(path), {}, {}, []))


def read_text(path: Path) -> str:
    """The text of a study file. Raises StudyError where it is none that could be one."""
    complaints = Complaints(str(path), {}, {}, [])
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            is_folder = stat.S_ISDIR(facts.st_mode)
            what = "a folder, not a study file" if is_folder else "no plain file"
            complaints.stop("E002", (), f"this is {what}.", "Name a .toml file.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        complaints.stop("E001", (), "there is no such file.", _similar(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        complaints.stop("E008", (), f"this cannot be read: {reason}.")
    if len(content) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES} bytes."
        complaints.stop("E003", (), message, "A study file is a page or two of text.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = Complaints(f"{path}:{line}", {}, {}, [])
        place.stop("E004", (), f"byte {error.start + 1} is not UTF-8.", "Save it as UTF-8.")
    if not text.strip():
        complaints.stop("E005", (), "the file is empty.", "Try nnsearch new.")
    return text


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {path.parent} either."
    names = [each.name for each in path.parent.glob("*.toml")]
    close = get_close_matches(path.name, sorted(names), n=3)
    return f"Did you mean {' or '.join(close)}?" if close else ""


def parse(text: str, complaints: Complaints) -> dict[str, Any]:
    """The tables of a text; what is wrong with it is told to `complaints`, which raise it."""
    too_deep = f"tables or arrays are nested more than {MAX_DEPTH} deep."
    for number, line in enumerate(text.split("\n"), start=1):
        is_key = line.lstrip().startswith("[") or "=" in line
        if is_key and line.partition("=")[0].count(".") > MAX_DOTS:
            Complaints(f"{complaints.file}:{number}", {}, {}, []).stop("E007", (), too_deep)
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        complaints.stop("E007", (), too_deep)
    except ValueError as error:
        message, _, place = str(error).partition(" (at ")
        if not isinstance(error, tomllib.TOMLDecodeError):
            message = "an integer has thousands of digits"
        line_number = re.match(r"line (\d+)", place)
        number = int(line_number[1]) if line_number else text.rstrip("\n").count("\n") + 1
        where = complaints.file if not place else f"{complaints.file}:{number}"
        Complaints(where, {}, {}, []).stop("E006", (), f"not TOML: {message}.")
    if _is_deeper(tables, MAX_DEPTH):
        complaints.stop("E007", (), too_deep)
    return tables


def _is_deeper(value: object, depth: int) -> bool:
    level: list[object] = [value]
    for _ in range(depth):
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        level = below
    return any(isinstance(each, dict | list) for each in level)
