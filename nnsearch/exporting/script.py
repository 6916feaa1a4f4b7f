"""The file predict.py of an export: the modules that need nothing of nnsearch, as one.

Knows what they are called and nothing of what they do.
"""

import ast
from pathlib import Path
from types import ModuleType

from nnsearch.data import decoding
from nnsearch.exporting import standalone, standalone_files, standalone_rows

# In the order in which they need each other while they are loaded.
PARTS = (standalone_rows, decoding, standalone_files, standalone)


def script() -> str:
    """The program as text: what `standalone` says of itself, then the code of each part.

    The parts share one namespace, so no two of them may call different things by one name.
    """
    about = ast.get_docstring(ast.parse(_source(standalone)), clean=False)
    head = f'"""{about}"""\n\nfrom __future__ import annotations\n'
    return "\n".join([head, *map(_body, PARTS)])


def _body(part: ModuleType) -> str:
    """The code of a module without its docstring, and without imports of the other parts."""
    source = _source(part)
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if is_docstring or _is_import_of_ours(statement):
            for number in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
                lines[number] = ""
    return "\n".join(lines).strip() + "\n\n"


def _is_import_of_ours(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.ImportFrom):
        return False
    return (statement.module or "").split(".")[0] in {"nnsearch", "__future__"}


def _source(part: ModuleType) -> str:
    return Path(str(part.__file__)).read_text(encoding="utf-8")
