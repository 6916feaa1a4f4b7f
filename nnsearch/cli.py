"""The command line: argv, one call into commands, print. The only module that exits.

Heavy packages are imported inside the commands, so that `--help` loads none of them; and no option
has Typer's own bounds, with which `--help` would load pydantic.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nnsearch import __version__, upkeep
from nnsearch.errors import NnsearchError, StoreError, UsageError
from nnsearch.terminal import CTRL_C, MLRUNS, TERMINATED, Home, Json, Storage, StudyName, Terminated
from nnsearch.terminal import leave as _leave
from nnsearch.terminal import quick_to_leave as _quick_to_leave
from nnsearch.terminal import say as _say
from nnsearch.terminal import show as _print
from nnsearch.terminal import terminate as _terminate

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nnsearch.commands.result import Listen
    from nnsearch.study.spec import Objective

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    # Without a value of its own --help is None at the top, for which Typer 0.29 loads pydantic.
    context_settings={"default_map": {"help": False}},
)

StudyFile = Annotated[str, typer.Argument(metavar="STUDY", help="A path, or NAME of NAME.toml.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study.")
]
AllowCode = Annotated[bool, typer.Option("--allow-code", help="Run the study's own Python code.")]


def _version(is_asked: bool) -> None:
    if is_asked:
        print(f"nnsearch {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Version = False,  # noqa: ARG001 - its callback does it
) -> None:
    """Search for the best neural network for your data, and know why it is best."""
    if debug:
        os.environ["NNSEARCH_DEBUG"] = "1"


@app.command()
def run(
    study: StudyFile,
    *,
    trials: Annotated[int | None, typer.Option(help="The study's total, 1 or more.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for the search.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes; 0: one a core.")] = 0,
    grace: Annotated[float, typer.Option(help="Seconds to save in, once it is stopped.")] = 30.0,
    storage: Storage = "",
    changes: Changes = None,
    home: Home = MLRUNS,
    allow_code: AllowCode = False,
    reopen_test: Annotated[
        bool, typer.Option("--reopen-test", help="Look at test again, for another winner.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a study to the end of its budget. The same command goes on where it stopped."""
    from nnsearch.commands.places import find_study_file

    if any(each is not None and each <= 0 for each in (trials, timeout)) or min(workers, grace) < 0:
        raise UsageError("--trials and --timeout are above 0, --workers and --grace 0 or more.")
    file = find_study_file(study)
    _say(f"reading {file} ...")  # what is imported from here on takes seconds

    # No more than these: what they load, torch waits for.
    from nnsearch.commands.result import Options
    from nnsearch.commands.run import run

    def live(objective: "Objective", trials: int | None) -> "AbstractContextManager[Listen]":
        from nnsearch.tracking.console import console_listener

        return console_listener(objective, trials, stream=sys.stderr)

    chosen = Options(
        overrides=tuple(changes or ()),
        trials=trials,
        timeout=timeout,
        workers=workers,
        grace=grace,
        storage=storage,
        home=home,
        allow_code=allow_code,
        reopen_test=reopen_test,
        environ=dict(os.environ),
    )
    with _quick_to_leave(grace):
        result = run(file, chosen, show=live, warn=_say)
    from nnsearch.commands.summary import as_document, as_text

    _print(as_document(result) if as_json else as_text(result))


@app.command()
def check(
    study: StudyFile,
    *,
    changes: Changes = None,
    allow_code: AllowCode = False,
    as_json: Json = False,
) -> None:
    """Read a study and its data, and say what would be searched. Trains nothing."""
    from nnsearch.commands.check import as_document, as_text, check
    from nnsearch.commands.places import find_study_file

    checked = check(find_study_file(study), overrides=changes or (), allow_code=allow_code)
    _print(as_document(checked) if as_json else as_text(checked))


@app.command("list")
def list_(home: Home = MLRUNS, as_json: Json = False) -> None:
    """List the studies that have run."""
    from nnsearch.commands.listing import as_document, as_text, list_studies

    studies = list_studies(home)
    _print(as_document(studies) if as_json else as_text(studies, home))


