"""OpenML's data sets from scikit-learn's cache, compared with what scikit-learn reads there."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openml_cache import cache
from sklearn.datasets import _openml, fetch_openml

from nnsearch.data.arff import read_arff
from nnsearch.data.openml import openml
from nnsearch.errors import DataError

IRIS, TITANIC, CPU, ZOO, SPARSE = 61, 40945, 561, 62, 292


@pytest.fixture
def home(own_folder: Path) -> Path:
    """A study's folder with a data_home in it, where nothing can be fetched."""
    for data_id in (IRIS, TITANIC, CPU, ZOO):
        cache(own_folder / "home", data_id)
    return own_folder


def said(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("data_id", [IRIS, TITANIC, CPU, ZOO])
def test_cells_are_those_that_scikit_learn_reads(home: Path, data_id: int) -> None:
    examples = openml(home, data_id=data_id, path="home")
    wanted = fetch_openml(data_id=data_id, data_home=str(home / "home"), parser="liac-arff")
    assert examples.num_rows == len(wanted.data)
    assert examples.targets.tolist() == wanted.target.tolist()
    assert [each.name for each in examples.signature.columns] == list(wanted.data.columns)
    for place, column in enumerate(examples.signature.columns):
        cells, theirs = examples.inputs[:, place].astype(float), wanted.data[column.name]
        assert np.isnan(cells).tolist() == theirs.isna().tolist()
        for cell, other in zip(cells, theirs, strict=True):
            if column.categories and not np.isnan(cell):
                assert column.categories[int(cell)] == str(other).strip()
            elif not np.isnan(cell):
                assert cell == float(other)


def test_a_name_means_its_active_version(home: Path) -> None:
    by_id = openml(home, data_id=IRIS, path="home")
    cases: tuple[dict[str, Any], ...] = ({"name": "iris"}, {"name": "Iris", "version": 1})
    for options in cases:
        named = openml(home, **options, path="home")
        np.testing.assert_array_equal(named.inputs, by_id.inputs)
        is_one = "version" in options
        assert named.notes == (
            () if is_one else ("'iris' has several active versions: version 1 is taken",)
        )
    assert by_id.signature.target == "class"
    other = openml(home, name="iris", target="petallength", drop=("class",), path="home")
    assert other.targets.dtype == np.float64
    assert len(other.signature.columns) == 3


def test_what_openml_ignores_is_no_input(home: Path) -> None:
    examples = openml(home, data_id=ZOO, path="home")
    assert "animal" not in {each.name for each in examples.signature.columns}
    assert "column 'animal' is ignored, as OpenML says" in examples.notes


def test_what_is_not_there_is_told_how_to_fetch(own_folder: Path) -> None:
    message = said(lambda: openml(own_folder, name="credit-g", version=1))
    assert "OpenML's data set 'credit-g', version 1 is not there. Set download = true" in message
    assert "fetch_openml('credit-g', version=1, data_home='scikit_learn_data')" in message
    assert list(own_folder.iterdir()) == []
    assert "Give one." in said(lambda: openml(own_folder))
    assert "Give one." in said(lambda: openml(own_folder, data_id=1, version=2))
    assert "outside the study's folder" in said(lambda: openml(own_folder, name="x", path="../.."))


def test_broken_answers_are_named(home: Path) -> None:
    file = home / "home/openml/openml.org/data/v1/download/61/iris.arff.gz"
    whole = file.read_bytes()
    file.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"5.1", b"6.1", 1)))
    answer = home / "home/openml/openml.org/api/v1/json/data/61.gz"
    about = json.loads(gzip.decompress(answer.read_bytes()))
    about["data_set_description"]["md5_checksum"] = "0" * 32
    answer.write_bytes(gzip.compress(json.dumps(about).encode()))
    assert "its md5 is another" in said(lambda: openml(home, data_id=IRIS, path="home"))
    file.write_bytes(whole[:200])
    assert "broken gzip file" in said(lambda: openml(home, data_id=IRIS, path="home"))
    answer.write_bytes(gzip.compress(b"<html>"))
    assert "61.gz: error[E331]: is no answer of OpenML" in said(
        lambda: openml(home, data_id=IRIS, path="home")
    )


