"""PostgreSQL as Optuna's store, restarted and down while a study runs: nothing is lost.

Needs a PostgreSQL server's programs and the driver of `nnsearch[postgres]`.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from adapters import NAIVE, OURS, Adapter, complete, end, start, wait_for
from rig import base, home, lost, make_slow, num_ended, strict
from test_tracking_server import free_port

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]
DOWN_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of this test's own: its data, and where it listens."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """As `--storage` takes it."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, *words: str) -> None:
        """What `pg_ctl` is told; PostgreSQL refuses to be root."""
        data = self.folder / "data"
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        command = ["pg_ctl", "-D", str(data), "-l", str(self.folder / "log"), "-o", options]
        subprocess.run([*as_postgres(), *command, "-w", *words], check=True, capture_output=True)


def as_postgres() -> list[str]:
    """What stands before a command that root may not run."""
    return ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []


def program(name: str) -> str:
    """The path of one of the server's programs, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else "")


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A fresh server; it is gone with all that it holds when the test is over."""
    if not program("initdb") and "CI" not in os.environ:
        pytest.skip("needs PostgreSQL")
    monkeypatch.setenv("PATH", str(Path(program("initdb")).parent), prepend=os.pathsep)
    folder = Path(tempfile.mkdtemp(prefix="nnsearch-postgres-"))  # the user postgres can reach it
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    made = ["initdb", "-A", "trust", "-U", "postgres", "-D", str(folder / "data")]
    subprocess.run([*as_postgres(), *made], check=True, capture_output=True)
    server = Server(folder, free_port())
    server.control("start")
    try:
        yield server
    finally:
        subprocess.run(
            [*as_postgres(), "pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop"],
            check=False,
            capture_output=True,
        )
        shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["fast", "immediate", "down"])
def test_a_server_that_restarts_is_waited_for_and_nothing_is_lost(
    how: str, postgres: Server, *, own_folder: Path, base: Path
) -> None:
    home = make_slow(own_folder, base, epochs=4)
    driver = start(OURS, home, "--storage", postgres.url)
    wait_for(lambda: num_ended(home) >= 1)
    restart(postgres, how)
    code, errors = end(driver, 200)
    assert code == 0, errors
    stored = Adapter("ours", OURS.command, lambda _: postgres.url)
    assert lost(stored, home) == []
    assert strict(home, postgres.url) == ""
    complete(OURS, home, "--storage", postgres.url)
    assert lost(stored, home) == []


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_without_protection_a_restart_ends_the_search(
    how: str, postgres: Server, home: Path
) -> None:
    environ = {"NAIVE_FAULT": "slow", "NAIVE_STORAGE": postgres.url}
    driver = start(NAIVE, home, env=environ)
    wait_for(lambda: list(home.glob("checkpoint-0.npy")))
    restart(postgres, how)
    code, errors = end(driver)
    assert code != 0
    assert "OperationalError" in errors, errors


def restart(server: Server, how: str) -> None:
    """Restart a server at once, or only after a while."""
    if how == "down":
        server.control("-m", "fast", "stop")
        time.sleep(DOWN_SECONDS)
        server.control("start")
    else:
        server.control("-m", how, "restart")
