"""What the commands have in common: options, and the two streams. Knows no command.

With `cli` and `upkeep` the only modules that print.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

MLRUNS = Path("mlruns")


def _checked(url: str) -> str:
    if url:  # what checks it is heavy
        from nnsearch.commands.storage_url import check_storage

        check_storage(url)
    return url


StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="The name of a study that ran.")]
OneStudy = Annotated[str | None, typer.Argument(metavar="STUDY", help="One study only.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Home = Annotated[Path, typer.Option("--mlruns", help="The folder that runs write to.")]
Storage = Annotated[
    str, typer.Option(help="Optuna storage URL, such as PostgreSQL's.", callback=_checked)
]


def say(text: str) -> None:
    """A message for a person, on standard error; names from files cannot colour the terminal."""
    plain = (each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
    print("".join(plain), file=sys.stderr, flush=True)


def show(content: object) -> None:
    """A text, or a document as JSON. Whoever reads only its first lines, as `head`, may."""
    try:
        print(content if isinstance(content, str) else json.dumps(content, indent=1), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
