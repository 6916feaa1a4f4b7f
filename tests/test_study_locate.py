"""Lines of keys in TOML that is hard to read."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.study.locate import locate

TRICKY = r'''# name = "not here"
name = "a # b" # c = 1
"quoted key" = 'single [not.a.table]'
text = """
[no.table]
key = "no key"
\""" still text """""
literal = QQQ
x = { y = 1 }
QQQ
list = [
    1, # one = 1
    { inner = { deep = 2 } },
    [ { other = 3 } ],
]

[ model . "parts.py:fn" ]
a.b.c = 1
a.b.d = { e = [1, 2], f = "}" }
when = 1979-05-27 07:32:00.999
'it "is"' = 2
[[rows]]
x = 1
[[rows]]
z = {}
'''.replace("QQQ", "'" * 3)


def paths(value: object, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path of a parsed TOML value; what lies in an array counts for the array."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*at, key)
            yield from paths(each, (*at, key))
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, at)


def test_every_key_and_no_other_is_found() -> None:
    assert set(locate(TRICKY)) == set(paths(tomllib.loads(TRICKY)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("quoted key",), 3),
        (("text",), 4),
        (("literal",), 8),
        (("list",), 11),
        (("list", "inner"), 13),
        (("list", "inner", "deep"), 13),
        (("list", "other"), 14),
        (("model",), 17),
        (("model", "parts.py:fn"), 17),
        (("model", "parts.py:fn", "a", "b", "c"), 18),
        (("model", "parts.py:fn", "a", "b", "d", "f"), 19),
        (("model", "parts.py:fn", "when"), 20),
        (("rows",), 22),
        (("rows", "x"), 23),
        (("rows", "z"), 25),
    ],
)
def test_the_line_is_where_the_key_first_stands(path: tuple[str, ...], line: int) -> None:
    assert locate(TRICKY)[path] == line


def test_lines_of_windows_count_once() -> None:
    assert locate("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


def test_other_line_separators_do_not_count() -> None:
    assert locate('a = "x\x85y\u2028z"\nb = 2')[("b",)] == 2


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\\"),
    max_size=12,
)


@given(st.lists(st.tuples(WORDS, WORDS), unique_by=lambda pair: pair[0], max_size=6))
def test_quoted_keys_and_texts_of_any_kind(pairs: list[tuple[str, str]]) -> None:
    def quoted(word: str) -> str:
        return '"' + word.replace('"', '\\"') + '"'

    text = "".join(f"{quoted(key)} = {quoted(value)} # = [\n" for key, value in pairs)
    assert locate(text) == {(key,): line for line, (key, _) in enumerate(pairs, start=1)}
