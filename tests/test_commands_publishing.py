"""A report that a real MLflow server could not take: `nnsearch sync` puts it there afterwards."""

from pathlib import Path

import pytest
from finished import copied, finished
from test_tracking_server import free_port, server

from nnsearch.commands.delivery import sync
from nnsearch.commands.publishing import add_report
from nnsearch.commands.result import Options
from nnsearch.study.folder import Home

pytestmark = pytest.mark.timeout(300)  # MLflow's server takes its time to come up


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def test_sync_attaches_the_report_once_the_server_is_back(whole: Path, own_folder: Path) -> None:
    home, place = copied(whole, own_folder), Home(own_folder / "server")
    place.root.mkdir()
    written, port = Home(home).study("flowers").report, free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://somebody:hunter2@127.0.0.1:{port}"}
    said: list[str] = []
    add_report("flowers", Options(home=home, environ=environ), lambda *_: written, said.append)
    assert "is not in MLflow" in said[0]
    assert "nnsearch sync flowers" in said[1]
    assert "hunter2" not in "".join(said)
    with server(place, port):
        sync(home=home, environ=environ)
        (kept,) = place.root.rglob("report.html")
        assert kept.read_bytes() == written.read_bytes()
        before = kept.stat().st_mtime_ns
        sync(home=home, environ=environ)
        assert kept.stat().st_mtime_ns == before, "it was sent again"
        written.write_text("another page")
        sync(home=home, environ=environ)
        assert kept.read_text() == "another page"
