"""A virtual environment for each peer, outside the repository. Knows no benchmark."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# torch first and pinned everywhere: another version is another measurement, and on Linux may
# bring gigabytes of CUDA. Every peer has the torch of nnsearch's constraints.txt.
TORCH = "torch==2.13.0"
PACKAGES = {
    "optuna": ("optuna==5.0.0", "optuna-integration==5.0.0", "mlflow==3.17.2"),
    "ray": ("ray[tune]==2.60.0", "optuna==5.0.0"),
    # keras-tuner imports six and does not say so, and its Bayesian search wants the other two.
    "keras": (
        *("keras==3.15.1", "keras-tuner==1.4.8", "six==1.17.0"),
        *("scikit-learn==1.9.1", "scipy==1.17.1"),
    ),
    "skorch": ("skorch==1.4.0", "scikit-learn==1.9.1", "scipy==1.17.1"),
    "syne-tune": ("syne-tune==0.16.0",),
}
STAMP = "installed.txt"


@dataclass(frozen=True, slots=True)
class Environments:
    """The folder that peers are installed in."""

    root: Path

    def python(self, name: str) -> str:
        """The interpreter of a peer's environment, made and filled where it is not; "" is ours."""
        if not name:
            return sys.executable
        folder = self.root / name
        python = folder / "bin" / "python"
        wanted = "\n".join((TORCH, *PACKAGES[name])) + "\n"
        stamp = folder / STAMP
        if not stamp.exists() or stamp.read_text() != wanted:
            sys.stderr.write(f"Installing {name} into {folder} ...\n")
            _install(folder, python, name)
            stamp.write_text(wanted)
        return str(python)


def default_root() -> Path:
    """Where environments go unless told otherwise: below the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nnsearch-benchmarks"


def _install(folder: Path, python: Path, name: str) -> None:
    """Raises subprocess.CalledProcessError where a package cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(TORCH + "\n")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    for packages in ((TORCH,), PACKAGES[name]):
        subprocess.run([*pip, "-c", constraints, *packages], check=True)
