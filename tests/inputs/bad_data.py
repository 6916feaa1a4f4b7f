"""Data that cannot be used, or not as asked: each case a study beside its files."""

import gzip
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cases import Case
from PIL import Image

STUDY = """name = "small"
seed = 7
[data]
source = "{source}"
{options}
[task]
name = "{task}"
[model]
name = "linear"
[optimizer]
name = "adam"
lr = 0.01
[training]
epochs = 2
[search]
trials = 2
"""
NUM_ROWS = 60
Row = Sequence[object]
Write = Callable[[Path], object]


def study(folder: Path, options: str, *, source: str = "csv", task: str = "classification") -> None:
    """The study file, whose [data] has these options."""
    text = STUDY.format(source=source, options=options, task=task)
    (folder / "small.toml").write_text(text)


def rows() -> list[list[object]]:
    """Sixty rows of two inputs and two classes, all different."""
    drawn = np.random.default_rng(0).normal(size=(NUM_ROWS, 2)).round(6).tolist()
    return [[*each, "no" if place % 2 else "yes"] for place, each in enumerate(drawn)]


def table(content: Sequence[Row], header: str = "a,b,y") -> str:
    """The rows as CSV."""
    return "\n".join([header, *(",".join(map(str, row)) for row in content)]) + "\n"


def changed(place: int, row: Row | None = None, *, column: int = 0, cell: object = "") -> list[Any]:
    """`rows`, of which one is another, or one cell is."""
    made = rows()
    made[place] = list(row) if row is not None else made[place]
    if row is None:
        made[place][column] = cell
    return made


def csv(content: str | bytes, options: str = "", *, task: str = "classification") -> Write:
    """A study of table.csv."""
    data = content.encode() if isinstance(content, str) else content

    def write(folder: Path) -> None:
        (folder / "table.csv").write_bytes(data)
        own, _, split = options.partition("|")
        text = f'csv = {{ path = "table.csv", target = "y"{own} }}\n{split}'
        study(folder, text, task=task)

    return write


def at(path: str, more: str = "", make: Write | None = None) -> Write:
    """A study of a CSV file at `path`; the folder holds a good table.csv, and what is made."""

    def write(folder: Path) -> None:
        (folder / "table.csv").write_text(table(rows()))
        study(folder, f'csv = {{ path = "{path}", target = "y"{more} }}')
        if make is not None:
            make(folder)

    return write


def link(folder: Path) -> None:
    """A link to a file that lies outside."""
    (folder / "link.csv").symlink_to("/etc/hostname")


