"""`nnsearch ui`: the MLflow UI for this machine alone, and nothing of it left afterwards."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psutil
import pytest
from finished import copied, finished

from nnsearch.commands.ui import PORT, _page, arguments, free_port, ui
from nnsearch.errors import StoreError, UsageError

pytestmark = pytest.mark.timeout(300)  # MLflow's server takes its time to come up
SECONDS = 100
BEST_FIRST = {"workflowType": ["machine_learning"], "orderByKey": ["metrics.`objective`"]}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@contextmanager
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@contextmanager
def started(home: Path) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """`nnsearch ui` once it has said where it is; killed at the end, whatever it does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnsearch", "ui", "--json", "--mlruns", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = ""
        for line in process.stdout:
            lines += line
            if line == "}\n":
                break
        else:
            pytest.fail(process.communicate()[1])
        yield process, json.loads(lines)
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def group(number: int) -> list[int]:
    """The live processes of a process group."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == number and psutil.Process(pid).status() != "zombie":
                found.append(pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def is_gone(number: int) -> bool:
    deadline = time.monotonic() + 15
    while group(number) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not group(number)


def ask(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own http
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def test_it_serves_the_runs_to_this_machine_alone_until_ctrl_c(
    whole: Path, own_folder: Path
) -> None:
    home = copied(whole, own_folder)
    with started(home) as (process, told):
        page, _, query = told["studies"]["flowers"].partition("?")
        assert re.fullmatch(rf"{told['url']}/#/experiments/[1-9]\d*/runs", page)
        assert parse_qs(query) == {
            "workflowType": ["machine_learning"],
            "viewStateShareKey": ["nnsearch"],
        }
        assert b"<title>MLflow" in ask(told["url"])
        assert len(group(told["pid"])) == 2, "the server and its one worker, no job runners"
        (run,) = {path.parent.parent.name for path in home.glob("artifacts/*/*/*/roc.svg")} and [
            next(home.glob("artifacts/flowers/*/artifacts/roc.svg")).parts[-3]
        ]
        picture = ask(f"{told['url']}/get-artifact?path=roc.svg&run_uuid={run}")
        assert picture == next(home.glob(f"artifacts/flowers/{run}/artifacts/roc.svg")).read_bytes()
        for name in ("evil.com", "10.0.0.1:5000", "127.0.0.1:1"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                ask(f"{told['url']}/api/2.0/mlflow/experiments/get?experiment_id=0", Host=name)
        bound = [each.laddr.ip for each in _sockets(told["pid"]) if each.status == "LISTEN"]
        assert set(bound) == {"127.0.0.1"}
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
        assert is_gone(told["pid"])
    assert {path.name for path in own_folder.iterdir()} == {"mlruns"}


@pytest.mark.parametrize(
    ("greater_is_better", "order"),
    [
        ("True", {"orderByAsc": ["false"]}),
        ("False", {"orderByAsc": ["true"]}),
    ],
)
def test_without_a_view_the_best_run_comes_first_in_either_direction(
    greater_is_better: str, order: dict[str, list[str]]
) -> None:
    tag = {"key": "mlflow.experiment.primaryMetric.greaterIsBetter", "value": greater_is_better}
    page = _page("http://here", {"experiment_id": "7", "tags": [tag]})
    assert page.startswith("http://here/#/experiments/7/runs?")
    assert parse_qs(page.partition("?")[2]) == BEST_FIRST | order


def test_an_experiment_of_something_else_keeps_its_own_order() -> None:
    page = _page("http://here", {"experiment_id": "7"})
    assert page == "http://here/#/experiments/7/runs?workflowType=machine_learning"


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_it_is_killed(
    whole: Path, own_folder: Path, number: signal.Signals
) -> None:
    with started(copied(whole, own_folder)) as (process, told):
        process.send_signal(number)
        assert process.wait(SECONDS) == {signal.SIGKILL: -9, signal.SIGTERM: 143}[number]
        assert is_gone(told["pid"])


def test_a_store_that_is_none_ends_with_the_servers_reason(own_folder: Path) -> None:
    home = own_folder / "mlruns"
    home.mkdir()
    (home / "mlflow.db").write_text("this is no database" * 100)
    with pytest.raises(StoreError, match="did not come up"), ui(home):
        pytest.fail("it came up")


def test_without_a_store_it_says_what_to_type_and_makes_nothing(own_folder: Path) -> None:
    with pytest.raises(UsageError, match="nnsearch run digits"), ui(own_folder / "mlruns"):
        pytest.fail("it came up")
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])  # noqa: S104
def test_other_machines_are_refused(host: str, own_folder: Path) -> None:
    (own_folder / "mlflow.db").touch()
    with pytest.raises(UsageError, match="no password"), ui(own_folder, host=host):
        pytest.fail("it came up")


def test_a_tracking_server_is_pointed_to_without_its_password(own_folder: Path) -> None:
    environ = {"MLFLOW_TRACKING_URI": "https://me:secret@tracking.example"}
    with pytest.raises(UsageError, match=r"tracking\.example") as caught, ui(environ=environ):
        pytest.fail("it came up")
    assert "secret" not in str(caught.value)


def test_a_taken_port_is_refused_where_asked_for_and_else_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert free_port("127.0.0.1", None) >= PORT
    with taken() as port:
        with pytest.raises(StoreError, match=f"port {port} of 127.0.0.1 is taken"):
            free_port("127.0.0.1", port)
        monkeypatch.setattr("nnsearch.commands.ui.PORT", port)
        assert port < free_port("127.0.0.1", None) < port + 50
    with pytest.raises(UsageError, match="no port 70000"):
        free_port("127.0.0.1", 70000)


def test_two_that_come_up_at_once_do_not_choose_the_same_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with taken() as port:
        monkeypatch.setattr("nnsearch.commands.ui.PORT", port)  # where no other test looks
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        first = free_port("127.0.0.1", None, one)
        assert free_port("127.0.0.1", None, other) > first
    with socket.socket(socket.AF_UNIX) as again, socket.socket(socket.AF_UNIX) as last:
        assert free_port("127.0.0.1", first, again) == first
        with pytest.raises(StoreError, match=f"port {first} of 127.0.0.1 is taken"):
            free_port("127.0.0.1", first, last)


def test_what_the_server_is_told() -> None:
    words = arguments("file:///art", "127.0.0.1", 5001)
    told = dict(itertools.pairwise(words))
    assert told["--allowed-hosts"] == "127.0.0.1:5001,localhost:5001"
    assert told["--workers"] == "1"
    assert told["--default-artifact-root"] == "file:///art"
    assert "--backend-store-uri" not in words, "it may hold a password"


def _sockets(number: int) -> list[Any]:
    return [each for pid in group(number) for each in psutil.Process(pid).net_connections("inet")]
