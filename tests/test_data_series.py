"""Series: files, lengths, their transform, windows for forecasts, and splits without overlap."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from nnsearch.commands.check import as_text, check
from nnsearch.data.examples import Examples
from nnsearch.data.long_table import long_table
from nnsearch.data.npz_file import npz
from nnsearch.data.prepare import inspect
from nnsearch.data.series import series
from nnsearch.data.split import split
from nnsearch.data.ts_file import examples_of, japanese_vowels, ts
from nnsearch.data.windows import HOUR, LAST, SEASONAL, TRUTH, glucose, series_table
from nnsearch.errors import DataError, StudyError, UsageError
from nnsearch.signature import Signature
from nnsearch.study.spec import Split

TS = """\
# A remark
@problemName Small
@classLabel true a b
@data
1,2,3:4,5,6:a
7,?:9,8:b
"""


def lengths_of(count: int, longest: int) -> list[int]:
    return [1 + row % longest for row in range(count)]


def some(count: int = 40, *, channels: int = 2, longest: int = 6) -> Examples:
    random = np.random.default_rng(0)
    made = [
        (3 + 2 * random.normal(size=(channels, steps))).astype(np.float32)
        for steps in lengths_of(count, longest)
    ]
    return examples_of(made, np.arange(count) % 2, "class")


def test_a_ts_file_is_read_with_its_lengths(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text(TS)
    (tmp_path / "b.ts").write_text(TS.replace("7,?:9,8", "1,2,3,4:5,6,7,8"))
    found = ts(tmp_path, path="a.ts", test_path="b.ts")
    assert found.signature == Signature("series", (2, 4), "float32", "class")
    assert found.targets.tolist() == ["a", "b", "a", "b"]
    assert found.held_out is not None
    assert found.held_out.tolist() == [False, False, True, True]
    nan = np.nan
    np.testing.assert_array_equal(found.inputs[1], [[7, nan, nan, nan], [9, 8, nan, nan]])
    assert found.notes == ("series of 2 to 4 steps: NaN stands behind the end of the shorter ones",)
    assert ts(tmp_path, path="a.ts").held_out is None


def test_problems_of_ts_files_come_together_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text(TS.replace("4,5,6", "4,5").replace("7,?", "7,x"))
    (tmp_path / "b.ts").write_text("@data\n")
    with pytest.raises(DataError) as caught:
        ts(tmp_path, path="a.ts", test_path="b.ts")
    assert [each.where for each in caught.value.problems] == ["a.ts:5", "a.ts:6", "b.ts"]
    (tmp_path / "b.ts").write_text(TS.replace(":4,5,6", "").replace(":9,8", ""))
    (tmp_path / "a.ts").write_text(TS)
    with pytest.raises(DataError, match="1 or 2 channels"):
        ts(tmp_path, path="a.ts", test_path="b.ts")


@pytest.mark.parametrize(
    ("source", "package"), [(japanese_vowels, "aeon"), (glucose, "bokeh-sampledata")]
)
def test_data_of_a_package_name_it(
    source: Any, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UsageError, match=f"pip install --no-deps {package}"):
        source(tmp_path)


def test_japanese_vowels_are_read_from_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "aeon" / "datasets" / "data" / "JapaneseVowels"
    folder.mkdir(parents=True)
    (tmp_path / "aeon" / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    for part in ("TRAIN", "TEST"):
        (folder / f"JapaneseVowels_{part}.ts").write_text(TS)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert japanese_vowels(tmp_path).num_rows == 4


def test_npz_series_have_one_channel_or_more(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(4, 6)
    values[0, 4:] = np.nan
    np.savez(tmp_path / "a.npz", x=values, z=values.reshape(4, 2, 3), y=np.arange(4) % 2)
    found = npz(tmp_path, path="a.npz", kind="series")
    assert found.signature == Signature("series", (1, 6), "float32", "y")
    assert npz(tmp_path, path="a.npz", kind="series", inputs="z").signature.shape == (2, 3)
    assert npz(tmp_path, path="a.npz").signature.kind == "table"
    values[1, 1] = np.inf
    np.savez(tmp_path / "a.npz", x=values, y=np.arange(4) % 2)
    with pytest.raises(DataError, match="not finite"):
        npz(tmp_path, path="a.npz", kind="series")


LONG = """\
who,when,class,x,y
a,2,yes,3,30
b,1,no,5,50
a,1,yes,2,
b,2,no,6,60
b,3,no,7,70
"""


def test_rows_of_a_long_table_are_steps_of_their_series(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(LONG)
    pd.read_csv(tmp_path / "long.csv").to_parquet(tmp_path / "long.parquet")
    options: dict[str, Any] = {"series": "who", "target": "class", "time": "when"}
    nan = np.nan
    for name in ("long.csv", "long.parquet"):
        found = long_table(tmp_path, path=name, **options)
        assert found.targets.tolist() == ["yes", "no"]
        np.testing.assert_array_equal(found.inputs[0], [[2, 3, nan], [nan, 30, nan]])
        np.testing.assert_array_equal(found.inputs[1], [[5, 6, 7], [50, 60, 70]])
    unsorted = long_table(tmp_path, path="long.csv", series="who", target="class", channels=("x",))
    np.testing.assert_array_equal(unsorted.inputs[:, 0], [[3, 2, nan], [5, 6, 7]])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("b,2,no", "b,2,yes", r"long\.csv:5.*'class' is another here.*series 'b'"),
        ("b,2,no", "b,soon,no", r"long\.csv:5.*'when' holds no time in 1 rows"),
        ("b,2,no,6", "b,2,no,six", r"long\.csv:5.*six"),
        ("b,2,no,6", ",2,no,6", r"long\.csv:5.*'who' is missing"),
        ("when", "then", "there is no column 'when'"),
    ],
)
def test_problems_of_a_long_table_name_their_line(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "long.csv").write_text(LONG.replace(old, new))
    with pytest.raises(DataError, match=said):
        long_table(tmp_path, path="long.csv", series="who", target="class", time="when")


def test_the_transform_scales_real_values_and_says_which_steps_are_real() -> None:
    train = some()
    module = series(train)
    inputs = np.array(train.inputs)
    inputs[5, 0, 2] = np.nan  # missing, before the end
    found = module(torch.from_numpy(inputs)).numpy()
    assert found.shape == (40, 3, 6)
    assert found.dtype == np.float32
    real = np.arange(6) < np.array(lengths_of(40, 6))[:, None]
    np.testing.assert_array_equal(found[:, 2], real)
    assert np.abs(found[:, :2].transpose(0, 2, 1)[~real]).max() == 0
    assert found[5, 0, 2] == 0
    values = module(torch.from_numpy(np.array(train.inputs))).numpy()[:, :2].transpose(0, 2, 1)
    np.testing.assert_allclose(values[real].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(values[real].std(0), 1, atol=1e-5)


def test_without_scaling_values_stay_as_they_are() -> None:
    train = some()
    found = series(train, scale="none")(torch.from_numpy(np.array(train.inputs))).numpy()
    np.testing.assert_array_equal(found[:, :2], np.nan_to_num(train.inputs))


def test_the_transform_takes_series_only() -> None:
    table = Examples(np.ones((3, 2)), np.arange(3), Signature("table", (2,), "float64"))
    with pytest.raises(DataError, match="wants series"):
        series(table)


def test_an_empty_series_has_no_nan() -> None:
    module = series(some())
    assert bool(torch.isfinite(module(torch.full((2, 2, 6), torch.nan))).all())


def write_hours(folder: Path, values: np.ndarray, *, missing: tuple[int, ...] = ()) -> Path:
    times = pd.date_range("2024-01-01", periods=len(values), freq="h", tz="UTC")
    frame = pd.DataFrame({"time": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "sea": values, "wind": 1.0})
    frame.loc[::2, "wind"] = 2.0
    frame.drop(index=list(missing)).to_csv(folder / "hours.csv", index=False)
    return folder


def cut(folder: Path, **options: Any) -> Examples:
    given = {"window": 6, "horizon": 4, "season": 3} | options
    return series_table(folder, path="hours.csv", time="time", target="sea", **given)


def test_windows_hold_the_past_the_truth_and_two_naive_forecasts(tmp_path: Path) -> None:
    found = cut(write_hours(tmp_path, np.arange(30.0)), others=("wind",))
    assert found.signature.shape == (2, 6)
    assert found.num_rows == 30 - 6 - 4 + 1
    assert found.inputs[0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert found.inputs[0, 1].tolist() == [2, 1, 2, 1, 2, 1]
    assert found.targets[0, TRUTH].tolist() == [6, 7, 8, 9]
    # The fourth step is more than a season away: the last one that is known is repeated.
    assert found.targets[0, SEASONAL].tolist() == [3, 4, 5, 3]
    assert found.targets[0, LAST].tolist() == [5] * 4
    assert found.times is not None
    assert found.until is not None
    assert np.all(found.until - found.times == 3 * HOUR)
    assert np.all(np.diff(found.times) == HOUR)


def test_naive_forecasts_never_look_ahead(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=60)
    for season in (1, 3, 5, 24):
        found = cut(write_hours(tmp_path, values), season=season)
        for row in range(found.num_rows):
            place = int(np.flatnonzero(values == found.targets[row, TRUTH, 0])[0])
            assert set(found.targets[row, SEASONAL]) <= set(values[:place]), season
            assert set(found.targets[row, LAST]) == {values[place - 1]}


def test_gaps_leave_windows_out_and_are_missing_in_others(tmp_path: Path) -> None:
    found = cut(write_hours(tmp_path, np.arange(40.0), missing=(20, 21)))
    assert found.notes[0].endswith("windows lack a value to forecast or to compare with: left out")
    assert not np.isin([20, 21], found.targets[:, TRUTH]).any()
    assert np.isnan(found.inputs).any()
    assert np.isfinite(found.targets).all()
    with pytest.raises(DataError, match=r"no window without a gap.*Is a step 3600 s\?"):
        cut(write_hours(tmp_path, np.arange(8.0)))


def test_steps_are_means_of_their_rows(tmp_path: Path) -> None:
    found = cut(write_hours(tmp_path, np.arange(80.0)), every=2 * HOUR)
    assert found.inputs[0, 0].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]


def test_problems_of_a_table_of_series(tmp_path: Path) -> None:
    (tmp_path / "hours.csv").write_text("time,sea\n2024-01-01,1\nyesterday,2\n")
    with pytest.raises(DataError, match=r"hours\.csv:3.*holds no time in 1 rows"):
        cut(tmp_path)
    with pytest.raises(DataError, match="there is no column 'wind'"):
        cut(tmp_path, others=("wind",))


def test_no_target_of_train_reaches_into_valid(tmp_path: Path) -> None:
    found = cut(write_hours(tmp_path, np.random.default_rng(0).normal(size=300)), horizon=8)
    rows = split(found, Split(by="time"), 0)
    assert found.times is not None
    assert found.until is not None
    for part, following in (("train", "valid"), ("valid", "test")):
        assert found.until[rows[part]].max() < found.times[rows[following]].min()
    assert len(rows["train"]) + len(rows["valid"]) + len(rows["test"]) == found.num_rows - 14


def test_windows_divided_by_chance_are_a_leak(tmp_path: Path) -> None:
    write_hours(tmp_path, np.random.default_rng(0).normal(size=300))
    options = {"path": "hours.csv", "time": "time", "target": "sea"}
    with pytest.raises(DataError, match=r'newest row of train\. Split by = "time"'):
        inspect(series_table, "raw", Split(by="random"), 0, root=tmp_path, options=options)
    done = inspect(series_table, "raw", Split(by="time"), 0, root=tmp_path, options=options)
    assert done.num_rows["train"] > done.num_rows["test"] > 0
    with pytest.raises(DataError, match=r"several numbers in each row.*forecasting"):
        inspect(series_table, "number", Split(by="time"), 0, root=tmp_path, options=options)


def test_glucose_is_read_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bokeh_sampledata" / "_data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    times = pd.date_range("2010-03-24 09:51", periods=400, freq="5min")
    lines = [f"22.5,{time:%Y-%m-%d %H:%M:%S},{100 + place}" for place, time in enumerate(times)]
    text = "\n".join(["isig,datetime,glucose", *lines])
    (folder / "CGM.csv.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = glucose(tmp_path)
    assert found.inputs.shape == (400 - 288 - 12 + 1, 1, 24)
    assert found.targets[0, :, 0].tolist() == [388, 100, 387]


STUDY = """
name = "hours"
[data]
split = { by = "time" }
[data.series_table]
path = "hours.csv"
time = "time"
target = "sea"
window = 12
horizon = 6
season = 12
[task]
name = "forecasting"
[model]
one_of = ["tcn", "linear"]
[model.tcn]
width = 8
residual = true
[optimizer]
name = "adam"
lr = 0.01
[training]
epochs = 8
noise = 0.05
[search]
sampler = "random"
trials = 3
"""


def test_a_study_of_forecasts_beats_both_naive_ones(tmp_path: Path) -> None:
    places = np.arange(600)
    noise = np.random.default_rng(0).normal(size=600)
    write_hours(tmp_path, np.sin(places * 2 * np.pi / 13) + 0.1 * noise)
    (tmp_path / "hours.toml").write_text(STUDY)
    run = [sys.executable, "-m", "nnsearch", "run", "hours.toml", "--mlruns", "m", "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    conclusion = json.loads(done.stdout)["conclusion"]
    for skill in ("skill_seasonal", "skill_last"):
        assert conclusion["tested"]["intervals"][skill][0] > 0.2
    folder = Path(conclusion["export"])
    script = [sys.executable, str(folder / "predict.py"), str(folder / "sample.npy")]
    said = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.splitlines()[0] == ",".join(f"prediction_{step}" for step in range(1, 7))


def test_checking_a_study_says_what_its_series_are(tmp_path: Path) -> None:
    write_hours(tmp_path, np.random.default_rng(0).normal(size=300))
    (tmp_path / "hours.toml").write_text(STUDY)
    said = as_text(check(tmp_path / "hours.toml"))
    assert "series of 1 channel and up to 12 steps, target 'sea'" in said
    (tmp_path / "hours.toml").write_text(STUDY.replace('"tcn", "linear"', '"tcn", "cnn"'))
    with pytest.raises(StudyError, match="'cnn' needs images"):
        check(tmp_path / "hours.toml")