def parquet(columns: dict[str, Any], share: float = 1.0) -> Write:
    """A study of a Parquet file, of which this share is there."""

    def write(folder: Path) -> None:
        path = folder / "table.parquet"
        pd.DataFrame(columns).to_parquet(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        text = 'parquet = { path = "table.parquet", target = "y" }'
        study(folder, text, source="parquet")

    return write


def npz(split: str = "", more: str = "", **arrays: Any) -> Write:
    """A study of an NPZ archive."""

    def write(folder: Path) -> None:
        np.savez_compressed(folder / "a.npz", **arrays)
        study(folder, f'npz = {{ path = "a.npz"{more} }}\n{split}', source="npz")

    return write


def pictures(change: Write) -> Write:
    """A study of six PNG files in folders of two classes, of which something is changed."""

    def write(folder: Path) -> None:
        for place in range(6):
            file = folder / "p" / "ab"[place % 2] / f"{place}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 5), place, np.uint8)).save(file)
        study(folder, 'images = { path = "p" }', source="images")
        change(folder / "p")

    return write


def cut_short(pictures: Path) -> None:
    """Two of them end too early."""
    for name in ("a/2.png", "b/3.png"):
        content = (pictures / name).read_bytes()
        (pictures / name).write_bytes(content[:45])


def enormous(pictures: Path) -> None:
    """One says of itself that it has 60,000 x 60,000 pixels."""
    content = bytearray((pictures / "b" / "1.png").read_bytes())
    content[16:24] = struct.pack(">II", 60000, 60000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (pictures / "b" / "1.png").write_bytes(content)


def calling(folder: Path) -> None:
    """A study of CIFAR-10, whose files are pickles that call a function."""
    place = folder / "data" / "cifar-10-batches-py"
    place.mkdir(parents=True)
    names = ["batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6))]
    for name in names:
        (place / name).write_bytes(pickle.dumps({"label_names": os.getcwd}, protocol=2))
    study(folder, 'torchvision = { name = "CIFAR10" }', source="torchvision")


def archive(member: str) -> Write:
    """A study of an NPZ archive with a member of this name."""

    def write(folder: Path) -> None:
        with zipfile.ZipFile(folder / "a.npz", "w") as made:
            made.writestr(member, b"escaped")
        study(folder, 'npz = { path = "a.npz" }', source="npz")

    return write


def idx(images: bytes, labels: bytes | None = None) -> Write:
    """A study of two IDX files."""
    own = bytes([0, 0, 8, 1]) + struct.pack(">I", 40) + bytes(range(40))

    def write(folder: Path) -> None:
        (folder / "images").write_bytes(images)
        (folder / "labels").write_bytes(own if labels is None else labels)
        study(folder, 'idx = { images = "images", labels = "labels" }', source="idx")

    return write


def head(*sizes: int) -> bytes:
    """The header of an IDX file of images."""
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


TIMES = {"x": np.random.default_rng(0).normal(size=(60, 2)), "t": np.arange(60.0)[::-1]}
HALVES = np.arange(60) // 30
TWICE = [row for row in rows()[:30] for _ in (0, 1)]
COMMAS = "a;b;y\n" + "".join(f"{n},5;{n * n},25;{'ny'[n % 2]}\n" for n in range(40))
INCHES = [[*row[:2], place * 1.5, place * 3.81 + 1] for place, row in enumerate(rows())]
OLD = [
    [*row[:2], f"2024-01-{1 + place % 28:02}", "no" if place % 28 < 20 else "yes"]
    for place, row in enumerate(rows())
]

DATA = (
    Case("path missing", "a misspelt path", at("tabel.csv"), 3),
    Case("path missing", "a missing folder", at("data/table.csv"), 3),
    Case("outside the folder", "two dots", at("../../etc/hostname"), 3),
    Case("outside the folder", "an absolute path", at("/etc/hostname"), 3),
    Case("outside the folder", "a link", at("link.csv", make=link), 3),
    Case("outside the folder", "a data_root that is none", at("table.csv", ', data_root = "x"'), 3),
    Case("device, FIFO", "a device", at("null", ', data_root = "/dev"'), 3),
    Case("device, FIFO", "a pipe as data", at("p.csv", make=lambda at: os.mkfifo(at / "p.csv")), 3),
    Case("device, FIFO", "a folder as data", at("d", make=lambda at: (at / "d").mkdir()), 3),
    Case("archives", "a member that escapes", archive("../../x.npy"), 3),
    Case(
        "archives",
        "an archive that expands",
        npz(x=np.zeros((40, 2**20), np.uint8), y=np.arange(40) % 2),
        3,
    ),
    Case(
        "archives",
        "a pickle in an archive",
        npz(x=np.array([{}, {}], dtype=object), y=np.arange(2)),
        3,
    ),
    Case("archives", "a pickle that calls a function", calling, 3),
    Case("broken images", "two pictures cut short", pictures(cut_short), 3),
    Case(
        "broken images",
        "pictures of several sizes",
        pictures(lambda at: Image.new("RGB", (9, 7)).save(at / "a" / "7.png")),
        3,
    ),
    Case(
        "outside the folder",
        "a picture that is a link",
        pictures(lambda at: (at / "a" / "x.png").symlink_to("/etc/hostname")),
        3,
    ),
    Case("3.6-gigapixel image", "a PNG of 60000 x 60000", pictures(enormous), 3),
    Case("broken images", "images cut short", idx(gzip.compress(head(40, 8, 8))[:-9]), 3),
    Case("broken images", "no IDX file", idx(b"\x89PNG\r\n\x1a\n"), 3),
    Case("broken images", "fewer pixels than promised", idx(head(40, 8, 8) + b"x" * 99), 3),
    Case("3.6-gigapixel image", "60000 x 60000", idx(gzip.compress(head(1, 60000, 60000))), 3),
    Case("not UTF-8", "latin-1", csv(table(changed(4, cell="Köln")).encode("latin-1")), 3),
    Case("broken tables", "a ragged row", csv(table(changed(4, (1, 2, "no", 9)))), 3),
    Case("broken tables", "a short row", csv(table(changed(4, (1, "no")))), 3),
    Case("broken tables", "a header that is too long", csv(table(rows(), "a,b,c,y")), 3),
    Case("broken tables", "an unclosed quote", csv(table(changed(4, cell='"1'))), 3),
    Case("broken tables", "NUL", csv(table(changed(4, cell="1\0"))), 3),
    Case("broken tables", "semicolons", csv(table(rows()).replace(",", ";")), 3),
    Case("broken tables", "a doubled column", csv(table(rows(), "a,a,y")), 3),
    Case("broken tables", "an empty table", csv(""), 3),
    Case("broken tables", "a header alone", csv("a,b,y\n"), 3),
    Case("Parquet", "Parquet cut short", parquet({"a": range(9), "y": range(9)}, 0.5), 3),
    Case("Parquet", "Parquet nested", parquet({"a": [[1], [2]] * 9, "y": [0, 1] * 9}), 3),
    Case("the target", "a target that is missing", csv(table(rows(), "a,b,Y")), 3),
    Case("the target", "a target with NaN", csv(table(changed(4, column=2))), 3),
    Case("the target", "one class", csv(table([[*row[:2], "no"] for row in rows()])), 3),
    Case(
        "the target",
        "9,874 distinct numbers",
        csv("a,y\n" + "".join(f"{n % 97},{n}.5\n" for n in range(9874))),
        3,
    ),
    Case("the target", "text for regression", csv(table(rows()), task="regression"), 3),
    Case("the target", "infinity", csv(table(changed(4, column=0, cell="inf"))), 3),
    Case("rare classes", "a class with one row", csv(table(changed(4, column=2, cell="maybe"))), 3),
    Case(
        "rare classes",
        "a class that train lacks",
        csv(
            table(OLD, "a,b,day,y"),
            '|split = { by = "time", column = "day", train = 0.6, valid = 0.2, test = 0.2 }',
        ),
        3,
    ),
    Case("silent columns", "no column is left", csv("a,y\n" + "1,no\n1,yes\n" * 30), 3),
    Case("mixed types", "a word among numbers", csv(table(changed(4, cell="many"))), 3),
    Case("mixed types", "decimal commas", csv(COMMAS, ', delimiter = ";"'), 3),
    Case("leaks", "equal rows across splits", csv(table(TWICE)), 3),
    Case(
        "leaks",
        "a column equal to the target",
        csv(table([[*row[:2], row[2], row[2]] for row in rows()], "a,b,copy,y")),
        3,
    ),
    Case(
        "leaks",
        "the target in another unit",
        csv(
            table(INCHES, "a,b,y,inches"),
            task="regression",
        ),
        3,
    ),
    Case(
        "leaks",
        "an ID",
        csv(table([[place, *row] for place, row in enumerate(rows())], "id,a,b,y")),
        3,
    ),
    Case("leaks", "test earlier than train", npz("", ', times = "t"', y=HALVES, **TIMES), 3),
)
