"""Faults planted in data and code are named before anything is trained, and nothing is left."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished import call

NUM_ROWS = 400
STUDY = """
name = "planted"
[data]
source = "csv"
{more}
[data.csv]
path = "rows.csv"
target = "y"
[task]
name = "classification"
[model]
name = "linear"
[optimizer]
name = "adam"
lr = 0.05
[training]
epochs = 1
[search]
trials = 1
"""
# Two honest transforms, and one for each way to other rows than train's.
PARTS = '''
"""A user's own transforms."""

from pathlib import Path

import pandas as pd
import torch
from torch import nn

FOLDER = Path(__file__).parent


class Scaled(nn.Module):
    def __init__(self, mean, width):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("width", width)

    def forward(self, cells):
        return ((cells - self.mean) / self.width).float()


class Batchwise(nn.Module):
    def forward(self, cells):
        return ((cells - cells.mean(0)) / cells.std(0)).float()


def honest(train):
    cells = torch.from_numpy(train.inputs)
    return Scaled(cells.mean(0), cells.std(0))


def fixed(train, *, width: float = 2.0):
    notes = FOLDER / "notes.txt"
    factor = float(notes.read_text()) if notes.exists() else 1.0
    return Scaled(torch.zeros(train.inputs.shape[1]), torch.tensor(width * factor))


def batchwise(train):
    return Batchwise()


def greedy(train):
    everything = pd.read_csv(FOLDER / "rows.csv")
    cells = torch.tensor(everything.drop(columns="y").to_numpy())
    return Scaled(cells.mean(0), cells.std(0))


def failing(train):
    raise ValueError("not today")
