"""A report that a real MLflow server could not take: `nnsearch sync` puts it there afterwards."""

from pathlib import Path

import pytest
from finished import copied, finished
from test_tracking_server import free_port, server

from nnsearch.commands.delivery import sync
from nnsearch.commands.publishing import publish_report, write_report
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
    publish_report(written, "flowers", Options(home=home, environ=environ), said.append)
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


def test_a_report_that_cannot_be_drawn_is_a_warning(tmp_path: Path) -> None:
    def fail(name: str, home: Path) -> Path:
        raise ZeroDivisionError(f"{name} in {home.name}")

    said: list[str] = []
    assert write_report("my flowers", tmp_path, fail, said.append) is None
    assert said == [
        f"the report is not written (ZeroDivisionError: my flowers in {tmp_path.name}).",
        "`nnsearch report 'my flowers'` writes it again.",
    ]
    page = tmp_path / "report.html"
    assert write_report("flowers", tmp_path, lambda *_: page, said.append) == page
