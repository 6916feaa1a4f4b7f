"""What every test stands on: a folder, seeds, one thread, no telemetry, and the tools it needs."""

import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Read when torch and mlflow are first imported, here and in every process that a test starts.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# A person's own stores are no business of the tests.
os.environ.pop("MLFLOW_TRACKING_URI", None)

REPOSITORY = Path(__file__).resolve().parent.parent

# A time limit on a shared machine fails by chance, as does an example that was never drawn before;
# a database of examples outlives its test.
settings.register_profile(
    "nnsearch", deadline=None, database=None, derandomize=True, max_examples=50
)
settings.load_profile("nnsearch")


def pytest_configure(config: pytest.Config) -> None:
    """Leave to pytest-randomly the order alone; see `own_seeds`."""
    config.option.randomly_reset_seed = False


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder that a test runs in, so that nothing is left in the repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def own_seeds() -> None:
    """The same numbers drawn in each run, whichever tests came before."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - a library, or a fault that a test plants, may draw from it
    if "torch" in sys.modules:  # else its first import seeds it, always with the same number
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout: studies/, README.md and the rest."""
    return REPOSITORY


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium. Without one the test is skipped, in CI it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("CI") == "true":
        pytest.fail("no Chromium here, though .ci/run installs it")
    pytest.skip("needs Chromium")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where there is none."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
