"""Serve the MLflow UI on this project's store, to this machine alone. Reads no run itself.

Run as `python -m nnsearch.commands.ui PARENT ...` it becomes the server: see `_become_server`.
"""

import contextlib
import ctypes
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import urlencode

from nnsearch.commands.places import MLRUNS
from nnsearch.errors import StoreError, UsageError
from nnsearch.study.folder import Home
from nnsearch.tracking.store import SHARED_VIEW, VIEW_TAG, destination, shown

PORT, NUM_PORTS = 5000, 50
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 180.0, 10.0, 0.2
PR_SET_PDEATHSIG = 1
_GREATER_IS_BETTER = "mlflow.experiment.primaryMetric.greaterIsBetter"
_ENVIRONMENT = {
    # Seven consumers of background jobs that nobody here needs, at 1.1 GB.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass(frozen=True, slots=True)
class Ui:
    """A server that answers. `pages` maps each study to the page of its runs."""

    url: str
    pages: dict[str, str]
    process: "subprocess.Popen[bytes]"


@contextlib.contextmanager
def ui(
    home: Path = MLRUNS,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Ui]:
    """The MLflow UI, from when it answers to the end of the block, when all its processes end.

    Without a port it is the first free one from 5000 on. Raises UsageError where there is no store
    yet, or for a host that others could reach (MLflow asks for no password), StoreError where the
    port is taken or the server does not come up.
    """
    environ = os.environ if environ is None else environ
    _check_host(host)
    uri, artifacts = _store(home, environ)
    with tempfile.TemporaryFile() as log, socket.socket(socket.AF_UNIX) as claim:
        port = free_port(host, port, claim)
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        command = [sys.executable, "-m", "nnsearch.commands.ui", str(os.getpid())]
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [*command, *arguments(artifacts, host, port)],
            env=_environment(environ, uri),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = f"http://{name}"
            _await(url, process, log)
            yield Ui(url, _pages(url), process)
        finally:
            _stop(process)


def arguments(artifacts: str, host: str, port: int) -> list[str]:
    """What `mlflow server` is told; the store, which may hold a password, goes by environment.

    Experiments name their artifacts' folder themselves, so there is nothing to be uploaded to.
    """
    names = list(dict.fromkeys(["127.0.0.1", "localhost", f"[{host}]" if ":" in host else host]))
    hosts = [f"{name}:{port}" for name in names]
    return [
        "server",
        "--no-serve-artifacts",
        *(["--default-artifact-root", artifacts] if artifacts else []),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", ",".join(hosts)),
        *("--cors-allowed-origins", ",".join(f"http://{each}" for each in hosts)),
        *("--uvicorn-opts", "--log-level=warning"),
    ]


def free_port(host: str, port: int | None, claim: socket.socket | None = None) -> int:
    """The port asked for, or the first free one from 5000 on. Raises StoreError.

    A server takes seconds until it listens. Until the Unix socket `claim` closes, nobody else who
    claims ports gets the same.
    """
    asked = range(PORT, PORT + NUM_PORTS) if port is None else [port]
    for each in asked:
        if _is_free(host, each) and (claim is None or _is_claimed(claim, each)):
            return each
    if port is None:
        raise StoreError(f"the ports {PORT} to {asked[-1]} are taken.", "Name one with --port.")
    hint = "Leave --port away to get a free one; or is the UI running there already?"
    raise StoreError(f"port {port} of {host} is taken.", hint)


def as_text(server: Ui) -> str:
    """Where to look, and how to stop."""
    pages = [f"  {study:<20} {page}" for study, page in server.pages.items()]
    return "\n".join([f"MLflow UI    {server.url}", *pages, "Ctrl-C stops it."])


def as_document(server: Ui) -> dict[str, object]:
    """The same as JSON values."""
    return {"url": server.url, "studies": server.pages, "pid": server.process.pid}


def _check_host(host: str) -> None:
    try:
        is_ours = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        raise UsageError(
            f"the MLflow UI has no password, so it is not served on {host}.",
            f"From another machine: ssh -L {PORT}:127.0.0.1:{PORT} THIS-MACHINE",
        )


def _store(home: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    uri, artifacts = destination(Home(home), environ)
    if uri.startswith(("http://", "https://")):
        raise UsageError(f"MLFLOW_TRACKING_URI is a server: {shown(uri)}.", "Open it in a browser.")
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:") and not path.exists():
        raise UsageError(f"there is no MLflow store {path} yet.", "Type: nnsearch run digits")
    return uri, artifacts


def _environment(environ: Mapping[str, str], uri: str) -> dict[str, str]:
    """Modules are found where this process finds them, but not in the working folder."""
    inherited = {key: each for key, each in environ.items() if key != "MLFLOW_TRACKING_URI"}
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    return {**inherited, **_ENVIRONMENT, **path, "MLFLOW_BACKEND_STORE_URI": uri}


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise UsageError(
                f"port {port} is not for everybody.", "Take one above 1023."
            ) from error
        except OverflowError as error:
            raise UsageError(f"there is no port {port}.", "Take one from 1024 to 65535.") from error
        except OSError:
            return False
    return True


def _is_claimed(claim: socket.socket, port: int) -> bool:
    """Whether the port is ours now, by a name that the kernel knows as long as the socket is open.

    Such names, like ports, are the network namespace's; only Linux has them.
    """
    if sys.platform != "linux":
        return True
    try:
        claim.bind(f"\0nnsearch-ui-{port}")
    except OSError:
        return False
    return True


def _await(url: str, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own http
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_SECONDS)
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()
    last = said[-1] if said else "it said nothing"
    raise StoreError(
        f"the MLflow server did not come up: {last}.", "`nnsearch doctor` may say why."
    )


def _pages(url: str) -> dict[str, str]:
    """The page of each experiment but MLflow's own empty one."""
    request = urllib.request.Request(  # noqa: S310 - our own http
        f"{url}/api/2.0/mlflow/experiments/search",
        data=json.dumps({"max_results": 1000}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        found = json.load(answer).get("experiments", [])
    return {each["name"]: _page(url, each) for each in found if each["experiment_id"] != "0"}


def _page(url: str, experiment: Mapping[str, Any]) -> str:
    """The table of an experiment's runs, in the order and with the columns that its study gave."""
    tags = {each["key"]: each["value"] for each in experiment.get("tags", [])}
    # Without a workflow MLflow opens the page of traces, where there is nothing to be seen.
    query = {"workflowType": "machine_learning"}
    if VIEW_TAG in tags:
        query["viewStateShareKey"] = SHARED_VIEW
    elif _GREATER_IS_BETTER in tags:  # written before there were views
        is_ascending = tags[_GREATER_IS_BETTER] == "False"
        query |= {"orderByKey": "metrics.`objective`", "orderByAsc": str(is_ascending).lower()}
    return f"{url}/#/experiments/{experiment['experiment_id']}/runs?{urlencode(query)}"


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group: asked first, then killed, while nobody else can have its number."""
    _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while process.returncode is None and time.monotonic() < deadline:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            break
        time.sleep(POLL_SECONDS / 4)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _become_server(parent: int, given: Sequence[str]) -> NoReturn:
    """Replace this process by MLflow's, which is told to stop should `parent` be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    command = [sys.executable, "-m", "mlflow", *given]
    os.execv(sys.executable, command)  # noqa: S606 - no shell


if __name__ == "__main__":
    _become_server(int(sys.argv[1]), sys.argv[2:])
