"""The test split's seal: one way in, a record before the first look, no second look unasked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnsearch.data import bundled
from nnsearch.data import prepare as prepare_module
from nnsearch.data.prepare import Prepared, open_part, prepare
from nnsearch.data.sealed import open_test, reads
from nnsearch.errors import IntegrityError, UsageError
from nnsearch.study.spec import Split


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return prepare(
        bundled.iris, "class", Split(), 0, root=tmp_path, options={}, folder=tmp_path / "data"
    )


def test_the_plain_way_in_is_closed(prepared: Prepared) -> None:
    part: Any = "test"
    with pytest.raises(IntegrityError, match="the test split is sealed"):
        open_part(prepared.folder, part)


def test_a_look_is_recorded_with_its_trial_and_data(prepared: Prepared, tmp_path: Path) -> None:
    record = tmp_path / "reads.jsonl"
    assert reads(record) == []
    test = open_test(prepared.folder, record, trial=7)
    assert test.num_rows == prepared.num_rows["test"]
    (read,) = reads(record)
    assert (read.trial, read.data, read.is_reopening) == (7, prepared.fingerprint, False)


def test_the_record_is_there_before_the_rows_are_read(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "reads.jsonl"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "map_part", killed)
    with pytest.raises(KeyboardInterrupt):
        open_test(prepared.folder, record, trial=1)
    assert [each.trial for each in reads(record)] == [1]


def test_the_same_trial_may_look_again_and_another_only_with_leave(
    prepared: Prepared, tmp_path: Path
) -> None:
    record = tmp_path / "reads.jsonl"
    open_test(prepared.folder, record, trial=1)
    open_test(prepared.folder, record, trial=1)
    with pytest.raises(UsageError, match=r"opened for trial 1; trial 2 is the best now.*--reopen"):
        open_test(prepared.folder, record, trial=2)
    assert [each.trial for each in reads(record)] == [1, 1], "a refusal looks at nothing"
    open_test(prepared.folder, record, trial=2, may_reopen=True)
    assert [(each.trial, each.is_reopening) for each in reads(record)][2:] == [(2, True)]
    with pytest.raises(UsageError, match="opened for trial 1, 2; trial 3"):
        open_test(prepared.folder, record, trial=3)


def test_a_torn_line_is_cut_off_and_the_next_stands_alone(
    prepared: Prepared, tmp_path: Path
) -> None:
    record = tmp_path / "reads.jsonl"
    open_test(prepared.folder, record, trial=1)
    with record.open("a") as file:
        file.write('{"trial": 2, "at"')
    open_test(prepared.folder, record, trial=1)
    assert [each.trial for each in reads(record)] == [1, 1]


def test_what_is_opened_is_the_test_split(prepared: Prepared, tmp_path: Path) -> None:
    test = open_test(prepared.folder, tmp_path / "reads.jsonl", trial=0)
    whole = bundled.iris(tmp_path)
    rows = np.load(prepared.folder / "test" / "rows.npy")
    assert np.array_equal(test.inputs, whole.inputs[rows])