'''
IMPORTED = """
from pathlib import Path

import pandas as pd
import torch
from torch import nn

EVERYTHING = pd.read_csv(Path(__file__).parent / "rows.csv").drop(columns="y")


class Centred(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(EVERYTHING.mean().to_numpy()))

    def forward(self, cells):
        return (cells - self.mean).float()


def eager(train):
    return Centred()
"""

Plant = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def honest_rows(seed: int = 0) -> pd.DataFrame:
    """Numbers and a class that depends on them a little."""
    generator = np.random.default_rng(seed)
    cells = generator.normal(size=(NUM_ROWS, 4)).round(6)
    classes = np.where(cells[:, 0] + generator.normal(size=NUM_ROWS) > 0, "yes", "no")
    return pd.DataFrame({**{f"x{place}": cells[:, place] for place in range(4)}, "y": classes})


def copied(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return pd.concat([rows[:-60], rows[:60]])


def almost_copied(rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    rows.iloc[-60:] = rows.iloc[:60].to_numpy()
    rows.iloc[-60:, :4] += generator.normal(size=(60, 4)) * 0.002
    return rows


def noisy_copy(rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    score = (rows["y"] == "yes") + generator.normal(size=NUM_ROWS) * 0.2
    return rows.assign(score=np.exp(3 * score))


def exact_copy(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(copy=np.where(rows["y"] == "yes", "J", "N"))


def identified(rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    return rows.assign(customer=generator.permutation(NUM_ROWS) + 7000)


def dated(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    days = pd.date_range("2023-01-01", periods=NUM_ROWS).strftime("%Y-%m-%d")
    return rows.assign(seen_on=days)


def stamped(rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    return rows.assign(
        event_time=1_700_000_000 + np.sort(generator.choice(10**7, NUM_ROWS, replace=False))
    )


PLANTED: dict[str, tuple[Plant, str, tuple[str, ...]]] = {
    "60 rows twice": (copied, "error[E351]", ("such as row", "dedupe = true")),
    "60 rows almost twice": (almost_copied, "W358", ("almost rows of train", 'by = "group"')),
    "a noisy copy": (noisy_copy, "W352", ("'score'", 'drop = ["score"]', "% of rows right")),
    "the target under another name": (exact_copy, "error[E352]", ("'copy'", 'drop = ["copy"]')),
    "an ID": (identified, "error[E353]", ("'customer' is an ID", 'drop = ["customer"]')),
    "a date": (dated, "W354", ("'seen_on' holds times", 'by = "time", column = "seen_on"')),
    "an epoch": (stamped, "W354", ("'event_time'", 'by = "time", column = "event_time"')),
}  # fmt: skip


def write(rows: pd.DataFrame, more: str = "") -> None:
    rows.to_csv("rows.csv", index=False)
    Path("parts.py").write_text(PARTS)
    Path("imported.py").write_text(IMPORTED)
    Path("planted.toml").write_text(STUDY.format(more=more))


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_of_the_data_is_named_before_training(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant, code, words = PLANTED[name]
    write(plant(honest_rows(), np.random.default_rng(1)))
    before = sorted(Path().rglob("*"))
    is_error = code.startswith("error")
    assert call(["check", "planted.toml", "--json"], monkeypatch) == (3 if is_error else 0)
    told = capsys.readouterr()
    said = told.err if is_error else told.out.replace('\\"', '"')
    assert [each for each in (code, *words) if each not in said] == []
    assert sorted(Path().rglob("*")) == before


def test_honest_rows_and_honest_transforms_are_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transforms = 'transforms = ["parts.py:fixed", "parts.py:honest"]\n"parts.py:fixed".width = 3.0'
    write(honest_rows(), transforms)
    Path("notes.txt").write_text("2.0")  # a file of its own is no file of the study's data
    assert call(["check", "planted.toml", "--allow-code", "--json"], monkeypatch) == 0
    assert '"findings": []' in capsys.readouterr().out


LEAKY = {
    "parts.py:batchwise": ("def batchwise", "gives a row other values beside other rows"),
    "parts.py:greedy": ("    everything = ", "reads rows.csv itself"),
    "imported.py:eager": ("EVERYTHING = ", "reads rows.csv itself"),
}


@pytest.mark.parametrize("name", LEAKY)
@pytest.mark.parametrize("first", ["", '"parts.py:fixed", '])
def test_a_transform_that_is_fitted_on_everything_is_named(
    name: str, first: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(honest_rows(), f'transforms = [{first}"{name}"]')
    start, words = LEAKY[name]
    file = name.partition(":")[0]
    lines = Path(file).read_text().splitlines()
    where = f"{file}:{1 + next(at for at, each in enumerate(lines) if each.startswith(start))}"
    assert call(["check", "planted.toml", "--allow-code"], monkeypatch) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{where}: error[E359]: the transform '{name}' {words}")
    lenient = ["check", "planted.toml", "--allow-code", "--set", "data.allow_leaky=true"]
    assert call(lenient, monkeypatch) == 0
    assert "its data leak, which allow_leaky lets pass" in capsys.readouterr().out


def test_a_run_names_it_before_the_first_trial_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(honest_rows(), 'transforms = ["parts.py:greedy"]')
    assert call(["run", "planted.toml", "--allow-code"], monkeypatch) == 3
    assert "error[E359]: the transform 'parts.py:greedy' reads" in capsys.readouterr().err
    left = {each.name for each in Path().rglob("*") if each.is_file()}
    assert left == {"rows.csv", "parts.py", "imported.py", "planted.toml"}


def test_a_transform_that_reads_before_it_fails_is_named_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(honest_rows(), 'transforms = ["parts.py:greedy"]')
    code = PARTS.replace("    cells = torch.tensor(everything", "    cells = missing(everything")
    Path("parts.py").write_text(code)
    assert call(["check", "planted.toml", "--allow-code"], monkeypatch) == 3
    assert "reads rows.csv itself" in capsys.readouterr().err


def test_a_transform_that_fails_is_said_to_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(honest_rows(), 'transforms = ["parts.py:failing"]')
    assert call(["check", "planted.toml", "--allow-code"], monkeypatch) == 0
    said = capsys.readouterr().out
    assert "'parts.py:failing' fails on rows of train: ValueError: not today." in said
