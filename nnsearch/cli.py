"""The command line: argv, one call into commands, print. The only module that prints or exits.

Heavy packages are imported inside the commands, so that `nnsearch --help` loads none of them.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from nnsearch.errors import NnsearchError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Search for the best neural network for your data, and know why it is the best.",
)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A path, or a study's name.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study.")
]
Home = Annotated[Path, typer.Option("--mlruns", help="The folder that runs write to.")]
AllowCode = Annotated[bool, typer.Option("--allow-code", help="Run the study's own Python code.")]

MLRUNS = Path("mlruns")
CTRL_C, TERMINATED, BUG = 130, 143, 1


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Search for the best neural network for your data, and know why it is the best."""
    if debug:
        os.environ["NNSEARCH_DEBUG"] = "1"


@app.command()
def run(
    study: StudyArgument,
    trials: Annotated[int | None, typer.Option(min=1, help="The study's total.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for the search.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: one a core.")] = 0,
    storage: Annotated[str, typer.Option(help="Optuna storage URL, such as PostgreSQL's.")] = "",
    changes: SetOption = None,
    home: Home = MLRUNS,
    allow_code: AllowCode = False,
    as_json: Json = False,
) -> None:
    """Run a study to the end of its budget. The same command goes on where it stopped."""
    from functools import partial

    from nnsearch.commands.places import find_study_file
    from nnsearch.commands.run import Options, run
    from nnsearch.commands.summary import as_document, as_text
    from nnsearch.tracking.console import console_listener

    chosen = Options(
        overrides=tuple(changes or ()),
        trials=trials,
        timeout=timeout,
        workers=workers,
        storage=storage,
        home=home,
        allow_code=allow_code,
        environ=dict(os.environ),
    )
    path = find_study_file(study)
    result = run(path, chosen, show=partial(_show, console_listener), warn=_say)
    _print(as_document(result) if as_json else as_text(result), as_json)


def _show(listener: Callable[..., Any], objective: Any, trials: int | None) -> Any:
    return listener(objective, trials, sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(content: object, as_json: bool) -> None:
    print(json.dumps(content, indent=1) if as_json else content)


def main() -> None:
    """Run the command line and exit with the documented code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except NnsearchError as error:
        _fail(error, error.exit_code)
    except KeyboardInterrupt as error:
        _fail(error, CTRL_C, "Stopped. Nothing is lost: type the same command to go on.")
    except Terminated as error:
        _fail(error, TERMINATED, "Terminated. Nothing is lost: type the same command to go on.")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


class Terminated(BaseException):
    """SIGTERM came: like KeyboardInterrupt, not to be caught on the way up."""


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def _fail(error: BaseException, code: int, text: str = "") -> NoReturn:
    if os.environ.get("NNSEARCH_DEBUG"):
        import traceback

        traceback.print_exception(error)
    message = text or str(error)
    is_listing = "error[" in message
    print(message if text or is_listing else f"error: {message}", file=sys.stderr)
    sys.exit(code)
