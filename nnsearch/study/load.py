"""Load a study: read its file, lay the overrides over it, check every key."""

from collections.abc import Sequence
from pathlib import Path

from nnsearch.study.bind import bind
from nnsearch.study.branches import Setting
from nnsearch.study.complaints import Complaints
from nnsearch.study.file import parse, read_text
from nnsearch.study.locate import locate
from nnsearch.study.overrides import override
from nnsearch.study.spec import Study
from nnsearch.study.starts import pin


def load_study(path: Path, *, overrides: Sequence[str] = (), allow_code: bool = False) -> Study:
    """The study in the file `path`, with `overrides` such as `optimizer.lr=0.01`, checked.

    Its name is the file's where it gives none, and paths in it are relative to its folder.
    Raises StudyError with every problem that the file, the overrides and the options have.
    """
    text = read_text(path)
    complaints = Complaints(str(path), {}, {}, [])
    tables = parse(text, complaints)
    complaints = Complaints(str(path), locate(text), {}, [])
    changed = override(tables, overrides, complaints)
    return pin(bind(changed, path.stem, Setting(path.parent, allow_code, complaints)), complaints)
