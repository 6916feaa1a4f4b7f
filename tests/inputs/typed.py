"""The real command line, typed in this process, and what lies in a folder before and after."""

import re
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from nnsearch import cli

# A place where there is one, then what is wrong. At most twenty, and how many there are more.
LINE = re.compile(r"(.+: )?error(\[E\d{3}\])?: .+")
MOST_LINES = 21


class Said(NamedTuple):
    """How a command ended, and what it said on its two streams."""

    code: int
    out: str
    err: str


def typed(*words: object) -> Said:
    """What `nnsearch WORDS` says. An error that would be a traceback is raised."""
    terminate, argv = signal.getsignal(signal.SIGTERM), sys.argv
    sys.argv = ["nnsearch", *map(str, words)]
    out, err = StringIO(), StringIO()
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, terminate)
    return Said(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file and folder below, with what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }
