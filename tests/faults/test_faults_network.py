"""Nothing leaves this machine: no network is needed, none is tried, and no secret is told."""

import subprocess
from pathlib import Path

import pytest
from adapters import OURS, start
from rig import assert_nothing_lost, base, home, strict
from test_faults_postgres import Server, as_postgres, postgres
from test_tracking_server import free_port, server
from watched import CONNECTING, addresses, needs, run, words_of_children

from nnsearch.study.folder import Home

__all__ = ["base", "home", "postgres"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
LOOPBACK = {"127.0.0.1", "::1"}
STORAGE, TRACKING, TOKEN = "st0rage-geheim", "tr4cking-geheim", "t0ken-geheim"


def test_the_main_job_runs_where_there_is_no_network(home: Path) -> None:
    needs("unshare", "-rn", "true")
    done = run(["unshare", "-rn", *OURS.command(home)], home.parent)
    assert done.returncode == 0, done.stderr
    assert list((home / "studies/small/exports").glob("*/model.onnx"))
    assert_nothing_lost(home)


@pytest.mark.slow
def test_the_main_job_names_no_address_but_this_machines(home: Path, base: Path) -> None:
    needs("strace", "-V")
    found, _ = addresses(OURS.command(home), home.parent)
    assert found <= LOOPBACK
    assert_nothing_lost(home, base)


def test_whoever_names_another_address_is_seen(own_folder: Path) -> None:
    needs("strace", "-V")
    found, _ = addresses(CONNECTING, own_folder)
    assert found == {"192.0.2.1"}


@pytest.mark.slow
def test_no_secret_is_in_any_file_log_table_or_process_list(home: Path, postgres: Server) -> None:
    place, port = Home(home.parent / "server"), free_port()
    place.root.mkdir()
    url = postgres.url.replace("postgres@", f"postgres:{STORAGE}@")
    environ = {
        "MLFLOW_TRACKING_URI": f"http://somebody:{TRACKING}@127.0.0.1:{port}",
        "MLFLOW_TRACKING_PASSWORD": TOKEN,
        "NNSEARCH_DEBUG": "1",
    }
    with server(place, port):
        driver = start(OURS, home, "--storage", url, env=environ)
        words = words_of_children(driver)
        said = "".join(driver.communicate())
        assert driver.returncode == 0, said
    assert strict(home, postgres.url) != ""  # MLflow's store is the server's, not the one here
    dump = [*as_postgres(), "pg_dump", "-h", "127.0.0.1", "-p", str(postgres.port), "postgres"]
    tables = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    assert "nnsearch.uid" in tables
    assert "forkserver" in words
    told = {"said": said, "tables": tables, "process list": words}
    files = [each for top in (home, place.root) for each in top.rglob("*") if each.is_file()]
    told |= {str(each): each.read_bytes().decode("latin-1") for each in files}
    assert len(files) > 40
    for secret in (STORAGE, TRACKING, TOKEN):
        assert [name for name, text in told.items() if secret in text] == []


@pytest.mark.slow
def test_no_secret_is_told_where_the_stores_are_away(home: Path) -> None:
    """Both refuse every connection, and every traceback is shown."""
    environ = {
        "MLFLOW_TRACKING_URI": f"http://somebody:{TRACKING}@127.0.0.1:{free_port()}",
        "MLFLOW_TRACKING_PASSWORD": TOKEN,
        "NNSEARCH_DEBUG": "1",
    }
    url = f"postgresql+psycopg://postgres:{STORAGE}@127.0.0.1:{free_port()}/postgres"
    driver = start(OURS, home, "--storage", url, env=environ)
    said = "".join(driver.communicate(timeout=200))
    assert driver.returncode == 4, said
    assert "Traceback" in said
    told = {str(each): each.read_bytes().decode("latin-1") for each in home.rglob("*.*")}
    told["said"] = said
    for secret in (STORAGE, TRACKING, TOKEN):
        assert [name for name, text in told.items() if secret in text] == []
