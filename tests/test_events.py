"""Lines of events on the disk: whole ones are read, a torn last one is cut off."""

from pathlib import Path

import pytest

from nnsearch.events import cut_torn_line, whole_lines

LONG = b"x" * 200_000  # more than is read at a time


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"one\n", b"one\n"),
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"one\ntw", b"one\n"),
        (b"torn", b""),
        (b"\n", b"\n"),
        (b"one\n\n", b"one\n\n"),
        (LONG, b""),
        (b"one\n" + LONG, b"one\n"),
        (LONG + b"\n" + LONG, LONG + b"\n"),
        (b"one\n" + b"x" * ((1 << 16) - 1), b"one\n"),
        (b"one\n" + b"x" * (1 << 16), b"one\n"),
    ],
)
def test_a_file_is_cut_back_to_its_last_newline(
    content: bytes, kept: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    cut_torn_line(path)
    assert path.read_bytes() == kept
    cut_torn_line(path)
    assert path.read_bytes() == kept


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    cut_torn_line(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_torn_line_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"one\ntwo\nthr")
    assert list(whole_lines(path)) == [("one\n", 4), ("two\n", 8)]
    assert list(whole_lines(path, 4)) == [("two\n", 8)]
