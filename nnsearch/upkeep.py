"""The commands on what runs left behind: report, extend, doctor, sync, gc. They train nothing.

As in `cli`, each is one call into commands, and heavy packages are imported inside.
"""

from pathlib import Path
from typing import Annotated

import typer

from nnsearch.errors import IntegrityError
from nnsearch.terminal import MLRUNS, Home, Json, OneStudy, Storage, StudyName, say
from nnsearch.terminal import show as print_


def report(
    study: StudyName,
    *,
    out: Annotated[Path | None, typer.Option(help="The file, else in the study's folder.")] = None,
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Write a page about a study, to read offline, print or send."""
    from nnsearch.commands.report import as_document, as_text, report

    path = report(study, home, out=out)
    print_(as_document(path, study, home) if as_json else as_text(path))


def extend(
    study: StudyName,
    *,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a range.")
    ] = None,
    widen: Annotated[bool, typer.Option("--widen", help="Widen what hugs an end.")] = False,
    name: Annotated[str, typer.Option(help="Of the new version, else STUDY-2.")] = "",
    allow_code: Annotated[bool, typer.Option("--allow-code", help="Run the study's code.")] = False,
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Make a wider version of a study, which keeps its trials."""
    from dataclasses import asdict

    from nnsearch.commands.extend import as_text, extend

    extended = extend(
        study, changes=changes or (), widen=widen, new=name, home=home, allow_code=allow_code
    )
    print_(asdict(extended) if as_json else as_text(extended))


def doctor(
    study: OneStudy = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 6 on any problem.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First make damaged stores again.")
    ] = False,
    storage: Storage = "",
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Check this machine, and that all records and stores agree."""
    from nnsearch.commands.doctor import as_document, as_text, doctor

    if rebuild:
        from nnsearch.commands.rebuild import rebuild as make_again

        for kept in make_again(home=home, storage=storage, warn=say):
            say(f"damaged, and kept as {kept}")
    diagnosis = doctor(study, home=home, storage=storage)
    print_(as_document(diagnosis) if as_json else as_text(diagnosis))
    if strict and diagnosis.num_problems:
        raise IntegrityError(f"{diagnosis.num_problems} checks found a problem.", "See above.")


def sync(
    study: OneStudy = None,
    *,
    storage: Storage = "",
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Deliver to MLflow what it could not take before."""
    from nnsearch.commands.delivery import as_document, as_text, sync

    done = sync(study, home=home, storage=storage, warn=say)
    print_(as_document(done) if as_json else as_text(done))


def gc(
    study: OneStudy = None,
    *,
    keep: Annotated[int, typer.Option(help="How many of the best trials stay whole.")] = 5,
    apply: Annotated[bool, typer.Option("--apply", help="Delete, and do not only list.")] = False,
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """List, or delete, the weights of all but the best trials."""
    from nnsearch.commands.gc import as_document, as_text, gc

    collected = gc(study, home=home, keep=keep, apply=apply)
    print_(as_document(collected) if as_json else as_text(collected))
