"""A person with folders of pictures: a study file, a run, and new pictures to predict."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STUDY = """
name = "bars"

[data]
source = "images"
[data.images]
path = "bars"
size = 8

[task]
name = "classification"

[model]
name = "linear"

[training]
epochs = 15
batch_size = 16

[search]
sampler = "random"
trials = 1
"""


def picture(path: Path, place: int, *, is_upright: bool, seed: int) -> None:
    """A bar over noise, of another size and mode from file to file."""
    draw = np.random.default_rng(seed)
    side = 12 + place % 5
    pixels = draw.integers(0, 60, (side, side + 2), dtype=np.uint8)
    middle = side // 2
    if is_upright:
        pixels[:, middle - 2 : middle + 2] = 220
    else:
        pixels[middle - 2 : middle + 2] = 220
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert("RGB") if place % 2 else image).save(path)


def run(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", 40), ("test", 10)):
        for number in range(count):
            for name in ("lying", "upright"):
                path = folder / "bars" / part / name / f"{number:03d}.png"
                seed = number + 1000 * (part == "test")
                picture(path, number, is_upright=name == "upright", seed=seed)
    for number in range(6):
        path = folder / "new" / f"{'lying' if number % 2 else 'upright'}-{number}.png"
        picture(path, number, is_upright=number % 2 == 0, seed=9000 + number)
    (folder / "bars.toml").write_text(STUDY)
    done = run(folder, "-m", "nnsearch", "run", "bars.toml", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    return folder


def test_folders_of_pictures_become_a_model_that_takes_pictures(place: Path) -> None:
    (look,) = json.loads((place / "mlruns/studies/bars/test.json").read_text("utf-8"))
    assert look["num_rows"] == 20
    assert look["metrics"]["accuracy"] == 1
    done = run(place, "-m", "nnsearch", "predict", "bars", "new")
    assert done.returncode == 0, done.stderr
    answers = list(csv.DictReader(done.stdout.splitlines()))
    assert [Path(each["file"]).name for each in answers] == sorted(
        each.name for each in (place / "new").iterdir()
    )
    assert all(Path(each["file"]).name.startswith(each["label"]) for each in answers)
    script = next((place / "mlruns/studies/bars/exports").glob("trial-*")) / "predict.py"
    assert run(place, script, "new").stdout == done.stdout
    first = run(place, script, Path("new") / "lying-1.png").stdout.splitlines()
    assert first == [done.stdout.splitlines()[0], done.stdout.splitlines()[1]]


def test_a_picture_that_is_none_is_named(place: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    done = run(place, "-m", "nnsearch", "predict", "bars", tmp_path)
    assert done.returncode == 3
    assert "x.png is no image that can be read: it has no format that is known" in done.stderr
    (tmp_path / "empty").mkdir()
    done = run(place, "-m", "nnsearch", "predict", "bars", tmp_path / "empty")
    assert done.returncode == 3
    assert "there is no image in the folder" in done.stderr