@app.command()
def show(
    study: StudyName,
    trial: Annotated[int | None, typer.Option(help="Show this trial in full.")] = None,
    space: Annotated[bool, typer.Option("--space", help="Examine the search space.")] = False,
    front: Annotated[bool, typer.Option("--front", help="Show the Pareto front.")] = False,
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Show a study: its trials, the best first, and its result."""
    if space:
        from nnsearch.commands import space as doctor

        examined = doctor.examine_space(study, home)
        _print(doctor.as_document(examined) if as_json else doctor.as_text(examined))
        return
    if front:
        from nnsearch.commands import front as pareto

        found = pareto.pareto_front(study, home)
        _print(pareto.as_document(found) if as_json else pareto.as_text(found))
        return
    from nnsearch.commands.show import as_document, as_text, show, show_trial

    shown = show(study, home) if trial is None else show_trial(study, trial, home)
    _print(as_document(shown) if as_json else as_text(shown))


@app.command()
def compare(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY", help="Two or more.")],
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Compare studies: a verdict, side by side, and pictures."""
    from nnsearch.commands.compare import compare

    compared = compare(studies, home)
    _print(compared.document if as_json else compared.text)


@app.command()
def export(
    study: StudyName,
    *,
    to: Annotated[str, typer.Option(help="The format: onnx.")] = "onnx",
    trial: Annotated[int | None, typer.Option(help="This trial, not the best.")] = None,
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Export a trained model to a folder that needs no torch."""
    from nnsearch.commands.export import export

    folder = export(study, to=to, trial=trial, home=home)
    text = f"exported     {folder}\npredict      nnsearch predict {folder} INPUT"
    _print({"format": to, "folder": str(folder)} if as_json else text)


@app.command()
def predict(
    export: Annotated[str, typer.Argument(metavar="STUDY", help="A name, or an export's folder.")],
    path: Annotated[Path, typer.Argument(metavar="INPUT", help="CSV, .npy, .npz, or images.")],
    *,
    out: Annotated[Path | None, typer.Option(help="The CSV to write, else stdout.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of cells, else the study's own.")] = None,
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Predict a file's rows: labels and probabilities, or numbers."""
    from nnsearch.commands.predict import as_document, predict

    predicted = predict(export, path, delimiter=delimiter, home=home, out=out, warn=_say)
    if out is not None:
        _say(f"{len(predicted.rows)} predictions written to {out}")
    if as_json or out is None:
        _print(as_document(predicted) if as_json else predicted.csv.rstrip("\n"))


@app.command()
def ui(
    port: Annotated[int | None, typer.Option(help="5000, or the next free one.")] = None,
    host: Annotated[str, typer.Option(help="An address of this machine alone.")] = "127.0.0.1",
    home: Home = MLRUNS,
    as_json: Json = False,
) -> None:
    """Browse every trial in the MLflow UI, until Ctrl-C."""
    from nnsearch.commands.ui import as_document, as_text, ui

    _say("Starting the MLflow UI; it takes a while ...")
    with ui(home, host=host, port=port) as server:
        _print(as_document(server) if as_json else as_text(server))
        code = server.process.wait()
    raise StoreError(f"the MLflow server ended by itself (exit {code}).", "Type it again.")


@app.command()
def components(
    kind: Annotated[str, typer.Argument(help="Such as models; or a name, such as mlp.")] = "",
    name: Annotated[str, typer.Argument(help="Where kinds share it: schedules constant.")] = "",
    schema: Annotated[bool, typer.Option("--schema", help="The study file's JSON schema.")] = False,
    as_json: Json = False,
) -> None:
    """List what a study file can name, and what each option means."""
    from nnsearch.commands.catalogue_text import described
    from nnsearch.study.json_schema import json_schema

    _print(json_schema() if schema else described(kind, name, as_json=as_json))


@app.command()
def new(
    csv: Annotated[Path, typer.Argument(metavar="CSV", help="A table with a header.")],
    *,
    target: Annotated[str, typer.Option(help="The column to predict.")] = "",
    task: Annotated[str | None, typer.Option(help="classification or regression.")] = None,
    out: Annotated[Path | None, typer.Option(help="The study file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Write a commented study file for a CSV."""
    from nnsearch.commands.new import new

    out = new(csv, target, task, out)
    text = f"written      {out}\nlook at it   nnsearch check {out}\nnext         nnsearch run {out}"
    _print({"study_file": str(out)} if as_json else text)


for command in (upkeep.report, upkeep.extend, upkeep.doctor, upkeep.sync, upkeep.gc):
    app.command()(command)


def main() -> None:
    """Run the command line and exit with the documented code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except NnsearchError as error:
        _fail(error, error.exit_code)
    except SystemExit as stop:
        if stop.code == CTRL_C:  # Typer's answer to Ctrl-C, which it gives in silence
            _leave()
        raise
    except Terminated:
        _leave(TERMINATED)
    finally:
        gc.freeze()  # the interpreter would search what MLflow loaded for garbage: 0.7 s


def _fail(error: BaseException, code: int) -> NoReturn:
    if os.environ.get("NNSEARCH_DEBUG"):
        import traceback

        traceback.print_exception(error)
    _say(str(error) if "error[" in str(error) else f"error: {error}")
    sys.exit(code)
