"""Each source of files from a study file to a trained model: options, splits and checks."""

import csv
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from lessons import ACCURACY, classroom_of, learned
from openml_cache import cache
from PIL import Image

from nnsearch.data.bundled import digits

STUDY = """
[data]
{source}
[task]
name = "classification"
[model]
name = "linear"
[optimizer]
name = "adam"
lr = 0.1
[training]
epochs = 8
batch_size = 32
[search]
trials = 1
"""


def bars(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a bar that lies, or stands, in noise: uint8 [N, 8, 8], and which it is."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 60, (count, 8, 8), dtype=np.uint8)
    stands = np.arange(count) % 2
    for row, is_standing in enumerate(stands):
        window = np.s_[row, :, 3:5] if is_standing else np.s_[row, 3:5]
        pixels[window] = 220
    return pixels, stands


def of_images(folder: Path) -> str:
    pixels, stands = bars(120)
    for row, (image, is_standing) in enumerate(zip(pixels, stands, strict=True)):
        place = folder / "bars" / ("stands" if is_standing else "lies") / f"{row:03d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    return 'images = { path = "bars", size = 6, fit = "crop" }'


def of_a_table_of_paths(folder: Path) -> str:
    of_images(folder)
    with (folder / "bars.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "what"])
        for each in sorted((folder / "bars").rglob("*.png")):
            writer.writerow([each.relative_to(folder / "bars"), each.parent.name])
    table = 'path = "bars.csv", column = "file", target = "what", folder = "bars"'
    return f"image_table = {{ {table} }}"


def of_openml(folder: Path) -> str:
    cache(folder / "home", 61)
    return 'openml = { name = "iris", version = 1, path = "home" }'


def of_torchvision(folder: Path) -> str:
    raw = folder / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    drawn = digits(folder)
    for part, rows in (("train", slice(0, 700)), ("t10k", slice(700, 800))):
        images = drawn.inputs[rows, 0].astype(np.uint8)
        labels = drawn.targets[rows].astype(np.uint8)
        head = struct.pack(">4B3I", 0, 0, 8, 3, *images.shape)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    return 'torchvision = { name = "MNIST", limit = 600 }'


def of_hugging_face(folder: Path) -> str:
    draw = np.random.default_rng(0)
    (folder / "set").mkdir()
    for part, count in (("train", 160), ("test", 40)):
        label = draw.integers(0, 2, count)
        columns = {"x": draw.normal(size=count) + 3 * label, "y": label}
        place = folder / "set" / f"{part}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pa.table(columns), place)
    return 'hugging_face = { path = "set", target = "y" }'


@pytest.mark.parametrize(
    "write", [of_images, of_a_table_of_paths, of_openml, of_torchvision, of_hugging_face]
)
def test_a_source_from_study_file_to_model(tmp_path: Path, write: Callable[[Path], str]) -> None:
    study = STUDY.format(source=write(tmp_path))
    kept = learned(classroom_of(tmp_path, "open", study).pupil(), ACCURACY)
    assert kept.metrics["valid/accuracy"] > 0.85
