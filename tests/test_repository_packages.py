"""Packages: what the code imports, what pyproject.toml asks for, what constraints.txt pins."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(each) for each in PROJECT["dependencies"]]
EXTRAS = {
    extra: [Requirement(each) for each in listed]
    for extra, listed in PROJECT["optional-dependencies"].items()
}
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
}
# Extras that neither `make run` nor `make test` installs.
NOT_SET_UP = {"serve", "ray"}
# This project itself, and packages whose major version is that of something else or a year.
UNBOUNDED = {"nnsearch", "packaging", "pandas-stubs", "types-psutil"}
# Scripts there run other searchers, each installed into an environment of its own.
RIVALS = ROOT / "tests" / "benchmarks"
# Modules of a package that is named otherwise.
MODULES = {"PIL": "pillow", "sklearn": "scikit-learn"}


def imported(folder: Path) -> set[str]:
    """The packages that a folder imports anywhere, the standard library and nnsearch left out."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        if RIVALS in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    outside = names - sys.stdlib_module_names - {"nnsearch"}
    return {canonicalize_name(MODULES.get(name, name)) for name in outside}


def names_of(*extras: str) -> set[str]:
    listed = [*REQUIRED, *(each for extra in extras for each in EXTRAS[extra])]
    return {canonicalize_name(each.name) for each in listed}


def test_all_that_nnsearch_imports_is_asked_for() -> None:
    found = imported(ROOT / "nnsearch")
    assert {"torch", "optuna", "mlflow", "typer"} <= found
    assert found - names_of(*(set(EXTRAS) - {"dev"})) == set()
    # what an extra brings is imported by what the extra is for, and by nothing else
    for extra in sorted(NOT_SET_UP):
        needed = found & {canonicalize_name(each.name) for each in EXTRAS[extra]}
        assert not needed, f"{needed} is imported: pin it, and take {extra} out of NOT_SET_UP"


def test_all_that_is_asked_for_is_imported() -> None:
    assert names_of() - imported(ROOT / "nnsearch") == set()


def test_all_that_tests_import_is_in_the_dev_extra() -> None:
    brought = {"export", "dashboard", "postgres"}
    assert {f"nnsearch[{each}]" for each in brought} <= {
        f"nnsearch[{extra}]" for each in EXTRAS["dev"] for extra in each.extras
    }
    own = {canonicalize_name(path.stem) for path in (ROOT / "tests").rglob("*.py")}
    assert imported(ROOT / "tests") - own - names_of("dev", *brought) == set()


@pytest.mark.parametrize("extra", ["", *sorted(EXTRAS)])
def test_every_pin_is_within_the_bounds(extra: str) -> None:
    for each in EXTRAS[extra] if extra else REQUIRED:
        name = canonicalize_name(each.name)
        if name == "nnsearch" or (extra in NOT_SET_UP and name not in PINS):
            continue
        assert name in PINS, f"{each} is not pinned"
        assert PINS[name] in each.specifier, f"{name} is pinned to {PINS[name]}, not {each}"


def test_what_the_pins_bring_is_pinned_too() -> None:
    """Else the set-up of tomorrow is another one than today's."""
    pending: list[tuple[str, tuple[str, ...]]] = [("nnsearch", ("dev", "export", "dashboard"))]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while pending:
        name, extras = pending.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in metadata.requires(name) or []:
            each = Requirement(text)
            environments = [{"extra": extra} for extra in ("", *extras)]
            if each.marker is None or any(map(each.marker.evaluate, environments)):
                pending.append((canonicalize_name(each.name), tuple(sorted(each.extras))))
    assert {name for name, _ in seen} - {"nnsearch"} - set(PINS) == set()


def test_every_bound_has_both_ends() -> None:
    for each in [*REQUIRED, *(each for listed in EXTRAS.values() for each in listed)]:
        operators = {part.operator for part in each.specifier}
        if each.name not in UNBOUNDED:
            assert operators & {">=", ">"}, each
            assert operators & {"<"}, each