class Openml(BaseHTTPRequestHandler):
    """Gives the answers in a data_home as openml.org gave them."""

    home: Path
    asked: list[str]

    def do_GET(self) -> None:
        """One answer, or 404."""
        self.asked.append(self.path)
        file = self.home / "openml" / "openml.org" / f"{self.path.lstrip('/')}.gz"
        if not file.exists():
            self.send_error(404)
            return
        content = gzip.decompress(file.read_bytes())
        here = f"http://{self.headers['Host']}".encode().replace(b"/", b"\\/")
        content = content.replace(b"https:\\/\\/www.openml.org", here)
        content = content.replace(b"https://www.openml.org", here.replace(b"\\/", b"/"))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Openml]]:
    """A server on this machine, which scikit-learn takes for openml.org."""
    handler = type("Here", (Openml,), {"home": home / "home", "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{served.server_address[1]}"
        for name in ("_SEARCH_NAME", "_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES"):
            address = getattr(_openml, name).replace("https://www.openml.org", here)
            monkeypatch.setattr(_openml, name, address)
        yield handler
        served.shutdown()


def test_download_asks_the_network_once_and_only_where_it_is_set(
    home: Path, server: type[Openml]
) -> None:
    study = home / "study"
    study.mkdir()
    assert "is not there" in said(lambda: openml(study, name="iris", path="kept"))
    assert server.asked == []
    fetched = openml(study, name="iris", path="kept", download=True)
    np.testing.assert_array_equal(fetched.inputs, openml(home, data_id=IRIS, path="home").inputs)
    num_asked = len(server.asked)
    assert num_asked > 3
    openml(study, name="iris", path="kept", download=True)
    openml(study, name="iris", path="kept")
    assert len(server.asked) == num_asked
    assert "outside" in said(lambda: openml(study, name="x", path="../x", download=True))
    assert [each.name for each in home.iterdir()].count("x") == 0
    message = said(lambda: openml(study, data_id=7, path="kept", download=True))
    assert "OpenML's data set 7 cannot be fetched" in message


def test_a_sparse_row_leaves_out_zeros_and_first_categories() -> None:
    text = """% a comment
@RELATION r
@ATTRIBUTE a NUMERIC
@ATTRIBUTE 'b c' {'no one', yes}
@ATTRIBUTE d real
@DATA
{0 2.5, 2 ?}
{1 yes}
{}
"""
    arff = read_arff(text, "t")
    assert arff.frame.to_numpy().tolist() == [
        ["2.5", "no one", None],
        ["0", "yes", "0"],
        ["0", "no one", "0"],
    ]
    assert arff.kinds == {"a": "numeric", "b c": "categorical", "d": "numeric"}


def test_quotes_of_both_kinds_and_what_is_no_arff() -> None:
    head = "@attribute a string\n@attribute b numeric\n@data\n"
    rows = "'it\\'s, here',1\n\"he said 'no'\",?\nO'Brien, 2\n? , 3\n'?',4\n"
    cells = read_arff(head + rows, "t").frame.to_numpy().tolist()
    assert cells == [
        ["it's, here", "1"],
        ["he said 'no'", None],
        ["O'Brien", "2"],
        [None, "3"],
        ["?", "4"],
    ]
    message = said(lambda: read_arff(head + "a,1\nb\n{7 x}\n", "t"))
    assert "t:5: error[E314]: 1 cells, where 2 attributes are declared" in message
    assert "t:6: error[E314]: a sparse row that is none" in message
    assert "it has no @data" in said(lambda: read_arff("<html>", "t"))
    assert "no row behind @data" in said(lambda: read_arff(head, "t"))
