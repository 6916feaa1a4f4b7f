"""Prepared data: written whole, found again, mapped, and never quietly changed."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnsearch.data import bundled
from nnsearch.data.examples import Examples
from nnsearch.data.prepare import Prepared, inspect, map_part, open_part, open_prepared, prepare
from nnsearch.data.split import PARTS
from nnsearch.data.tables import csv
from nnsearch.errors import DataError, IntegrityError, StoreError
from nnsearch.study.spec import Split


def prepared_iris(folder: Path, seed: int = 0) -> Prepared:
    return prepare(bundled.iris, "class", Split(), seed, root=folder, options={}, folder=folder)


def test_parts_hold_the_rows_of_the_source(tmp_path: Path) -> None:
    prepared = prepared_iris(tmp_path)
    assert prepared.num_rows == {"train": 96, "valid": 24, "test": 30}
    source = bundled.iris(tmp_path)
    found = []
    for part in PARTS:
        examples = map_part(prepared.folder, part)
        rows = np.load(prepared.folder / part / "rows.npy")
        np.testing.assert_array_equal(examples.inputs, source.inputs[rows])
        np.testing.assert_array_equal(examples.targets, source.targets[rows])
        assert examples.signature == prepared.signature
        found += rows.tolist()
    assert sorted(found) == [*range(150)]


def test_what_is_opened_is_what_was_prepared(tmp_path: Path) -> None:
    prepared = prepared_iris(tmp_path)
    assert open_prepared(prepared.folder) == prepared
    assert prepared.findings[0].code == "W351"
    again = inspect(bundled.iris, "class", Split(), 0, root=tmp_path, options={})
    assert again.folder == Path()
    assert again.fingerprint == prepared.fingerprint


def test_arrays_are_mapped_and_read_only(tmp_path: Path) -> None:
    inputs = open_part(prepared_iris(tmp_path).folder, "train").inputs
    assert isinstance(inputs, np.memmap)
    assert not inputs.flags.writeable


def test_train_and_valid_are_opened_without_the_test_split(tmp_path: Path) -> None:
    prepared = prepared_iris(tmp_path)
    shutil.rmtree(prepared.folder / "test")
    assert open_prepared(prepared.folder).num_rows["test"] == 30
    assert open_part(prepared.folder, "train").num_rows == 96
    assert open_part(prepared.folder, "valid").num_rows == 24


def test_a_second_time_nothing_is_written(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    assert prepared_iris(tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == times
    assert [path.name for path in tmp_path.iterdir()] == [first.fingerprint]


def test_another_seed_or_split_is_another_fingerprint(tmp_path: Path) -> None:
    first = prepared_iris(tmp_path)
    assert prepared_iris(tmp_path, seed=1).fingerprint != first.fingerprint
    other = inspect(bundled.iris, "class", Split(0.5, 0.3, 0.2), 0, root=tmp_path, options={})
    assert other.fingerprint != first.fingerprint


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    prepared = prepared_iris(tmp_path)
    path = prepared.folder / "train" / "inputs.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"train/inputs\.npy is not what was prepared"):
        prepared_iris(tmp_path)


def test_a_killed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    half = tmp_path / ".0123.abc.tmp"
    half.mkdir()
    (half / "inputs.npy").write_bytes(b"half")
    prepared = prepared_iris(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [prepared.fingerprint]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write the prepared data to"):
        prepare(
            bundled.iris,
            "class",
            Split(),
            0,
            root=tmp_path,
            options={},
            folder=tmp_path / "file" / "data",
        )


def test_no_prepared_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="holds no prepared data"):
        open_prepared(tmp_path)


def test_leaks_stop_the_study_unless_allowed(tmp_path: Path) -> None:
    rows = [f"{row},{row % 3},{row % 2}" for row in range(60)]
    (tmp_path / "x.csv").write_text("\n".join(["id,a,y", *rows]))
    options = {"path": "x.csv", "target": "y"}
    with pytest.raises(DataError, match="column 'id' is an ID"):
        inspect(csv, "class", Split(), 0, root=tmp_path, options=options)
    allowed = inspect(csv, "class", Split(), 0, root=tmp_path, options=options, allow_leaky=True)
    (found,) = allowed.findings
    assert (found.level, found.code) == ("warning", "E353")
    assert "allow_leaky lets it pass" in found.hint


def test_allow_leaky_lets_no_class_pass_that_is_absent_from_train(tmp_path: Path) -> None:
    rows = [f"{row},{(row * 7) % 5},{int(row >= 55)}" for row in range(60)]
    (tmp_path / "x.csv").write_text("\n".join(["day,a,y", *rows]))
    options = {"path": "x.csv", "target": "y"}
    spec = Split(by="group", column="day", train=0.05, valid=0.05, test=0.9)
    with pytest.raises(DataError, match="absent from train"):
        inspect(csv, "class", spec, 0, root=tmp_path, options=options, allow_leaky=True)


def test_groups_of_a_csv_stay_together(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [f"p{row // 4},{generator.normal()},{row % 2}" for row in range(80)]
    (tmp_path / "x.csv").write_text("\n".join(["patient,a,y", *rows]))
    spec = Split(0.5, 0.25, 0.25, by="group", column="patient")
    options = {"path": "x.csv", "target": "y"}
    prepared = prepare(
        csv, "class", spec, 0, root=tmp_path, options=options, folder=tmp_path / "data"
    )
    assert prepared.signature.shape == (1,)
    owners = [set(np.load(prepared.folder / part / "rows.npy") // 4) for part in PARTS]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 20
    for part in PARTS:
        examples, places = map_part(prepared.folder, part), prepared.folder / part / "rows.npy"
        assert examples.groups is not None
        same = examples.groups[:, None] == examples.groups
        places_of = np.load(places) // 4
        np.testing.assert_array_equal(same, places_of[:, None] == places_of)
    assert map_part(prepared_iris(tmp_path).folder, "test").groups is None


def test_raw_text_targets_are_stored_without_pickle(tmp_path: Path) -> None:
    def source(root: Path) -> Examples:
        plain = bundled.iris(root)
        texts = np.array(plain.signature.labels, dtype=object)[plain.targets.astype(np.int64)]
        signature = replace(plain.signature, labels=())
        return Examples(plain.inputs, texts, signature)

    spec = Split(by="random")
    prepared = prepare(source, "raw", spec, 0, root=tmp_path, options={}, folder=tmp_path)
    targets = open_part(prepared.folder, "train").targets
    assert set(targets.tolist()) == {"setosa", "versicolor", "virginica"}
