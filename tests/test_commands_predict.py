"""`nnsearch predict`: files in, labels and probabilities out."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from finished import copied, finished

from nnsearch.commands.predict import as_document, find_export, predict
from nnsearch.errors import DataError, StoreError, UsageError
from nnsearch.study.folder import Home


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def home(whole: Path) -> Path:
    return whole / "mlruns"


@pytest.fixture
def sample(home: Path) -> Path:
    return find_export("flowers", home) / "sample.csv"


def test_a_csv_becomes_labels_and_probabilities(home: Path, sample: Path, own_folder: Path) -> None:
    out = own_folder / "answers.csv"
    predicted = predict("flowers", sample, home=home, out=out)
    assert out.read_text() == predicted.csv
    assert out.stat().st_mode & 0o777 == 0o666 & ~_mask()
    rows = list(csv.DictReader(io.StringIO(predicted.csv)))
    assert len(rows) == len(sample.read_text().splitlines()) - 1
    for row, document in zip(rows, as_document(predicted)["predictions"], strict=True):
        shares = {name: float(row[f"probability_{name}"]) for name in document["probabilities"]}
        assert shares == document["probabilities"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert row["label"] == max(shares, key=shares.__getitem__)
    assert list(own_folder.iterdir()) == [out]


def test_it_predicts_the_validation_rows_as_the_trial_did(home: Path, own_folder: Path) -> None:
    study = Home(home).study("flowers")
    (inputs,) = study.data.glob("*/valid/inputs.npy")
    export = find_export("flowers", home)
    number = int(export.name.removeprefix("trial-"))
    (trained,) = study.jobs.glob(f"[0-9]*/trial-{number:05d}/predictions.npz")
    np.savez(own_folder / "rows.npz", x=np.load(inputs))
    for path in (inputs, own_folder / "rows.npz"):
        rows = predict("flowers", path, home=home).rows
        found = np.array([list(row["probabilities"].values()) for row in rows])
        assert np.abs(found - np.load(trained)["predictions"]).max() < 1e-5


def test_an_export_is_named_by_its_folder_or_its_study(home: Path) -> None:
    folder = find_export("flowers", home)
    assert folder.parent == Home(home).study("flowers").exports
    assert find_export(str(folder), home) == folder
    assert find_export("flowers.toml", home) == folder


def test_a_folder_of_the_studys_name_that_is_no_export_is_not_taken_for_one(
    home: Path, own_folder: Path
) -> None:
    (own_folder / "flowers").mkdir()
    assert find_export("flowers", home) == find_export("flowers.toml", home)


def test_runs_that_were_moved_still_predict(whole: Path, own_folder: Path, sample: Path) -> None:
    moved = copied(whole, own_folder)
    assert find_export("flowers", moved).is_relative_to(moved)
    assert predict("flowers", sample, home=moved).rows


def test_without_an_export_it_says_what_to_type(whole: Path, own_folder: Path) -> None:
    moved = copied(whole, own_folder)
    shutil.rmtree(Home(moved).study("flowers").exports)
    with pytest.raises(UsageError, match="nnsearch export flowers"):
        find_export("flowers", moved)
    with pytest.raises(UsageError, match="neither"):
        find_export("nowhere", moved)
    with pytest.raises(UsageError, match="holds no export"):
        find_export(str(own_folder), moved)


def test_an_absent_column_is_named_and_nothing_written(
    home: Path, sample: Path, own_folder: Path
) -> None:
    path, out = own_folder / "rows.csv", own_folder / "answers.csv"
    lines = sample.read_text().splitlines()
    path.write_text("\n".join(line.partition(",")[2] for line in lines))
    with pytest.raises(DataError, match=r"absent"):
        predict("flowers", path, home=home, out=out)
    assert not out.exists()
    path.write_text("\n".join(line.replace(",", ";") for line in lines))
    assert predict("flowers", path, delimiter=";", home=home).rows
    with pytest.raises(UsageError, match="one character"):
        predict("flowers", path, delimiter="", home=home)


def test_where_it_cannot_write_it_says_so(home: Path, sample: Path, own_folder: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*absent/answers\.csv"):
        predict("flowers", sample, home=home, out=own_folder / "absent" / "answers.csv")


def test_a_device_is_written_to_and_not_replaced(home: Path, sample: Path) -> None:
    device = Path("/dev/null")
    predict("flowers", sample, home=home, out=device)
    assert device.is_char_device()


def _mask() -> int:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
