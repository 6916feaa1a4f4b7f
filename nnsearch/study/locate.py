"""Find the line of each key of a TOML text. Knows no values, and trusts that the text is valid."""

import re
import tomllib
from collections.abc import Iterator

_TOKEN = re.compile(
    r'''
      (?P<skip>  [ \t\r]+ | \#[^\n]* )
    | (?P<text>  """(?:[^\\]|\\.)*?"""(?:"{0,2}) | \'\'\'.*?\'\'\'(?:'{0,2})
               | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' )
    | (?P<mark>  [\[\]{}=,.\n] )
    | (?P<bare>  [^\s\[\]{}=,.\#"']+ )
    ''',
    re.VERBOSE | re.DOTALL,
)

Token = tuple[str, str, int]


def locate(text: str) -> dict[tuple[str, ...], int]:
    """The line, counted from 1, where each table and key first stands, by its path.

    `[model.mlp]` on line 3 and `width = 64` on line 4 give `("model",): 3`, `("model", "mlp"): 3`
    and `("model", "mlp", "width"): 4`. Keys of inline tables have their line too.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    tokens = _tokens(text)
    for kind, word, line in tokens:
        if kind == "mark" and word in "\n]":
            continue  # an empty line, or the end of [[a table's header]]
        if word == "[" and kind == "mark":
            table = _note(lines, (), _key(next(tokens), tokens, "]"), line)
        else:
            path = _note(lines, table, _key((kind, word, line), tokens, "="), line)
            _value(lines, path, tokens)
    return lines


def _tokens(text: str) -> Iterator[Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "skip":
            yield kind, match.group(), line
        line += match.group().count("\n")


def _key(first: Token, tokens: Iterator[Token], end: str) -> tuple[str, ...]:
    """The parts of a dotted key up to the mark `end`; of `[[a.b]]` too."""
    parts: list[str] = []
    kind, word, _ = first
    while (kind, word) != ("mark", end):
        if kind == "text":
            parts.append(tomllib.loads(f"key = {word}")["key"])
        elif kind == "bare":
            parts.append(word)
        kind, word, _ = next(tokens, ("mark", end, 0))
    return tuple(parts)


def _note(
    lines: dict[tuple[str, ...], int], table: tuple[str, ...], key: tuple[str, ...], line: int
) -> tuple[str, ...]:
    path = (*table, *key)
    for length in range(len(table) + 1, len(path) + 1):
        lines.setdefault(path[:length], line)
    return path


def _value(
    lines: dict[tuple[str, ...], int], path: tuple[str, ...], tokens: Iterator[Token]
) -> None:
    """Pass over a value to the end of its last line, noting the keys of inline tables in it."""
    open_marks: list[tuple[str, tuple[str, ...]]] = []
    for kind, word, line in tokens:
        is_key = bool(open_marks) and open_marks[-1][0] == "{" and word not in {"\n", ",", "}"}
        if kind != "mark" and not is_key:
            continue
        if is_key and kind != "mark":
            table = open_marks[-1][1]
            path = _note(lines, table, _key((kind, word, line), tokens, "="), line)
            open_marks.append(("=", table))
        elif word in "[{":
            inside_array = bool(open_marks) and open_marks[-1][0] == "["
            open_marks.append((word, open_marks[-1][1] if inside_array else path))
        elif word in "]},":
            _close(open_marks, word)
        elif word == "\n" and not open_marks:
            return


def _close(open_marks: list[tuple[str, tuple[str, ...]]], word: str) -> None:
    """End the entry of an inline table at its comma or brace, and what the mark closes."""
    if word != "]" and open_marks and open_marks[-1][0] == "=":
        open_marks.pop()
    if word != "," and open_marks:
        open_marks.pop()
