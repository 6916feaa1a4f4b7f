"""What was measured, in a file of JSON lines, one a run. Knows no contestant and no table."""

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from environments import PACKAGES
from measure import Cost

from nnsearch.events import cut_torn_line

# By the contestant's name, then by the seed of the round.
Results = dict[str, dict[int, Cost]]


@dataclass(frozen=True, slots=True)
class Book:
    """A file of runs, of which those count that are `about` the same."""

    path: Path
    about: dict[str, Any]

    def results(self) -> Results:
        """The runs that the file holds; none where there is no file yet."""
        found: Results = {}
        for line in _lines(self.path):
            if line["about"] == self.about:
                found.setdefault(line["name"], {})[line["seed"]] = Cost(**line["cost"])
        return found

    def add(self, name: str, seed: int, cost: Cost) -> None:
        """Append one run; a line that an interrupted session wrote half of is cut off."""
        cut_torn_line(self.path)
        head = {"date": datetime.now(UTC).date().isoformat(), "about": self.about}
        line = {**head, "name": name, "seed": seed, "cost": asdict(cost)}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def about(**work: Any) -> dict[str, Any]:
    """What runs must have in common to stand in one table: the work, the machine, the versions."""
    names = ("nnsearch", "torch", "optuna", "mlflow", "numpy", "scikit-learn")
    return {
        **work,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version.split()[0]}",
        "versions": {name: version(name) for name in names},
        "peers": {name: list(packages) for name, packages in PACKAGES.items()},
    }


def costs(path: Path) -> dict[str, list[Cost]]:
    """All runs of a file by contestant, whatever they are about."""
    found: dict[str, list[Cost]] = {}
    for line in _lines(path):
        found.setdefault(line["name"], []).append(Cost(**line["cost"]))
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
        if line.endswith("\n"):
            yield json.loads(line)
