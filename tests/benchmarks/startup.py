"""What starting costs: `nnsearch --help` beside an empty Typer program and Python itself.

python tests/benchmarks/startup.py --rounds 7
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

EMPTY = "import typer\napp = typer.Typer()\n@app.command()\ndef main() -> None: ...\napp()"
COMMANDS = {
    "python": ["-c", "pass"],
    "empty Typer program --help": ["-c", EMPTY, "--help"],
    "nnsearch --help": ["-m", "nnsearch", "--help"],
    "nnsearch run --help": ["-m", "nnsearch", "run", "--help"],
}
BASE = "empty Typer program --help"


def main(arguments: Sequence[str]) -> None:
    """Print each command's median in milliseconds, and how many times the empty program's it is."""
    parser = argparse.ArgumentParser(description="What starting costs.")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args(arguments)
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.rounds):
        for name, line in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *line], check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(each) for name, each in taken.items()}
    told = {
        name: {"ms": round(1e3 * each, 1), "times": round(each / medians[BASE], 2)}
        for name, each in medians.items()
    }
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
