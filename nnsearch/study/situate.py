"""Say where in a study file stands what a later step found wrong with it. Knows no key."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from nnsearch.errors import StudyError
from nnsearch.study.complaints import Complaints
from nnsearch.study.file import read_tables, read_text
from nnsearch.study.locate import locate
from nnsearch.study.overrides import override


@contextmanager
def situated(path: Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Within it each problem of a StudyError that names a key gets that key's file and line.

    Or the `--set` that gave it. Where the file has changed meanwhile the problems stay as they are.
    """
    try:
        yield
    except StudyError as error:
        if not any(each.at for each in error.problems):
            raise
        places = Complaints(str(path))
        with suppress(StudyError):
            places = Complaints(str(path), locate(read_text(path)))
            override(read_tables(path), overrides, places)
        raise StudyError(
            [
                replace(each, where=places.where(each.at)) if each.at else each
                for each in error.problems
            ]
        ) from error
