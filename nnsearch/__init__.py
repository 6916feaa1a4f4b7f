"""Search neural-network hyperparameters and track every experiment.

    from nnsearch import load_study, run, export, load_predictor

Each name is imported when it is first used, so that `import nnsearch` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnsearch.commands.compare import compare as compare
    from nnsearch.commands.export import export as export
    from nnsearch.commands.report import report as report
    from nnsearch.commands.result import Options as Options
    from nnsearch.commands.result import RunResult as RunResult
    from nnsearch.commands.run import run as run
    from nnsearch.errors import NnsearchError as NnsearchError
    from nnsearch.exporting.runtime import load_predictor as load_predictor
    from nnsearch.study.load import load_study as load_study

__version__ = "0.1.0"

_PUBLIC = {
    "NnsearchError": "nnsearch.errors",
    "Options": "nnsearch.commands.result",
    "RunResult": "nnsearch.commands.result",
    "compare": "nnsearch.commands.compare",
    "export": "nnsearch.commands.export",
    "load_predictor": "nnsearch.exporting.runtime",
    "load_study": "nnsearch.study.load",
    "report": "nnsearch.commands.report",
    "run": "nnsearch.commands.run",
}

__all__ = [
    "NnsearchError",
    "Options",
    "RunResult",
    "__version__",
    "compare",
    "export",
    "load_predictor",
    "load_study",
    "report",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nnsearch' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)
