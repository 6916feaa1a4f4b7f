"""Files that a study may read: below its folder or below `data_root`. Opens none of them."""

import os
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from nnsearch.errors import DataError, Problem

# A compressed file may be this many times larger inside before it counts as an attack.
MOST_EXPANSION = 100
SMALL_BYTES = 16 * 2**20

_LISTED = 8


def find_files(root: Path, data_root: str, **paths: str) -> dict[str, Path]:
    """The file of each option, resolved; options with an empty path are left out.

    Paths are relative to `data_root` where it is given (itself relative to `root`, the study's
    folder), else to `root`. Raises DataError with every option whose file is missing, is no plain
    file, or lies outside both folders, through `..`, a link or an absolute path.
    """
    base = (root / data_root).resolve()
    allowed = [root.resolve(), base]
    found = {key: _find(base, allowed, key, path) for key, path in paths.items() if path}
    problems = [each for each in found.values() if isinstance(each, Problem)]
    if data_root and not base.is_dir():
        problems = [
            Problem("E301", f"data_root is no folder: {data_root}.", hint=_similar(base, data_root))
        ]
    if problems:
        raise DataError(problems)
    return {key: each for key, each in found.items() if isinstance(each, Path)}


def find_folder(root: Path, data_root: str, option: str, path: str) -> Path:
    """The folder that an option names, resolved, by the rules of `find_files`."""
    base = (root / data_root).resolve()
    if data_root and not base.is_dir():
        message = f"data_root is no folder: {data_root}."
        raise DataError([Problem("E301", message, hint=_similar(base, data_root))])
    found = _find(base, [root.resolve(), base], option, path, kind="folder")
    if isinstance(found, Problem):
        raise DataError([found])
    return found


def files_below(folder: Path, root: Path, data_root: str) -> Iterator[tuple[Path, str]]:
    """Each file below a folder and what keeps it from being read, empty where nothing does.

    They come in the order of their names, folder by folder. Names that begin with a point are
    passed over. A link may lead to a file below the study's folder or `data_root`, and nowhere
    else.
    """
    allowed = [root.resolve(), (root / data_root).resolve()]
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda each: each.name)
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(path, root, data_root)
        elif entry.is_symlink() and not _is_below(path.resolve(), allowed):
            yield path, "is a link that leads out of the study's folder"
        elif entry.is_dir():
            yield path, "is a link to a folder"
        else:
            yield path, "" if entry.is_file() else "is a device, a pipe or a link to nothing"


def _is_below(target: Path, allowed: list[Path]) -> bool:
    return any(target.is_relative_to(each) for each in allowed)


def _find(
    base: Path, allowed: list[Path], option: str, path: str, *, kind: str = "file"
) -> Path | Problem:
    if "\0" in path:
        return Problem("E301", f"{option} has a NUL character in its path.", hint="Check it.")
    target = (base / path).resolve()
    if not _is_below(target, allowed):
        return Problem(
            "E302",
            f"{option} = '{path}' lies outside the study's folder.",
            hint="Move the file there, or name its folder with data_root.",
        )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return Problem(
            "E301", f"{option} = '{path}': there is no such {kind}.", hint=_similar(target, path)
        )
    except OSError as error:
        return Problem("E303", f"{option} = '{path}' cannot be opened: {error.strerror}.")
    is_wanted = stat.S_ISDIR(mode) if kind == "folder" else stat.S_ISREG(mode)
    if not is_wanted:
        hint = "Name a folder." if kind == "folder" else "Name a plain file."
        return Problem("E303", f"{option} = '{path}' is {_what(mode)}.", hint=hint)
    return target


def _what(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "a device or pipe"


def _similar(target: Path, path: str) -> str:
    """What the person may have meant: near names in the same folder, else what lies there."""
    folder = target.parent
    if not folder.is_dir():
        return f"There is no folder '{Path(path).parent}' either."
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    close = get_close_matches(target.name, names, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(f"'{each}'" for each in close) + "?"
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"Its folder holds: {listed}." if names else "Its folder is empty."
