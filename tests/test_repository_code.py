"""The code as a whole: its size, its layers, and what no file of it may name."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "nnsearch").rglob("*.py"))
MAX_LINES, MAX_BODY_LINES = 300, 40

# A machine's own paths, and where packages come from: pip's settings say that, no file of ours.
FORBIDDEN = {
    "the path of a home": re.compile(r"/(?:home|Users|root)/\w"),
    "the path of a machine": re.compile(r"(?<![\w.])/(?:work|opt|mnt|srv)/\w"),
    "a registry of packages": re.compile(
        r"\b(?:pypi|pythonhosted|anaconda|npmjs|jfrog|nexus|artifactory)\b|download\.pytorch|"
        r"--(?:extra-)?index-url|--find-links"
    ),
}


def tracked() -> list[Path]:
    """Every text file of the repository: what git knows, else what is no build and no run."""
    if shutil.which("git") and (ROOT / ".git").exists():
        known = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(known, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        folders = ("nnsearch", "studies", "tests", ".ci", "docker")
        paths = [path for each in folders for path in (ROOT / each).rglob("*")]
        paths += ROOT.glob("*")
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def body_lines(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function's name and the lines of its body without the docstring.

    Signatures are not counted: the formatter gives each option of a component its own line.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, node.end_lineno - body[0].lineno + 1 if body and node.end_lineno else 0


def test_no_module_is_long() -> None:
    lines = {path.relative_to(ROOT): path.read_text().count("\n") for path in MODULES}
    assert len(lines) > 50
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_no_function_is_long() -> None:
    counts = {
        f"{path.relative_to(ROOT)}:{name}": count
        for path in MODULES
        for name, count in body_lines(ast.parse(path.read_text()))
    }
    assert len(counts) > 500
    assert {name: count for name, count in counts.items() if count > MAX_BODY_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert [path for path in silent if path.stat().st_size] == []


def test_the_layers_are_kept() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [3-9] kept, 0 broken", done.stdout), done.stdout


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:60]}"
        for path in tracked()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert found == []


def test_what_runs_leave_behind_is_not_kept() -> None:
    stores = {".db", ".sqlite", ".journal", ".log", ".pt", ".onnx"}
    assert [path.name for path in tracked() if path.suffix in stores] == []
    binary = [path for path in ROOT.glob("*") if path.suffix in stores]
    assert binary == []
